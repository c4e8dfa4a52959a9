"""An engine without torch for the road's tests: paints one colour a seed, and stumbles where the prompt says so.

It runs in a real child process, so a test reaches it through its model folder: a prompt with the word "slow" gets
no further than its first step until there is a file `go`; one with "stuck" takes that long for its second step, which
nothing can interrupt, and says so by a file `stuck`; one with "death" ends the process unless there is a file
`spare`; one with "huge" is too large for the memory; a result of one with "naked" is
sensitive; one with "mosaic" has shapes instead of one colour; the steps of one with "undeveloped" are not decoded
until there is a file `go`; a walk to "halfway" is slow in its second half. While there is a file `hold`, no engine is
ready.
"""

from __future__ import annotations

import io
import os
import random
import signal
import time
from pathlib import Path

from PIL import Image

from generation.engine.base import Emit
from generation.files.grid_image import encode_to_limit, make_grid
from generation.files.thumbnail import encode_thumbnail
from generation.messages import Failed, FailureReason, Finished, Generate, Grid, Progress, Read, Reading
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.params import Word
from generation.planning.shortening import split_words


class FakeEngine:
    """Takes one step of every running job at a time."""

    def __init__(self, model: Model, emit: Emit) -> None:
        self.model, self.device = model, "cpu"
        self._folder = Path(model.ref)
        self._emit = emit
        self._running: dict[str, tuple[Generate, int]] = {}

    @property
    def busy(self) -> bool:
        return bool(self._running)

    def add(self, request: Generate) -> None:
        self._running[request.job_id] = request, 0

    def cancel(self, job_id: str) -> None:
        if self._running.pop(job_id, None):
            self._emit(Failed(job_id, FailureReason.CANCELLED, ""))

    def step(self) -> None:
        for job_id, (request, step) in list(self._running.items()):
            self._advance(job_id, request, step + 1)
        time.sleep(0.002)

    def close(self) -> None:
        pass

    def _advance(self, job_id: str, request: Generate, step: int) -> None:
        if request.trail:
            self._develop(job_id, request)
            return
        words = " ".join(part.text for part in request.params.parts)
        if max(request.places, default=0) > 0.5 and "halfway" in request.params.film.to.parts[0].text:
            words += " slow"
        if step == 2 and "slow" in words and not (self._folder / "go").exists():
            return
        while step == 2 and "stuck" in words and not (self._folder / "go").exists():
            (self._folder / "stuck").touch()
            time.sleep(0.002)
        if step == 2 and "death" in words and not (self._folder / "spare").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        if step == 2 and "huge" in words:
            self._running.pop(job_id)
            self._emit(Failed(job_id, FailureReason.OUT_OF_MEMORY, "This is too large for the GPU's memory."))
            return
        if step > request.params.num_inference_steps:
            self._running.pop(job_id)
            if request.params.reading is not None:
                self._emit(Read(job_id, _reading(request)))
            else:
                self._emit(Finished(job_id, self._grid(request)))
            return
        self._running[job_id] = request, step
        of, preview = request.params.num_inference_steps, _jpeg(self._tile(request, 0))
        self._emit(Progress(job_id, step, of))
        self._emit(Progress(job_id, step - 1, of, preview))  # as the real engine's come: beside the step, and late
        self._emit(Progress(job_id, step, of))

    def _develop(self, job_id: str, request: Generate) -> None:
        if "undeveloped" in request.params.parts[0].text and not (self._folder / "go").exists():
            return
        self._running.pop(job_id)
        painted = self._tile(request, 0)
        sheets = [Image.blend(Image.new("RGB", painted.size), painted, share) for share in (0.2, 0.6)]
        sensitive = "bare" in request.params.parts[0].text
        self._emit(Finished(job_id, Grid(tuple(map(_jpeg, sheets)), b"", "jpg", 0.05, sensitive)))

    def _grid(self, request: Generate) -> Grid:
        tiles = [self._tile(request, index) for index in range(request.params.count)]
        sheet, suffix = encode_to_limit(make_grid(tiles), request.upload_limit, f"Job: {request.job_id}")
        sensitive = any("naked" in part.text for part in request.params.parts)
        trail = b"steps" if request.params.video else b""
        files, thumbnails = (tuple(map(encode, tiles)) for encode in (_png, encode_thumbnail))
        return Grid(files, sheet, suffix, 0.1, sensitive, trail, thumbnails)

    def _tile(self, request: Generate, index: int) -> Image.Image:
        params = request.params
        size = params.width, params.height
        painted = Image.new("RGB", size, f"#{params.seed_of(index) * 2654435761 % 2**24:06x}")
        if request.places:
            last = Image.new("RGB", size, f"#{params.film.to.seed * 2654435761 % 2**24:06x}")
            first = Image.new("RGB", size, f"#{params.seed * 2654435761 % 2**24:06x}")
            return Image.blend(first, last, request.places[index])
        if any("mosaic" in part.text for part in params.parts):
            painted = mosaic(params.seed_of(index), size)
        if request.source is None:
            return painted
        source = _open(request.source)
        for number, data in enumerate(request.blended, start=2):
            source = Image.blend(source, _open(data).resize(source.size), 1 / number)
        if request.mask or params.region:
            mask = _open(request.mask).convert("L").resize(size) if request.mask else _cells(params.region, size)
            return Image.composite(painted, source.resize(size), mask)
        if frame := params.frame:
            painted.paste(source.resize((frame.width, frame.height)), (frame.left, frame.top))
            return painted
        source = source.resize(size)
        return Image.blend(source, painted, params.strength)


def _reading(request: Generate) -> Reading:
    """Return long words as important ones; a picture is described by its mean colour."""
    if request.source is not None:
        mean = _open(request.source).resize((1, 1)).tobytes().hex()
        return Reading(0.1, texts=(f"a boat {mean}", "a fox", "a castle", "a tree"))
    texts = [split_words(part.text) for part in request.params.parts]
    words = tuple(tuple(Word(word, min(1.0, (len(word.strip()) - 1) / 6)) for word in text) for text in texts)
    return Reading(0.1, words)


def mosaic(seed: int, size: tuple[int, int]) -> Image.Image:
    """Return a picture with shapes of its own for each seed."""
    fields = Image.frombytes("RGB", (10, 10), random.Random(seed).randbytes(300))
    return fields.resize(size, Image.Resampling.BICUBIC)


def load(registry: ModelRegistry, device: str, threads: int, emit: Emit) -> FakeEngine:
    while (Path(registry.default.ref) / "hold").exists():
        time.sleep(0.002)
    return FakeEngine(registry.default, emit)


def _open(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def _cells(region: tuple[int, ...], size: tuple[int, int]) -> Image.Image:
    cells = Image.new("L", (3, 3))
    cells.putdata([255 * (number in region) for number in range(9)])
    return cells.resize(size, Image.Resampling.NEAREST)


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()
