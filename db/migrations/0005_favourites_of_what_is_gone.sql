-- Hearts of pictures that were deleted on purpose, or of which nothing is known any more: nobody could take them away.
DELETE FROM favourites WHERE NOT EXISTS (
    SELECT 1 FROM jobs WHERE jobs.id = favourites.job_id AND jobs.deleted_at IS NULL
);
