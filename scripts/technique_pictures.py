"""Draw the pictures of docs/prompts.md: `python -m scripts.technique_pictures [NAME …] [--out docs]`.

Each shows what a technique does, panel by panel. The model is that of MODEL, by default the embedded one.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from bot.cli import UPLOAD_LIMIT
from bot.config import Config
from bot.registry import load_registry
from bot.workers import make_worker
from generation.engine.images.edges import canny_edges, scribble_lines
from generation.job import new_job_id
from generation.messages import Generate
from generation.models.registry import ModelRegistry
from generation.params import Params, Upload
from generation.prompt import parse_prompt
from generation.worker.worker import LocalWorker
from scripts.parameter_pictures import join

QUALITY = 78  # of WebP


@dataclass(frozen=True, slots=True)
class Panel:
    """A picture with its label below; `style` and `source` are panels of its row, from 0, whose pictures it uses.

    With `read`, it is what a ControlNet is shown of its source, and nothing is drawn.
    """

    label: str
    prompt: str
    style: int | None = None
    source: int | None = None
    is_grey: bool = False  # shown in shades of grey
    read: Callable[[Image.Image], Image.Image] | None = None


def _styles(reference: str, prompt: str) -> tuple[Panel, ...]:
    weights = (50, 100, 300, 1000)
    styled = [Panel(f"--sw {weight}", f"{prompt} --sref panel --sw {weight}", 0) for weight in weights]
    return (Panel("the reference", reference), Panel("without", prompt), *styled)


def _edits(before: str, after: str, prompt: str) -> tuple[Panel, ...]:
    edits = [f"[{before}:{after}:{share}]" for share in (0.25, 0.5, 0.75)]
    return tuple(Panel(words, prompt.format(words)) for words in (before, *edits, after))


def _kept(drawn: str, edited: str, prompt: str) -> tuple[Panel, ...]:
    """Return a picture, and the same one with other words, as *Edit words* draws it."""
    kept = (Panel(f"--keep {keep}", prompt.format(f"[{drawn}:{edited}:{keep / 100}]")) for keep in (50, 25, 15))
    return (Panel(drawn, prompt.format(drawn)), *kept, Panel(f"{edited}, --keep 0", prompt.format(edited)))


def _held(drawn: str, edited: str, prompt: str) -> tuple[Panel, ...]:
    """Return a picture, and the same one with other words, alone and where all else is held."""
    changed = prompt.format(f"[{drawn}:{edited}:.0]")
    return (Panel(drawn, prompt.format(drawn)), Panel(edited, changed), Panel("--hold", f"{changed} --hold"))


def _mixed(source: str, words: str, more: str = "") -> tuple[Panel, ...]:
    prompts = [f"--mix {words} --keep {keep}{more}" for keep in (25, 50, 100)]
    mixed = [Panel(f"--keep {keep}", prompt, source=0) for keep, prompt in zip((25, 50, 100), prompts, strict=True)]
    return (Panel("the picture", source), Panel(words, f"{words}{more}"), *mixed)


def _coloured(source: str, *words: str) -> tuple[Panel, ...]:
    """Return a grey picture, and its colours by themselves and with words."""
    prompts = ("", *words)
    coloured = [Panel(prompt or "--colour", f"{prompt} --colour --seed 9", source=0) for prompt in prompts]
    return (Panel("the picture", source, is_grey=True), *coloured)


def _read(source: str) -> tuple[Panel, ...]:
    """Return a picture, and what ControlNets follow of it."""
    read = {"--control canny": canny_edges, "--control scribble": scribble_lines}
    return (Panel("the picture", source), *(Panel(name, "", source=0, read=lines) for name, lines in read.items()))


TECHNIQUES: dict[str, tuple[tuple[Panel, ...], ...]] = {
    "styles": (
        _styles("a windmill in a meadow, sepia --seed 3", "a red boat on the sea --seed 7"),
        _styles("a castle at night, neon --seed 4", "a fox in a meadow --seed 7"),
    ),
    "edit-words": (
        _kept("in the snow", "in a meadow", "a castle {} --seed 3"),
        _kept("a red boat", "a blue boat", "{} on the sea --seed 7"),
    ),
    "hold": (
        (
            *_held("a yellow castle", "a purple castle", "{} in the mountains at sunset --seed 3"),
            *_held("a fox", "a rabbit", "{} in a meadow --seed 4"),
        ),
        (
            *_held("in a meadow", "in the snow", "a red car {} --seed 5"),
            *_held("a house", "a windmill", "{} on the hills --seed 8"),
        ),
    ),
    "mix": (
        _mixed("a red boat on the sea at sunset --seed 3", "a castle in the snow", " --seed 9"),
        _mixed("a snowman at night --seed 5", "a fox in a meadow", " --seed 9"),
    ),
    "colour": (
        _coloured("a red boat on the sea at sunset --seed 3", "a red boat on the sea", "a purple boat at night"),
        _coloured("a castle in a meadow --seed 3", "a castle in a meadow", "a pink castle in the desert at sunset"),
    ),
    "controls": (_read("a castle in the snow --seed 3"),),
    "prompt-edits": (
        _edits("a castle", "a windmill", "{} in the snow --seed 3"),
        _edits("sunset", "night", "a red boat on the sea at {} --seed 7"),
    ),
}


async def draw_techniques(config: Config, names: list[str], out: Path) -> None:
    """Draw pictures with one worker, and write each into a file."""
    registry = load_registry(config)
    worker = make_worker(config, registry)
    await worker.start()
    try:
        for name in names:
            target = out / f"{name}.webp"
            strips = [await _draw_row(worker, registry, row) for row in TECHNIQUES[name]]
            _stack(strips).save(target, quality=QUALITY, method=6)
            print(f"{target}: {target.stat().st_size >> 10} KiB", flush=True)
    finally:
        await worker.close()


async def _draw_row(worker: LocalWorker, registry: ModelRegistry, row: tuple[Panel, ...]) -> Image.Image:
    files = list[bytes]()
    for panel in row:
        if panel.read is not None and panel.source is not None:
            files.append(_png(panel.read(Image.open(io.BytesIO(files[panel.source])).convert("RGB"))))
            continue
        params = replace(_params(panel, registry), count=1)
        style = None if panel.style is None else files[panel.style]
        source = None if panel.source is None else files[panel.source]
        request = Generate(new_job_id(), params, 0, UPLOAD_LIMIT, source=source, style=style)
        drawn = (await worker.generate(request, lambda progress: None)).tiles[0]
        files.append(_in_grey(drawn) if panel.is_grey else drawn)
    images = [Image.open(io.BytesIO(file)).convert("RGB") for file in files]
    return join(images, [panel.label for panel in row])


def _in_grey(file: bytes) -> bytes:
    return _png(Image.open(io.BytesIO(file)).convert("L"))


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _params(panel: Panel, registry: ModelRegistry) -> Params:
    images = () if panel.source is None else (Upload("panel"),)
    return parse_prompt(panel.prompt, registry, attached=len(images)).with_images(images)


def _stack(strips: list[Image.Image]) -> Image.Image:
    picture = Image.new("RGB", (max(strip.width for strip in strips), sum(strip.height for strip in strips)), "white")
    top = 0
    for strip in strips:
        picture.paste(strip, (0, top))
        top += strip.height
    return picture


def main() -> None:
    """Draw the pictures that were asked for, or all."""
    parser = argparse.ArgumentParser(description="Draw what techniques do, for docs/prompts.md.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TECHNIQUES)} (all)")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    options = parser.parse_args()
    if unknown := set(options.names) - TECHNIQUES.keys():
        parser.error(f"there is no picture named {', '.join(sorted(unknown))}")
    asyncio.run(draw_techniques(Config.read(os.environ), options.names or list(TECHNIQUES), options.out))


if __name__ == "__main__":  # the GPU process imports this file again
    main()
