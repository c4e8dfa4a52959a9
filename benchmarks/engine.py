"""Time the engine against the stock diffusers pipeline on the same weights: `python -m benchmarks.engine`."""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from torch import Generator

from generation.engine.engine import Engine
from generation.engine.loading import choose_device
from generation.messages import Event, Failed, Finished, Generate, Progress
from generation.models import EMBEDDED
from generation.params import Params, TextPart
from generation.sheet import compose, encode_within

LIMIT = 10_000_000
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
ASPECTS = ((1.0, 1.0), (1.25, 0.75), (1.0, 1.0), (0.75, 1.25), (1.0, 1.0), (1.0, 1.0), (1.25, 0.75), (1.0, 1.0))
STEPS = (12, 30, 8, 20, 12, 40, 8, 16)
PROMPTS = ("a castle on the hills at sunset", "a red boat on the sea", "a fox in the snow", "a rocket in space")


class Watched:
    """An engine whose results can be waited for; times are by `clock`."""

    def __init__(self, ref: str, device: str, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.ended: dict[str, float] = {}
        self.first_seen: dict[str, float] = {}
        self._news = threading.Condition()
        self.engine = Engine.load(ref, device, self._tell)

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
            case Progress(job_id):
                self.first_seen.setdefault(job_id, self.clock())
            case Finished(job_id):
                with self._news:
                    self.ended[job_id] = self.clock()
                    self._news.notify_all()
            case Failed(job_id, _, text):
                raise RuntimeError(f"{job_id} failed: {text}")


@dataclass(frozen=True)
class Arrival:
    """Somebody's job and when it comes, in seconds."""

    request: Generate
    at: float


def params_for(engine: Engine, place: int, aspect: tuple[float, float], steps: int) -> Params:
    """Give a grid of four at the model's own area."""
    side = engine.model.native_size
    return Params(
        parts=(TextPart(PROMPTS[place % len(PROMPTS)]),),
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
    encode_within(compose(images), LIMIT)


class Stopwatch:
    """Wall and processor time since it was made."""

    def __init__(self) -> None:
        self._wall, self._processor = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        """Give both, in seconds."""
        return time.perf_counter() - self._wall, time.process_time() - self._processor


def one_job(watched: Watched, stock: Any, repeats: int) -> list[str]:
    """Time one grid with the engine and with the stock pipeline, in turn.

    On a busy machine the processor time is the one to go by.
    """
    wanted = params_for(watched.engine, 0, (1.0, 1.0), watched.engine.model.num_inference_steps)
    times = [_one_round(watched, stock, wanted, turn) for turn in range(repeats + 1)][1:]  # the first is to warm up
    rows = [_row("engine, result encoded", [engine for engine, _, _ in times], times)]
    rows.append(_row("stock pipeline, pictures in memory", [drawn for _, drawn, _ in times], times))
    rows.append(_row("stock pipeline, result encoded", [encoded for _, _, encoded in times], times))
    title = "| one grid of four | wall | engine / this | processor | engine / this |"
    return [title, "| --- | --- | --- | --- | --- |", *rows]


Times = tuple[float, float]


def _one_round(watched: Watched, stock: Any, wanted: Params, turn: int) -> tuple[Times, Times, Times]:
    watch = Stopwatch()
    images = draw_stock(stock, wanted)
    drawn = watch.read()
    encode_simply(images)
    encoded = watch.read()
    watch = Stopwatch()
    watched.engine.add(Generate(f"one-{turn}", wanted, turn, LIMIT))
    watched.step_until(lambda: f"one-{turn}" in watched.ended)
    return watch.read(), drawn, encoded


def _row(label: str, mine: Sequence[Times], rounds: Sequence[tuple[Times, Times, Times]]) -> str:
    cells = []
    for clock in (0, 1):
        ratio = statistics.median(
            engine[clock] / each[clock] for (engine, _, _), each in zip(rounds, mine, strict=True)
        )
        cells.append(f"{statistics.median(each[clock] for each in mine):.3f} s | {ratio:.3f}")
    return f"| {label} | {' | '.join(cells)} |"


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
    """Run both comparisons and print them as Markdown."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--model", default=None, help="folder or hub id; the embedded model, or a random one like it")
    reader.add_argument("--device", default="auto")
    reader.add_argument("--threads", type=int, default=0)
    reader.add_argument("--repeats", type=int, default=7)
    reader.add_argument("--crowds", type=int, default=2)
    reader.add_argument("--clock", choices=CLOCKS, default="wall", help="processor: for the crowd on a busy CPU")
    given = reader.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        ref = given.model or (EMBEDDED if Path(EMBEDDED).is_dir() else random_model(Path(folder)))
        compare(ref, given.device, CLOCKS[given.clock], given.repeats, given.crowds)


def random_model(folder: Path) -> str:
    """Make a model of the embedded one's size with random weights."""
    from tests.generation.tiny_model import build_tiny_model

    return str(build_tiny_model(folder, channels=(64, 128, 192), side=256, text_in_time=True))


def compare(ref: str, device: str, clock: Callable[[], float], repeats: int, crowds: int) -> None:
    """Load both and print the tables."""
    place, precision = choose_device(device)
    stock = StableDiffusionPipeline.from_pretrained(ref, dtype=precision, safety_checker=None).to(place)
    stock.set_progress_bar_config(disable=True)
    watched = Watched(ref, device, clock)
    model = watched.engine.model
    weights = sum(parameter.numel() for parameter in stock.unet.parameters()) / 1e6
    print(f"{model.name}, UNet of {weights:.1f} M, {model.native_size}², {place}, {torch.get_num_threads()} threads\n")
    print("\n".join(one_job(watched, stock, repeats)))
    wanted = params_for(watched.engine, 0, (1.0, 1.0), model.num_inference_steps)
    start = clock()
    draw_stock(stock, replace(wanted, seed=9))
    gap = (clock() - start) / 2
    print("\n" + "\n".join(crowd(watched, stock, crowds, gap)))
    watched.engine.close()


if __name__ == "__main__":
    main()
