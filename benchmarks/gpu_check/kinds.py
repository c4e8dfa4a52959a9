"""What the kinds of jobs take that are more than a grid from a text, each alone."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.engine import UPLOAD_LIMIT, TimedEngine
from benchmarks.gpu_check.people import grid_params
from benchmarks.gpu_check.report import Report
from generation.messages import Generate
from generation.params import FilmKind, FilmPlan, Params, PromptPart, ReadingKind, Tile, WalkEnd

UPLOADED = Tile("p" * 20, 0)
WALK = FilmPlan(FilmKind.WALK, 4, to=WalkEnd((PromptPart("a blue moon"),), 9))


def measure(report: Report, ref: str) -> None:
    """Measure each kind twice, of which the second time counts, and compare it with a grid from a text."""
    timed_engine = TimedEngine(ref, str(report.device), time.perf_counter)
    params, plain = grid_params(report, timed_engine.engine), 0.0
    for name, request in _requests(params, _picture(timed_engine.engine.model.native_size)):
        seconds = [_seconds(timed_engine, replace(request, job_id=f"{name} {turn}")) for turn in range(2)][-1]
        plain = plain or seconds
        report.add("kind", name=name, seconds=f"{seconds:.2f}", of_plain=f"{seconds / plain:.2f}")
    trail = timed_engine.grids["video 1"].trail
    seconds = _seconds(timed_engine, Generate("trail", replace(params, video=True), 0, UPLOAD_LIMIT, trail=trail))
    report.add("kind", name="the video's steps decoded", seconds=f"{seconds:.2f}", of_plain=f"{seconds / plain:.2f}")
    timed_engine.engine.close()


def _requests(params: Params, picture: bytes) -> Iterator[tuple[str, Generate]]:
    kinds: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "from a text": ({}, {}),
        "style": ({"style": UPLOADED}, {"style": picture}),
        "from a picture": ({"source": UPLOADED, "strength": 0.6}, {"source": picture}),
        "walk": ({"film": WALK}, {"places": tuple(tile / params.count for tile in range(params.count))}),
        "video": ({"video": True}, {}),
        "shorten": ({"reading": ReadingKind.SHORTEN, "count": 0}, {}),
        "twice the size": ({"hd": True}, {}),
    }
    for name, (changes, more) in kinds.items():
        yield name, Generate("", replace(params, **changes), 0, UPLOAD_LIMIT, **more)


def _picture(side: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def _seconds(timed_engine: TimedEngine, request: Generate) -> float:
    start = time.perf_counter()
    timed_engine.engine.add(request)
    timed_engine.step_until(lambda: request.job_id in timed_engine.finished_at)
    return time.perf_counter() - start
