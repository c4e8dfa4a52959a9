"""The job queue: fair order, model affinity and waiting times."""
