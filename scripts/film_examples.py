"""Draw the films of docs/films.md: `python -m scripts.film_examples [NAME …] [--out docs/films]`.

The model is that of MODEL, by default the embedded one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from dataclasses import dataclass, replace
from pathlib import Path

from bot.cli import UPLOAD_LIMIT, parse_cli_prompt
from bot.config import Config
from bot.images.films import FilmMaker
from bot.jobs.films.pictures import WalkPictures
from bot.registry import load_registry
from bot.workers import make_worker
from generation.files.metadata import NullSigner
from generation.films.order import AppearanceOrder, FilmOrder, ZoomOrder
from generation.job import new_job_id
from generation.messages import Generate
from generation.models.model import Model
from generation.params import FilmKind, Params, PromptPart, Tile
from generation.planning.films import film_plan, film_steps, zoom_film
from generation.planning.walks import MIN_PICTURES, walk
from generation.prompt import parse_prompt
from generation.worker.worker import LocalWorker

MAX_BYTES = 260_000  # of a film


@dataclass(frozen=True, slots=True)
class Example:
    """A picture's prompt, and the film that is made from it."""

    prompt: str
    kind: FilmKind
    steps: int
    words: str = ""


@dataclass(frozen=True, slots=True)
class VideoExample:
    """The prompt of a grid whose steps become a film."""

    prompt: str


@dataclass(frozen=True, slots=True)
class WalkExample:
    """The prompts of both ends of a walk; the words of the second one may have another seed."""

    prompt: str
    to: str
    seed: int


EXAMPLES: dict[str, Example | VideoExample | WalkExample] = {
    "zoom-out": Example(
        "a red castle on the hills --seed 11",
        FilmKind.ZOOM_OUT,
        4,
        "the hills by day | the hills at sunset | the hills at dusk | the hills at night with stars",
    ),
    "zoom-in": Example("a red boat on the sea at sunset --seed 3", FilmKind.ZOOM_IN, 3, "the sea at sunset"),
    "loop": Example("a blue fish under water --seed 5", FilmKind.LOOP, 3, "under water | the sea | the sea at night"),
    "video": VideoExample("a lighthouse on the coast at sunset --steps 12 --seed 4 --video"),
    "walk": WalkExample("a red castle on the hills by day --seed 11", "a lighthouse on the coast at night", 11),
    "walk-seeds": WalkExample("a forest --seed 3", "a forest", 8),
}


async def draw_films(config: Config, names: list[str], out: Path) -> None:
    """Draw films with one worker, and write each into a file."""
    registry = load_registry(config)
    worker = make_worker(config, registry)
    await worker.start()
    try:
        for name in names:
            example = EXAMPLES[name]
            film = await _draw_any(worker, registry.default, example)
            target = out / f"{name}.webp"
            target.write_bytes(film)
            print(f"{target}: {len(film) >> 10} KiB", flush=True)
    finally:
        await worker.close()


async def _draw_any(worker: LocalWorker, model: Model, example: Example | VideoExample | WalkExample) -> bytes:
    match example:
        case VideoExample():
            return await _draw_video(worker, example)
        case WalkExample():
            return await _draw_walk(worker, model, example)
        case _:
            return await _draw(worker, model, example)


async def _draw_walk(worker: LocalWorker, model: Model, example: WalkExample) -> bytes:
    start = replace(parse_cli_prompt(example.prompt, worker.registry, with_image=False), count=1)
    params = walk(start, (PromptPart(example.to),), example.seed, MIN_PICTURES)
    pictures = WalkPictures(params, model, Generate(new_job_id(), params, 0, UPLOAD_LIMIT))
    drawn: list[bytes] = []
    while len(drawn) < MIN_PICTURES:
        drawn += (await worker.generate(pictures.following(drawn), lambda progress: None)).tiles
    return await FilmMaker(NullSigner()).make(pictures.order(drawn, MAX_BYTES, None, None), params)


async def _draw(worker: LocalWorker, model: Model, example: Example) -> bytes:
    first = replace(parse_cli_prompt(example.prompt, worker.registry, with_image=False), count=1)
    pictures = [await _generate(worker, first)]
    plan = film_plan(example.kind, example.steps, example.words)
    film = zoom_film(first, Tile(new_job_id(), 0), model, first.seed + 1, plan)
    steps = film_steps(film, model)
    for step in steps:
        pictures.append(await _generate(worker, step, pictures[-1]))
    frames = tuple(step.frame for step in steps if step.frame is not None)
    order = FilmOrder(tuple(pictures), MAX_BYTES, ZoomOrder(example.kind, frames))
    return await FilmMaker(NullSigner()).make(order, film)


async def _draw_video(worker: LocalWorker, example: VideoExample) -> bytes:
    params = parse_prompt(example.prompt, worker.registry).params
    request = Generate(new_job_id(), params, 0, UPLOAD_LIMIT)
    grid = await worker.generate(request, lambda progress: None)
    steps = await worker.generate(replace(request, trail=grid.trail), lambda progress: None)
    order = FilmOrder((*steps.tiles, grid.image), MAX_BYTES, AppearanceOrder())
    return await FilmMaker(NullSigner()).make(order, params)


async def _generate(worker: LocalWorker, params: Params, source: bytes | None = None) -> bytes:
    request = Generate(new_job_id(), params, 0, UPLOAD_LIMIT, source)
    return (await worker.generate(request, lambda progress: None)).tiles[0]


def main() -> None:
    """Draw the films that were asked for, or all."""
    parser = argparse.ArgumentParser(description="Draw the films of docs/films.md.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(EXAMPLES)} (all)")
    parser.add_argument("--out", type=Path, default=Path("docs/films"))
    options = parser.parse_args()
    if unknown := set(options.names) - EXAMPLES.keys():
        parser.error(f"there is no film named {', '.join(sorted(unknown))}")
    options.out.mkdir(parents=True, exist_ok=True)
    asyncio.run(draw_films(Config.read(os.environ), options.names or list(EXAMPLES), options.out))


if __name__ == "__main__":  # the GPU process imports this file again
    main()
