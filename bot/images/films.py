"""Make films in a process of their own, so that nothing else waits for the encoder."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import sys
from dataclasses import replace
from pathlib import Path

from generation.files.metadata import Signer
from generation.films.order import FilmOrder
from generation.params import Params

MAX_BYTES = 8_000_000  # of a film; most servers allow 10 MiB
ROOT = Path(__file__).resolve().parents[2]


class FilmNotMade(Exception):
    """Raised with the reason when a film could not be encoded."""


class FilmMaker:
    """Makes one film at a time: each keeps a core busy for seconds."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._turn = asyncio.Lock()

    async def make(self, order: FilmOrder, params: Params) -> bytes:
        """Return a film's file, signed as an image of `params`; raise FilmNotMade if it could not be encoded.

        To stop, cancel the task: the process ends at once.
        """
        limit, room = min(order.limit, MAX_BYTES), self._signer.max_signature_bytes
        is_signed = limit > 2 * room
        async with self._turn:
            film = await self._encode(replace(order, limit=limit - room if is_signed else limit))
            suffix = "webp" if order.ffmpeg is None else "mp4"
            return await asyncio.to_thread(self._signer.sign, film, suffix, params) if is_signed else film

    async def _encode(self, order: FilmOrder) -> bytes:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "generation.films"),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            film, error = await process.communicate(await asyncio.to_thread(pickle.dumps, order))
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if process.returncode != 0 or not film:
            raise FilmNotMade(error.decode(errors="replace").strip()[-500:] or f"exit status {process.returncode}")
        return film
