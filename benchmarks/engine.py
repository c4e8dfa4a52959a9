"""Time the engine against stock diffusers on the same weights: `python -m benchmarks.engine`.

The stock pipeline stands there plain (32-bit floats) and with its own recommendations for the device: half precision,
channels last, and with `--compile` torch.compile. Compiling is timed apart, since it takes minutes.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline
from PIL import Image
from torch import Generator

from generation.engine.denoising.engine import DenoisingEngine
from generation.engine.device.device import choose_device
from generation.files.grid_image import encode_to_limit, make_grid
from generation.messages import Event, Failed, Finished, Generate, Grid, Progress
from generation.models.model import EMBEDDED
from generation.params import Params, PromptPart

LIMIT = 10_000_000
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
ASPECTS = ((1.0, 1.0), (1.25, 0.75), (1.0, 1.0), (0.75, 1.25), (1.0, 1.0), (1.0, 1.0), (1.25, 0.75), (1.0, 1.0))
STEPS = (12, 30, 8, 20, 12, 40, 8, 16)
PROMPTS = ("a castle on the hills at sunset", "a red boat on the sea", "a fox in the snow", "a rocket in space")
MERGED_STEPS = 4  # a step takes as long whether there are few or many


class Watched:
    """An engine whose results can be waited for; times are by `clock`."""

    def __init__(self, ref: str, device: str, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.ended: dict[str, float] = {}
        self.first_seen: dict[str, float] = {}
        self.previewed: dict[str, float] = {}
        self.grids: dict[str, Grid] = {}
        self._news = threading.Condition()
        self.engine = DenoisingEngine.load(ref, device, self._tell)

    def step_until(self, done: Callable[[], bool]) -> None:
        """Step while there is something to do, until `done`."""
        while not done():
            if self.engine.busy:
                self.engine.step()
            else:
                with self._news:
                    self._news.wait(0.001)

    def _tell(self, event: Event) -> None:
        match event:
            case Progress(job_id, preview=preview):
                self.first_seen.setdefault(job_id, self.clock())
                if preview is not None:
                    self.previewed.setdefault(job_id, self.clock())
            case Finished(job_id, grid):
                with self._news:
                    self.ended[job_id] = self.clock()
                    self.grids[job_id] = grid
                    self._news.notify_all()
            case Failed(job_id, _, text):
                raise RuntimeError(f"{job_id} failed: {text}")


@dataclass(frozen=True)
class Arrival:
    """Somebody's job and when it comes, in seconds."""

    request: Generate
    at: float


def params_for(engine: DenoisingEngine, place: int, aspect: tuple[float, float], steps: int) -> Params:
    """Give a grid of four at the model's own area."""
    side = engine.model.native_size
    return Params(
        parts=(PromptPart(PROMPTS[place % len(PROMPTS)]),),
        width=round(side * aspect[0] / 32) * 32,
        height=round(side * aspect[1] / 32) * 32,
        seed=1000 * place,
        num_inference_steps=steps,
        guidance_scale=engine.model.guidance_scale,
    )


def draw_stock(stock: Any, params: Params) -> list[Image.Image]:
    """Draw with the stock pipeline as a simple bot would."""
    generators = [Generator("cpu").manual_seed(params.seed + tile) for tile in range(params.count)]
    images: list[Image.Image] = stock(
        params.parts[0].text,
        width=params.width,
        height=params.height,
        num_inference_steps=params.num_inference_steps,
        guidance_scale=params.guidance_scale,
        num_images_per_prompt=params.count,
        generator=generators,
    ).images
    return images


def encode_simply(images: Sequence[Image.Image]) -> None:
    """Encode what a bot needs, with this project's settings, after the pipeline is done."""
    for image in images:
        image.save(io.BytesIO(), "PNG", compress_level=1)
    encode_to_limit(make_grid(images), LIMIT)


class Stopwatch:
    """Wall and processor time since it was made."""

    def __init__(self) -> None:
        self._wall, self._processor = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        """Give both, in seconds."""
        return time.perf_counter() - self._wall, time.process_time() - self._processor


def stock_pipelines(ref: str, place: torch.device, fast: torch.dtype, *, is_compiled: bool) -> dict[str, Any]:
    """Load the stock pipeline as it comes and as its documentation recommends."""
    stocks = {"stock, plain": _stock(ref, place, torch.float32)}
    if fast is not torch.float32:
        stocks[f"stock, {fast}, channels last".replace("torch.", "")] = _laid_out(_stock(ref, place, fast))
    if is_compiled:
        compiled = _laid_out(_stock(ref, place, fast))
        compiled.unet = torch.compile(compiled.unet)
        stocks["the same, compiled"] = compiled
    return stocks


def _stock(ref: str, place: torch.device, precision: torch.dtype) -> Any:
    stock = DiffusionPipeline.from_pretrained(ref, dtype=precision, safety_checker=None).to(place)
    stock.set_progress_bar_config(disable=True)
    return stock


def _laid_out(stock: Any) -> Any:
    for network in (stock.unet, stock.vae):
        network.to(memory_format=torch.channels_last)
    return stock


Times = tuple[float, float]
ENGINE = "engine"


def one_job(watched: Watched, stocks: Mapping[str, Any], repeats: int) -> list[str]:
    """Time one grid, encoded, with the engine and with the stock pipelines, in turn.

    On a busy machine the processor time is the one to go by.
    """
    wanted = params_for(watched.engine, 0, (1.0, 1.0), watched.engine.model.num_inference_steps)
    warm = {label: _timed(lambda stock=stock: draw_stock(stock, wanted)) for label, stock in stocks.items()}  # type: ignore[misc]
    rounds = [_one_round(watched, stocks, wanted, turn) for turn in range(repeats + 1)][1:]
    title = "| one grid of four | wall | of plain | processor | of plain | first time, wall |"
    rows = [_row(label, rounds, warm.get(label)) for label in rounds[0]]
    return [title, "| --- | --- | --- | --- | --- | --- |", *rows]


def _timed(work: Callable[[], Any]) -> Times:
    watch = Stopwatch()
    work()
    return watch.read()


def _one_round(watched: Watched, stocks: Mapping[str, Any], wanted: Params, turn: int) -> dict[str, Times]:
    def with_engine() -> None:
        watched.engine.add(Generate(f"one-{turn}", wanted, turn, LIMIT))
        watched.step_until(lambda: f"one-{turn}" in watched.grids)

    times = {
        label: _timed(lambda stock=stock: encode_simply(draw_stock(stock, wanted)))  # type: ignore[misc]
        for label, stock in stocks.items()
    }
    return times | {ENGINE: _timed(with_engine)}


def _row(label: str, rounds: Sequence[Mapping[str, Times]], first: Times | None) -> str:
    cells = []
    for clock in (0, 1):
        seconds = statistics.median(each[label][clock] for each in rounds)
        ratio = statistics.median(each[label][clock] / next(iter(each.values()))[clock] for each in rounds)
        cells.append(f"{seconds:.3f} s | {ratio:.3f}")
    return f"| {label} | {' | '.join(cells)} | {'' if first is None else f'{first[0]:.1f} s'} |"


def likeness(watched: Watched, stocks: Mapping[str, Any]) -> list[str]:
    """Compare pictures with the plain stock pipeline's: peak signal-to-noise ratios in dB over some prompts."""
    rows: dict[str, list[float]] = defaultdict(list)
    for place in range(len(PROMPTS)):
        wanted = params_for(watched.engine, place, (1.0, 1.0), watched.engine.model.num_inference_steps)
        drawn = {label: draw_stock(stock, wanted) for label, stock in stocks.items()}
        watched.engine.add(Generate(f"like-{place}", wanted, place, LIMIT))
        watched.step_until(lambda: f"like-{place}" in watched.grids)  # noqa: B023
        drawn[ENGINE] = [Image.open(io.BytesIO(tile)) for tile in watched.grids[f"like-{place}"].tiles]
        plain, *others = drawn
        for label in others:
            rows[label] += map(_decibels, drawn[label], drawn[plain])
    title = f"| against the plain stock pipeline, {4 * len(PROMPTS)} pictures | median PSNR | worst |"
    lines = [f"| {label} | {statistics.median(found):.1f} dB | {min(found):.1f} dB |" for label, found in rows.items()]
    return [title, "| --- | --- | --- |", *lines]


def _decibels(one: Image.Image, other: Image.Image) -> float:
    difference = np.asarray(one, dtype=float) - np.asarray(other, dtype=float)
    return float(20 * np.log10(255 / max(np.sqrt((difference**2).mean()), 1e-6)))


def merged(watched: Watched, people: Sequence[int], tiles: int, clock: Callable[[], float]) -> list[str]:
    """Give so many people a job each, one after another and all at once; compare the time for a picture."""
    title = f"| {tiles} pictures each, {MERGED_STEPS} steps | one after another | all at once | ratio |"
    lines = [title, "| --- | --- | --- | --- |"]
    _pace(watched, 1, tiles, 1, clock)  # to warm up
    for number in people:
        apart, together = (_pace(watched, number, tiles, at_once, clock) for at_once in (1, number))
        lines.append(f"| {number} | {1000 * apart:.0f} ms | {1000 * together:.0f} ms | {together / apart:.2f} |")
    return lines


def _pace(watched: Watched, number: int, tiles: int, at_once: int, clock: Callable[[], float]) -> float:
    """Give the seconds for a picture, where so many jobs are there at once."""
    wanted = [
        replace(params_for(watched.engine, place, (1.0, 1.0), MERGED_STEPS), count=tiles) for place in range(number)
    ]
    start = clock()
    for first in range(0, number, at_once):
        names = [f"{clock()}-{place}" for place in range(first, first + at_once)]
        for place, name in enumerate(names, first):
            watched.engine.add(Generate(name, wanted[place], place, LIMIT))
        watched.step_until(lambda: watched.grids.keys() >= set(names))  # noqa: B023
    return (clock() - start) / (number * tiles)


def eight_people(watched: Watched, stock: Any, gap: float, turn: int) -> dict[str, dict[str, float]]:
    """Let eight people come `gap` seconds apart; give total time, mean wait and mean time to the first sign."""
    arrivals = [
        Arrival(
            Generate(f"{turn}-{place}", params_for(watched.engine, place, aspect, steps), place, LIMIT), gap * place
        )
        for place, (aspect, steps) in enumerate(zip(ASPECTS, STEPS, strict=True))
    ]
    return {"stock": _one_after_another(stock, arrivals, watched.clock), "engine": _together(watched, arrivals)}


def _one_after_another(stock: Any, arrivals: Sequence[Arrival], clock: Callable[[], float]) -> dict[str, float]:
    start, waits, signs = clock(), [], []
    for arrival in arrivals:
        while clock() - start < arrival.at:
            pass  # busily, since a sleeping process has no processor time
        begun = clock()
        encode_simply(draw_stock(stock, arrival.request.params))
        now = clock()
        waits.append(now - start - arrival.at)
        signs.append(begun + (now - begun) / arrival.request.params.num_inference_steps - start - arrival.at)
    return _summary(clock() - start, waits, signs)


def _together(watched: Watched, arrivals: Sequence[Arrival]) -> dict[str, float]:
    start = watched.clock()
    for arrival in arrivals:
        watched.step_until(lambda at=arrival.at: watched.clock() - start >= at)  # type: ignore[misc]
        watched.engine.add(arrival.request)
    names = {arrival.request.job_id: arrival.at for arrival in arrivals}
    watched.step_until(lambda: watched.ended.keys() >= names.keys())
    waits = [watched.ended[name] - start - at for name, at in names.items()]
    signs = [watched.first_seen[name] - start - at for name, at in names.items()]
    return _summary(max(watched.ended[name] for name in names) - start, waits, signs)


def _summary(total: float, waits: Sequence[float], signs: Sequence[float]) -> dict[str, float]:
    return {"total": total, "mean wait": statistics.mean(waits), "mean wait for the first step": statistics.mean(signs)}


def crowd(watched: Watched, stock: Any, repeats: int, gap: float) -> list[str]:
    """Repeat the eight people and compare the medians."""
    runs = [eight_people(watched, stock, gap, turn) for turn in range(repeats)]
    rows = []
    for measure in runs[0]["stock"]:
        stock_time, engine_time = (statistics.median(run[who][measure] for run in runs) for who in ("stock", "engine"))
        rows.append(f"| {measure} | {stock_time:.2f} s | {engine_time:.2f} s | {engine_time / stock_time:.2f} |")
    title = f"| eight people, {gap:.1f} s apart | stock, one after another | engine | ratio |"
    return [title, "| --- | --- | --- | --- |", *rows]


def main() -> None:
    """Run the comparisons that are asked for and print them as Markdown."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--model", default=None, help="folder or hub id; the embedded model, or a random one like it")
    reader.add_argument("--device", default="auto")
    reader.add_argument("--threads", type=int, default=0)
    reader.add_argument("--compile", action="store_true", help="also time the stock pipeline compiled")
    reader.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    reader.add_argument("--repeats", type=int, default=7)
    reader.add_argument("--crowds", type=int, default=2)
    reader.add_argument("--people", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    reader.add_argument("--clock", choices=CLOCKS, default="wall", help="processor: for crowds on a busy CPU")
    given = reader.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        ref = given.model or (EMBEDDED if Path(EMBEDDED).is_dir() else random_model(Path(folder)))
        compare(ref, given)


PARTS = ("job", "likeness", "grids", "pictures", "crowd")


def random_model(folder: Path) -> str:
    """Make a model of the embedded one's size with random weights."""
    from tests.generation.tiny_model import build_tiny_model

    return str(build_tiny_model(folder, channels=(64, 128, 192), side=256, text_in_time=True))


def compare(ref: str, given: argparse.Namespace) -> None:
    """Load the engine and the stock pipelines and print the tables."""
    place, precision = choose_device(given.device)
    clock = CLOCKS[given.clock]
    watched = Watched(ref, given.device, clock)
    stocks = stock_pipelines(ref, place, precision, is_compiled=given.compile)
    plain = next(iter(stocks.values()))
    model = watched.engine.model
    weights = sum(parameter.numel() for parameter in plain.unet.parameters()) / 1e6
    print(f"{model.name}, UNet of {weights:.1f} M, {model.native_size}², {place} with {precision}, ", end="")
    print(f"{torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}")
    if place.type == "cpu":
        print("There is no GPU here: nothing is said about one.")
    tables: dict[str, Callable[[], list[str]]] = {
        "job": lambda: one_job(watched, stocks, given.repeats),
        "likeness": lambda: likeness(watched, stocks),
        "grids": lambda: merged(watched, given.people, 4, clock),
        "pictures": lambda: merged(watched, given.people, 1, clock),
        "crowd": lambda: crowd(watched, plain, given.crowds, _gap(watched, plain, clock)),
    }
    for part in given.parts:
        print("\n" + "\n".join(tables[part]()), flush=True)
    watched.engine.close()


def _gap(watched: Watched, stock: Any, clock: Callable[[], float]) -> float:
    """Give half of what one grid takes, so that people come faster than they can be served."""
    start = clock()
    draw_stock(
        stock, replace(params_for(watched.engine, 0, (1.0, 1.0), watched.engine.model.num_inference_steps), seed=9)
    )
    return (clock() - start) / 2


if __name__ == "__main__":
    main()
