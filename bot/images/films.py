"""Make films in a process of their own, so that nothing else waits for the encoder."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from generation.files.metadata import Signer
from generation.films.order import FilmOrder
from generation.params import Params

MAX_SECONDS = 900.0  # of an encoder, which would hold up all other films
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
        # The folder is this process's: one that is killed cannot delete its own files.
        with tempfile.TemporaryDirectory(prefix="atelier-film-", ignore_cleanup_errors=True) as folder:
            return await self._encode_in(folder, order)

    async def _encode_in(self, folder: str, order: FilmOrder) -> bytes:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "generation.films"),
            cwd=ROOT,
            env=os.environ | {"TMPDIR": folder},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(MAX_SECONDS):
                film, error = await process.communicate(await asyncio.to_thread(pickle.dumps, order))
        except TimeoutError:
            raise FilmNotMade(f"the encoder took more than {MAX_SECONDS:.0f} seconds") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if process.returncode != 0 or not film:
            raise FilmNotMade(error.decode(errors="replace").strip()[-500:] or f"exit status {process.returncode}")
        return film
