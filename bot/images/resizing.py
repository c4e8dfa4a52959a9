"""Shrink image files to an upload limit, keeping their metadata."""

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
    """Shrinks files of generated images: keeps the parameters text and signs the result again."""

    def __init__(self, store: JobStore, signer: Signer) -> None:
        self._store, self._signer = store, signer
        self._signing_lock = threading.Lock()

    async def fit_to_limit(self, data: bytes, suffix: str, limit: int, job: Job) -> tuple[bytes, str]:
        """Return a job's image file in at most `limit` bytes, with its suffix; unchanged if it already fits.

        Raises ValueError if it cannot be shrunk that far.
        """
        if len(data) <= limit:
            return data, suffix
        return await asyncio.to_thread(self.shrink, data, limit, *await self._origin(job))

    async def sign(self, data: bytes, suffix: str, params: Params, name: str) -> bytes:
        """Return a picture's file with a signature in it, which names the job or tile `name`."""

        def sign() -> bytes:
            with self._signing_lock:
                return self._signer.sign(data, suffix, params, name)

        return await asyncio.to_thread(sign)

    def shrink(self, data: bytes, limit: int, params: Params, name: str) -> tuple[bytes, str]:
        """Shrink a file that exceeds `limit`, in this thread; `params` and the job or tile `name` generated it."""
        signature_size = self._signer.max_signature_bytes
        if limit < 2 * signature_size:
            log.warning("an image is sent without a signature, which does not fit into %d bytes", limit)
            return reencode(data, limit)
        small, suffix = reencode(data, limit - signature_size)
        with self._signing_lock:
            return self._signer.sign(small, suffix, params, name), suffix

    async def _origin(self, job: Job) -> tuple[Params, str]:
        """Return what generated a job's image: the parameters, and the job; for a picked tile, those of the grid."""
        if job.action is Action.PICK and job.parent and (origin := await self._store.get(job.parent.job_id)):
            return origin.job.params, str(job.parent)
        return job.params, job.id
