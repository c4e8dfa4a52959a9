"""Compare the engine with stock diffusers on the same weights: `python -m benchmarks.engine`.

The stock pipeline runs plainly (in float32) and with its own recommendations for the device: half precision, channels
last, and with `--compile` also torch.compile. Compilation is timed separately, because it takes minutes.
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
from generation.files.png_encoder import encode_png
from generation.messages import Event, Failed, Finished, Generate, Grid, Progress, Read
from generation.models.model import EMBEDDED
from generation.params import Params, PromptPart

UPLOAD_LIMIT = 10_000_000
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
ASPECTS = ((1.0, 1.0), (1.25, 0.75), (1.0, 1.0), (0.75, 1.25), (1.0, 1.0), (1.0, 1.0), (1.25, 0.75), (1.0, 1.0))
STEPS = (12, 30, 8, 20, 12, 40, 8, 16)
PROMPTS = ("a castle on the hills at sunset", "a red boat on the sea", "a fox in the snow", "a rocket in space")
BATCHED_STEPS = 4  # few are enough, because every step takes equally long


class TimedEngine:
    """An engine whose results can be awaited, with times measured by `clock`."""

    def __init__(self, ref: str, device: str, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.finished_at: dict[str, float] = {}
        self.first_progress_at: dict[str, float] = {}
        self.first_preview_at: dict[str, float] = {}
        self.grids: dict[str, Grid] = {}
        self._changed = threading.Condition()
        self.engine = DenoisingEngine.load(ref, device, self._on_event)

    def step_until(self, done: Callable[[], bool]) -> None:
        """Step the engine until `done` returns true."""
        while not done():
            if self.engine.busy:
                self.engine.step()
            else:
                with self._changed:
                    self._changed.wait(0.001)

    def _on_event(self, event: Event) -> None:
        match event:
            case Progress(job_id, preview=preview):
                self.first_progress_at.setdefault(job_id, self.clock())
                if preview is not None:
                    self.first_preview_at.setdefault(job_id, self.clock())
            case Finished(job_id, grid):
                with self._changed:
                    self.finished_at[job_id] = self.clock()
                    self.grids[job_id] = grid
                    self._changed.notify_all()
            case Read(job_id):
                with self._changed:
                    self.finished_at[job_id] = self.clock()
                    self._changed.notify_all()
            case Failed(job_id, _, text):
                raise RuntimeError(f"{job_id} failed: {text}")


@dataclass(frozen=True)
class Arrival:
    """A job and its arrival time in seconds."""

    request: Generate
    arrives_at: float


def params_for(engine: DenoisingEngine, number: int, aspect: tuple[float, float], steps: int) -> Params:
    """Return the params of a grid of four at the model's native area; `number` selects prompt and seed."""
    side = engine.model.native_size
    return Params(
        parts=(PromptPart(PROMPTS[number % len(PROMPTS)]),),
        width=round(side * aspect[0] / 32) * 32,
        height=round(side * aspect[1] / 32) * 32,
        seed=1000 * number,
        num_inference_steps=steps,
        guidance_scale=engine.model.guidance_scale,
    )


def run_stock(stock: Any, params: Params) -> list[Image.Image]:
    """Generate a grid with the stock pipeline, as a simple bot would."""
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


def encode_images(images: Sequence[Image.Image]) -> None:
    """Encode tiles and grid image with this project's settings."""
    for image in images:
        encode_png(image, "")
    encode_to_limit(make_grid(images), UPLOAD_LIMIT)


class Stopwatch:
    """Measures wall and CPU time since its creation."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        """Return wall and CPU time in seconds."""
        return time.perf_counter() - self._wall, time.process_time() - self._cpu


def load_stock_pipelines(ref: str, device: torch.device, fast: torch.dtype, *, is_compiled: bool) -> dict[str, Any]:
    """Load the stock pipeline with its defaults, and with the recommendations of its documentation."""
    stocks = {"stock, plain": _load_stock(ref, device, torch.float32)}
    if fast is not torch.float32:
        stocks[f"stock, {fast}, channels last".replace("torch.", "")] = _channels_last(_load_stock(ref, device, fast))
    if is_compiled:
        compiled = _channels_last(_load_stock(ref, device, fast))
        compiled.unet = torch.compile(compiled.unet)
        stocks["the same, compiled"] = compiled
    return stocks


def _load_stock(ref: str, device: torch.device, precision: torch.dtype) -> Any:
    stock = DiffusionPipeline.from_pretrained(ref, dtype=precision, safety_checker=None).to(device)
    stock.set_progress_bar_config(disable=True)
    return stock


def _channels_last(stock: Any) -> Any:
    for network in (stock.unet, stock.vae):
        network.to(memory_format=torch.channels_last)
    return stock


Times = tuple[float, float]
ENGINE = "engine"


def one_job(timed_engine: TimedEngine, stocks: Mapping[str, Any], repeats: int) -> list[str]:
    """Time one grid, encoding included, with the engine and with the stock pipelines, alternately.

    On a busy machine, compare the CPU times.
    """
    params = params_for(timed_engine.engine, 0, (1.0, 1.0), timed_engine.engine.model.num_inference_steps)
    warm_up = {label: _timed(lambda stock=stock: run_stock(stock, params)) for label, stock in stocks.items()}  # type: ignore[misc]
    rounds = [_one_round(timed_engine, stocks, params, turn) for turn in range(repeats + 1)][1:]
    title = "| one grid of four | wall | of plain | CPU | of plain | first time, wall |"
    rows = [_row(label, rounds, warm_up.get(label)) for label in rounds[0]]
    return [title, "| --- | --- | --- | --- | --- | --- |", *rows]


def _timed(work: Callable[[], Any]) -> Times:
    watch = Stopwatch()
    work()
    return watch.read()


def _one_round(timed_engine: TimedEngine, stocks: Mapping[str, Any], params: Params, turn: int) -> dict[str, Times]:
    def with_engine() -> None:
        timed_engine.engine.add(Generate(f"one-{turn}", params, turn, UPLOAD_LIMIT))
        timed_engine.step_until(lambda: f"one-{turn}" in timed_engine.grids)

    times = {
        label: _timed(lambda stock=stock: encode_images(run_stock(stock, params)))  # type: ignore[misc]
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


def similarity(timed_engine: TimedEngine, stocks: Mapping[str, Any]) -> list[str]:
    """Return the PSNR of images, in dB, against those of the plain stock pipeline, over all prompts."""
    rows: dict[str, list[float]] = defaultdict(list)
    for number in range(len(PROMPTS)):
        params = params_for(timed_engine.engine, number, (1.0, 1.0), timed_engine.engine.model.num_inference_steps)
        images = {label: run_stock(stock, params) for label, stock in stocks.items()}
        timed_engine.engine.add(Generate(f"like-{number}", params, number, UPLOAD_LIMIT))
        timed_engine.step_until(lambda: f"like-{number}" in timed_engine.grids)  # noqa: B023
        images[ENGINE] = [Image.open(io.BytesIO(tile)) for tile in timed_engine.grids[f"like-{number}"].tiles]
        plain, *others = images
        for label in others:
            rows[label] += map(psnr, images[label], images[plain])
    title = f"| against the plain stock pipeline, {4 * len(PROMPTS)} images | median PSNR | worst |"
    lines = [
        f"| {label} | {statistics.median(values):.1f} dB | {min(values):.1f} dB |" for label, values in rows.items()
    ]
    return [title, "| --- | --- | --- |", *lines]


def psnr(one: Image.Image, other: Image.Image) -> float:
    """Return the peak signal-to-noise ratio of two images, in dB."""
    difference = np.asarray(one, dtype=float) - np.asarray(other, dtype=float)
    return float(20 * np.log10(255 / max(np.sqrt((difference**2).mean()), 1e-6)))


def batched_throughput(
    timed_engine: TimedEngine, people: Sequence[int], tiles: int, clock: Callable[[], float]
) -> list[str]:
    """Return the time per image with one job per user, run one after another and all at once."""
    title = f"| {tiles} images each, {BATCHED_STEPS} steps | one after another | all at once | ratio |"
    lines = [title, "| --- | --- | --- | --- |"]
    _seconds_per_image(timed_engine, 1, tiles, 1, clock)  # warm-up
    for jobs in people:
        sequential, concurrent = (
            _seconds_per_image(timed_engine, jobs, tiles, at_once, clock) for at_once in (1, jobs)
        )
        milliseconds = f"{1000 * sequential:.0f} ms | {1000 * concurrent:.0f} ms"
        lines.append(f"| {jobs} | {milliseconds} | {concurrent / sequential:.2f} |")
    return lines


def _seconds_per_image(
    timed_engine: TimedEngine, jobs: int, tiles: int, at_once: int, clock: Callable[[], float]
) -> float:
    """Return the seconds per image with `at_once` jobs in the engine at a time."""
    params = [
        replace(params_for(timed_engine.engine, number, (1.0, 1.0), BATCHED_STEPS), count=tiles)
        for number in range(jobs)
    ]
    start = clock()
    for first in range(0, jobs, at_once):
        names = [f"{clock()}-{number}" for number in range(first, first + at_once)]
        for number, name in enumerate(names, first):
            timed_engine.engine.add(Generate(name, params[number], number, UPLOAD_LIMIT))
        timed_engine.step_until(lambda: timed_engine.grids.keys() >= set(names))  # noqa: B023
    return (clock() - start) / (jobs * tiles)


def run_eight_users(timed_engine: TimedEngine, stock: Any, gap: float, turn: int) -> dict[str, dict[str, float]]:
    """Run eight jobs that arrive `gap` seconds apart; return total time, mean wait and mean wait for the first step."""
    arrivals = [
        Arrival(
            Generate(f"{turn}-{number}", params_for(timed_engine.engine, number, aspect, steps), number, UPLOAD_LIMIT),
            gap * number,
        )
        for number, (aspect, steps) in enumerate(zip(ASPECTS, STEPS, strict=True))
    ]
    return {
        "stock": _run_sequentially(stock, arrivals, timed_engine.clock),
        "engine": _run_concurrently(timed_engine, arrivals),
    }


def _run_sequentially(stock: Any, arrivals: Sequence[Arrival], clock: Callable[[], float]) -> dict[str, float]:
    start, waits, first_steps = clock(), [], []
    for arrival in arrivals:
        while clock() - start < arrival.arrives_at:
            pass  # a busy wait, because a sleeping process uses no CPU time, which `clock` may measure
        started = clock()
        encode_images(run_stock(stock, arrival.request.params))
        now = clock()
        waits.append(now - start - arrival.arrives_at)
        first_step = started + (now - started) / arrival.request.params.num_inference_steps
        first_steps.append(first_step - start - arrival.arrives_at)
    return _summary(clock() - start, waits, first_steps)


def _run_concurrently(timed_engine: TimedEngine, arrivals: Sequence[Arrival]) -> dict[str, float]:
    start = timed_engine.clock()
    for arrival in arrivals:
        timed_engine.step_until(lambda at=arrival.arrives_at: timed_engine.clock() - start >= at)  # type: ignore[misc]
        timed_engine.engine.add(arrival.request)
    names = {arrival.request.job_id: arrival.arrives_at for arrival in arrivals}
    timed_engine.step_until(lambda: timed_engine.finished_at.keys() >= names.keys())
    waits = [timed_engine.finished_at[name] - start - at for name, at in names.items()]
    first_steps = [timed_engine.first_progress_at[name] - start - at for name, at in names.items()]
    return _summary(max(timed_engine.finished_at[name] for name in names) - start, waits, first_steps)


def _summary(total: float, waits: Sequence[float], first_steps: Sequence[float]) -> dict[str, float]:
    means = {"mean wait": statistics.mean(waits), "mean wait for the first step": statistics.mean(first_steps)}
    return {"total": total} | means


def staggered_users(timed_engine: TimedEngine, stock: Any, repeats: int, gap: float) -> list[str]:
    """Return a comparison of the medians over several runs of eight users."""
    runs = [run_eight_users(timed_engine, stock, gap, turn) for turn in range(repeats)]
    rows = []
    for measure in runs[0]["stock"]:
        stock_time, engine_time = (statistics.median(run[name][measure] for run in runs) for name in ("stock", ENGINE))
        rows.append(f"| {measure} | {stock_time:.2f} s | {engine_time:.2f} s | {engine_time / stock_time:.2f} |")
    title = f"| eight users, {gap:.1f} s apart | stock, one after another | engine | ratio |"
    return [title, "| --- | --- | --- | --- |", *rows]


def main() -> None:
    """Run the requested comparisons and print them as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=None, help="folder or hub id; the embedded model, or a random one like it")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--compile", action="store_true", help="also time the stock pipeline compiled")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--crowds", type=int, default=2)
    parser.add_argument("--people", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument(
        "--clock", choices=CLOCKS, default="wall", help="processor: CPU time, for `crowd` on a busy machine"
    )
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        ref = args.model or (EMBEDDED if Path(EMBEDDED).is_dir() else build_random_model(Path(folder)))
        compare(ref, args)


PARTS = ("job", "likeness", "grids", "pictures", "crowd")


def build_random_model(folder: Path) -> str:
    """Build a model of the embedded one's size with random weights."""
    from tests.support.tiny_model import build_tiny_model

    return str(build_tiny_model(folder, channels=(64, 128, 192), side=256, text_in_time=True))


def compare(ref: str, args: argparse.Namespace) -> None:
    """Load the engine and the stock pipelines and print the tables."""
    device, precision = choose_device(args.device)
    clock = CLOCKS[args.clock]
    timed_engine = TimedEngine(ref, args.device, clock)
    stocks = load_stock_pipelines(ref, device, precision, is_compiled=args.compile)
    plain = next(iter(stocks.values()))
    model = timed_engine.engine.model
    weights = sum(parameter.numel() for parameter in plain.unet.parameters()) / 1e6
    print(f"{model.name}, UNet of {weights:.1f} M, {model.native_size}², {device} with {precision}, ", end="")
    print(f"{torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}")
    if device.type == "cpu":
        print("No GPU was found: these figures are for a CPU.")
    tables: dict[str, Callable[[], list[str]]] = {
        "job": lambda: one_job(timed_engine, stocks, args.repeats),
        "likeness": lambda: similarity(timed_engine, stocks),
        "grids": lambda: batched_throughput(timed_engine, args.people, 4, clock),
        "pictures": lambda: batched_throughput(timed_engine, args.people, 1, clock),
        "crowd": lambda: staggered_users(
            timed_engine, plain, args.crowds, _arrival_interval(timed_engine, plain, clock)
        ),
    }
    for part in args.parts:
        print("\n" + "\n".join(tables[part]()), flush=True)
    timed_engine.engine.close()


def _arrival_interval(timed_engine: TimedEngine, stock: Any, clock: Callable[[], float]) -> float:
    """Return half the time of one grid, so that jobs arrive faster than they can be generated."""
    start = clock()
    run_stock(
        stock,
        replace(params_for(timed_engine.engine, 0, (1.0, 1.0), timed_engine.engine.model.num_inference_steps), seed=9),
    )
    return (clock() - start) / 2


if __name__ == "__main__":
    main()
