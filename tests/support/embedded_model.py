"""The embedded model generating small images for typed prompts, and measurements of them."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from generation.engine.networks.pipeline_loader import Pipeline
from generation.messages import Failed, Finished, Progress
from generation.models.model import EMBEDDED, describe_model
from generation.models.registry import ModelRegistry
from generation.params import Params, Upload
from generation.prompt import parse_params
from tests.support.engine_harness import EngineHarness, make_request

# At this size and with few steps the embedded model still follows prompts, in an eighth of the time. What it is not
# good enough at to be offered (`unsupported`) is tested all the same: other models of its family do it.
SMALL_EMBEDDED = replace(
    describe_model(EMBEDDED),
    native_size=128,
    num_inference_steps=6,
    trigger_words="watercolour",
    unsupported=frozenset(),
)
SOURCE = Upload("0" * 64)

Pixels = NDArray[np.float32]


@dataclass(frozen=True)
class Drawing:
    """A job's images (tiles × height × width × 3, from 0 to 255), files and progress.

    `calls` are the rows of the UNet calls made for it and for the jobs generated with it.
    """

    params: Params
    tiles: Pixels
    files: tuple[bytes, ...]
    progress: list[Progress]
    calls: list[int]

    @property
    def colour(self) -> Pixels:
        """Return the mean red, green and blue."""
        mean: Pixels = self.tiles.mean((0, 1, 2))
        return mean


def small_params(prompt: str, source: Upload | None = None, **changes: Any) -> Params:
    """Return what a typed prompt asks of the embedded model: a small tile of seed 7 unless `changes` say otherwise."""
    wanted = parse_params(prompt, ModelRegistry((SMALL_EMBEDDED,)), source=source, new_seed=lambda: 7)
    return replace(wanted, **{"count": 1} | changes)


class EmbeddedModelHarness:
    """An engine with the embedded model that generates typed prompts."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.harness = EngineHarness(pipeline)
        self._ids = (f"drawing-{number}" for number in itertools.count())

    def generate(self, *prompts: str, source: bytes | None = None, **changes: Any) -> list[Drawing]:
        """Generate typed prompts together; each is one tile of seed 7 unless `changes` to the Params say otherwise."""
        wanted = [small_params(prompt, SOURCE if source else None, **changes) for prompt in prompts]
        return self.generate_params(*wanted, source=source)

    def generate_params(self, *wanted: Params, source: bytes | None = None) -> list[Drawing]:
        """Generate several params together."""
        requests = [
            make_request(job_id, params, source=source, order=order)
            for order, (params, job_id) in enumerate(zip(wanted, self._ids, strict=False))
        ]
        before = len(self.harness.calls)
        ends = self.harness.generate(*requests)
        calls = self.harness.calls[before:]
        return [self._drawing(params, end, calls) for params, end in zip(wanted, ends, strict=True)]

    def _drawing(self, params: Params, end: Finished | Failed, calls: list[int]) -> Drawing:
        assert isinstance(end, Finished), end
        files = end.grid.tiles
        tiles = np.stack([read_pixels(file) for file in files])
        return Drawing(params, tiles, files, self.harness.progress(end.job_id), calls)


def read_pixels(file: bytes) -> Pixels:
    """Return an image's pixels."""
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"), np.float32)


def plain_png(colour: str, side: int = 128) -> bytes:
    """Return an image of a single colour."""
    file = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(file, "PNG")
    return file.getvalue()


def distance(one: Drawing, other: Drawing) -> float:
    """Return the mean difference of two drawings' pixels, tile by tile."""
    return float(np.abs(one.tiles - other.tiles).mean())


def tile_spread(drawing: Drawing) -> float:
    """Return the mean difference between the tiles of a drawing."""
    return float(np.mean([np.abs(one - other).mean() for one, other in itertools.combinations(drawing.tiles, 2)]))


def high_frequency_energy(tiles: Pixels) -> float:
    """Return the energy of detail finer than a few pixels: the mean square of what a 5×5 blur removes."""
    blurred = sum(np.roll(tiles, shift, (1, 2)) for shift in itertools.product(range(-2, 3), repeat=2)) / 25
    return float(((tiles - blurred)[:, 2:-2, 2:-2] ** 2).mean())


def is_increasing(values: Sequence[float], min_step: float = 0.0) -> bool:
    """Return whether each value is larger than the one before by more than `min_step`."""
    return all(later - earlier > min_step for earlier, later in itertools.pairwise(values))
