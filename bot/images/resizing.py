"""Pictures' files made small enough for where they go, with what the larger ones carried."""

from __future__ import annotations

import asyncio
import logging
import threading

from db.jobs import JobStore
from generation.files.grid_image import reencode
from generation.files.metadata import Signer
from generation.job import Action, Job
from generation.params import Params

log = logging.getLogger(__name__)


class ImageResizer:
    """Makes files of jobs' pictures smaller: the text of their parameters stays, and they are signed anew."""

    def __init__(self, store: JobStore, signer: Signer) -> None:
        self._store, self._signer = store, signer
        self._signing_lock = threading.Lock()

    async def fit_to_limit(self, data: bytes, suffix: str, limit: int, job: Job) -> tuple[bytes, str]:
        """Give the file of a job's picture in at most `limit` bytes, with its suffix: as it is where that is enough.

        Raises ValueError if not even a speck of it fits.
        """
        if len(data) <= limit:
            return data, suffix
        return await asyncio.to_thread(self.shrink, data, limit, await self._generation_params(job))

    def shrink(self, data: bytes, limit: int, params: Params) -> tuple[bytes, str]:
        """Do the same at once, for a file that is too large and a picture that was drawn by `params`."""
        signature_size = self._signer.max_signature_bytes
        if limit < 2 * signature_size:
            log.warning("a picture of at most %d bytes goes out without a signature: there is no room for it", limit)
            return reencode(data, limit)
        small, suffix = reencode(data, limit - signature_size)
        with self._signing_lock:
            return self._signer.sign(small, suffix, params), suffix

    async def _generation_params(self, job: Job) -> Params:
        """Give what a job's picture was drawn by: a picked one comes from another job, and says what that one did."""
        origin = await self._store.get(job.parent.job_id) if job.action is Action.PICK and job.parent else None
        return origin.job.params if origin else job.params
