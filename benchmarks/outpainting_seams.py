"""Measure the seams of pan, zoom and square in the default style: `python -m benchmarks.outpainting_seams`.

The pictures are those of the embedded model with its own settings. A seam is the step of colour at an edge of the kept
picture, as a multiple of the larger steps elsewhere: at 1 and below it cannot be told from the picture itself. For
comparison, a picture is pasted into another.
"""

from __future__ import annotations

import io
import statistics
import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from generation.engine.networks.pipeline_loader import load_pipeline
from generation.messages import Finished
from generation.models.model import EMBEDDED, describe_model
from generation.models.registry import ModelRegistry
from generation.params import Frame, Params, Tile
from generation.planning import actions
from generation.planning.actions import Direction
from generation.prompt import parse_params
from tests.support.engine_harness import EngineHarness, make_request
from tests.support.seams import seam_strength

TILE = Tile("0" * 12, 0)
LIMIT = 1.0
PROMPTS = (
    "a red boat on the sea",
    "a house on the hills at sunset",
    "a dog on the beach",
    "an owl at night",
    "an orange fish under water",
    "a green dragon in the mountains",
)


class Outpainter:
    """The embedded model with its default settings, and what people press below its pictures."""

    def __init__(self) -> None:
        self.facts = describe_model(EMBEDDED)
        self.harness = EngineHarness(load_pipeline(EMBEDDED, "cpu", lambda _: None))

    def type(self, prompt: str, seed: int) -> Params:
        """Return the params of one picture for a typed prompt."""
        wanted = parse_params(prompt, ModelRegistry((self.facts,)), new_seed=lambda: seed)
        return replace(wanted, count=1)

    def generate(self, wanted: Params, source: bytes | None = None) -> bytes:
        """Return the picture of a job."""
        (end,) = self.harness.generate(make_request(f"job {len(self.harness.events)}", wanted, source=source))
        assert isinstance(end, Finished), end
        return end.grid.tiles[0]

    def extensions(self, prompt: str, seed: int) -> Iterator[tuple[str, float]]:
        """Yield the name of each button and the seam of what it generates."""
        own, wide = self.type(prompt, seed), self.type(f"{prompt} --ar 4:3", seed)
        model = self.harness.engine.model
        first, broad = self.generate(own), self.generate(wide)
        yield "zoom", self._seam(actions.zoom_out(own, TILE, model, seed + 1, 2.0), first)
        for direction in (Direction.RIGHT, Direction.UP):
            yield "pan", self._seam(actions.pan(own, TILE, model, seed + 1, direction), first)
        yield "square", self._seam(actions.make_square(wide, TILE, model, seed + 1), broad)
        yield "pasted, for comparison", _pasted(first, self.generate(self.type(prompt, seed + 2)))

    def _seam(self, wanted: Params, source: bytes) -> float:
        assert wanted.frame is not None
        return seam_strength(_pixels(Image.open(io.BytesIO(self.generate(wanted, source)))), wanted.frame)


def _pasted(first: bytes, other: bytes) -> float:
    whole = Image.open(io.BytesIO(other)).convert("RGB")
    quarter = Frame(whole.width // 4, whole.height // 4, whole.width // 2, whole.height // 2)
    whole.paste(Image.open(io.BytesIO(first)).resize((quarter.width, quarter.height)), (quarter.left, quarter.top))
    return seam_strength(_pixels(whole), quarter)


def _pixels(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.int_]]:
    return np.asarray(image.convert("RGB"), dtype=int)


def main() -> int:
    """Measure all buttons on all prompts, print the seams, and return 1 if one is too strong."""
    torch.set_num_threads(1)
    found: dict[str, list[float]] = {}
    painter = Outpainter()
    for seed, prompt in enumerate(PROMPTS):
        for button, strength in painter.extensions(prompt, 10 * seed):
            found.setdefault(button, []).append(strength)
    painter.harness.close()
    print("| button | median seam | strongest | pictures |\n| --- | --- | --- | --- |")
    for button, seams in found.items():
        print(f"| {button} | {statistics.median(seams):.2f} | {max(seams):.2f} | {len(seams)} |")
    return int(any(max(found[button]) > LIMIT for button in ("zoom", "pan", "square")))


if __name__ == "__main__":
    sys.exit(main())
