"""MP4 through ffmpeg, a separate program: its codecs have licences of their own, and none of them runs in here."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from generation.films.film import Film

RATE = 24  # frames a second; frames that are shown for longer are repeated
BITS_PER_PIXEL = 0.25  # at most: a quality at which nothing is seen of the compression
MARGIN = 0.85  # of the limit: an encoder meets its bit rate only roughly
ATTEMPTS = 4


class FfmpegFailed(Exception):
    """Raised with ffmpeg's last line when it could not encode a film."""


@cache
def find_ffmpeg() -> str | None:
    """Return the path of the system's ffmpeg, or else of the optional extra `film`; None without either."""
    if (system := shutil.which("ffmpeg")) is not None:
        return system
    with suppress(ImportError, RuntimeError):  # not installed; installed without a program for this system
        return str(importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe())
    return None


def encode_mp4(film: Film, limit: int, ffmpeg: str) -> bytes:
    """Return the film as an MP4 of at most `limit` bytes; raise ValueError if none fits, FfmpegFailed if it cannot."""
    film = film.scaled(1.0)
    wanted = BITS_PER_PIXEL * film.size[0] * film.size[1] * RATE
    rate = min(wanted, MARGIN * 8 * limit / film.seconds)
    for _ in range(ATTEMPTS):
        data = _encode(film, round(rate), ffmpeg)
        if len(data) <= limit:
            return data
        rate *= MARGIN * limit / len(data)
        film = film.scaled(0.7)
    raise ValueError(f"no film fits into {limit} bytes")


def _encode(film: Film, bit_rate: int, ffmpeg: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "film.mp4"
        command, pipe = [ffmpeg, *_arguments(film, bit_rate), str(out)], subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=subprocess.DEVNULL, stderr=pipe) as process:
            try:
                error = _feed(process, film)
            finally:
                process.kill()
        if process.returncode != 0 or not out.exists():
            lines = error.decode(errors="replace").strip().splitlines()
            raise FfmpegFailed(lines[-1] if lines else f"exit status {process.returncode}")
        return out.read_bytes()


def _feed(process: subprocess.Popen[bytes], film: Film) -> bytes:
    """Write all frames into the pipe; return what ffmpeg said."""
    assert process.stdin is not None and process.stderr is not None
    with suppress(BrokenPipeError):  # it has ended, and says why
        for data, repeats in _repeated(film):
            for _ in range(repeats):
                process.stdin.write(data)
        process.stdin.close()
    error = process.stderr.read()
    process.wait()
    return error


def _repeated(film: Film) -> Iterator[tuple[bytes, int]]:
    """Yield the pixels of each frame, and how often they are shown at the constant rate of an MP4."""
    shown_ms = written = 0
    for image, duration in zip(film.frames(), film.durations, strict=True):
        shown_ms += duration
        repeats = max(1, round(shown_ms * RATE / 1000) - written)
        written += repeats
        yield image.convert("RGB").tobytes(), repeats


def _arguments(film: Film, bit_rate: int) -> list[str]:
    width, height = film.size
    return [
        *("-hide_banner", "-loglevel", "error", "-nostdin", "-y"),
        *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(RATE), "-i", "pipe:0"),
        *("-an", "-pix_fmt", "yuv420p", "-b:v", str(bit_rate), "-maxrate", str(bit_rate), "-bufsize", str(bit_rate)),
        *("-movflags", "+faststart"),
    ]
