"""The engine with one and with many people, its waits, the stock pipelines beside it, and how alike the images are."""

from __future__ import annotations

import statistics
import time
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.engine import TimedEngine, encode_images, load_stock_pipelines, params_for, run_stock, similarity
from benchmarks.fp8 import compare, draw
from benchmarks.gpu_check.report import Report
from benchmarks.real_model_sizes import run_concurrently
from generation.engine.denoising.engine import DenoisingEngine
from generation.engine.device.device import choose_device, multiplies_fp8
from generation.engine.networks.compiled import CompiledUnet
from generation.models.model import EMBEDDED
from generation.params import Params

PEOPLE = (1, 2, 4, 8)
COMPILED_ROWS = {8, 16, 32}
COMPILE_SECONDS = 90.0


def measure_engine(report: Report, ref: str) -> None:
    """Measure images a second for 1 to 8 people, uncompiled and compiled, and where the step loop waits."""
    timed_engine = TimedEngine(ref, str(report.device), time.perf_counter)
    params = grid_params(report, timed_engine.engine)
    _measure_people(report, timed_engine, params, "uncompiled", 10)
    if report.device.type == "cuda":
        report.add("memory", gigabytes=f"{torch.cuda.max_memory_allocated(report.device) / 1e9:.1f}")
        _measure_waits(report, timed_engine, params)
    _measure_people(report, timed_engine, replace(params, sampler="unipc"), "unipc", 500)
    if not report.is_small:
        _compile(report, timed_engine, params)
        _measure_people(report, timed_engine, params, "compiled", 5000)
    timed_engine.engine.close()


def grid_params(report: Report, engine: DenoisingEngine) -> Params:
    """Return the params of the grid that is measured."""
    return replace(params_for(engine, 0, (1.0, 1.0), 3 if report.is_small else 20), count=2 if report.is_small else 4)


def _measure_people(report: Report, timed_engine: TimedEngine, params: Params, how: str, turn: int) -> None:
    """Measure each number of people twice after a warm-up; merging must not make anybody's images fewer."""
    alone = 0.0
    for people in PEOPLE[:2] if report.is_small else PEOPLE:
        runs = [run_concurrently(timed_engine, params, people, turn + 20 * people + each) for each in range(3)][1:]
        rate, preview, end = (statistics.median(values) for values in zip(*runs, strict=True))
        alone = alone or rate
        facts = {"images_per_second": f"{rate:.2f}", "of_alone": f"{rate / alone:.2f}"}
        report.add(how, people=people, **facts, first_preview=f"{preview:.2f}", mean_end=f"{end:.2f}")


def _measure_waits(report: Report, timed_engine: TimedEngine, params: Params) -> None:
    """Count the calls that torch itself says wait for the device, and how long the GPU worked."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        run_concurrently(timed_engine, params, 4, 7000)
        torch.cuda.set_sync_debug_mode("default")
    places = Counter(
        f"{Path(each.filename).name}:{each.lineno}" for each in caught if "synchroniz" in str(each.message)
    )
    report.add("waits, 4 people", **dict(places.most_common(12)))
    start = time.perf_counter()
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        run_concurrently(timed_engine, params, 4, 8000)
        torch.cuda.synchronize(report.device)
    kernels = profiled.key_averages()
    busy = sum(kernel.self_device_time_total for kernel in kernels) / 1e6
    report.add("the GPU's work, 4 people", share=f"{busy / (time.perf_counter() - start):.0%}")
    for kernel in sorted(kernels, key=lambda kernel: -kernel.self_device_time_total)[:10]:
        report.add("kernel", name=kernel.key[:80], ms=f"{kernel.self_device_time_total / 1e3:.0f}", count=kernel.count)


def _compile(report: Report, timed_engine: TimedEngine, params: Params) -> None:
    """Compile as COMPILE=yes does, by asking often enough for each number of rows."""
    engine, start, turn = timed_engine.engine, time.perf_counter(), 0
    compiled = engine._compiled = CompiledUnet(engine._pipeline.unet)
    while time.perf_counter() - start < COMPILE_SECONDS and not compiled._has_failed:
        if {shape.rows for shape in compiled._ready} >= COMPILED_ROWS:
            break
        run_concurrently(timed_engine, params, (1, 2, 4)[turn % 3], 2000 + turn)
        turn += 1
    rows = sorted(shape.rows for shape in compiled._ready)
    report.add("compiling", rows=rows, failed=compiled._has_failed, seconds=f"{time.perf_counter() - start:.0f}")


def measure_stock(report: Report, ref: str) -> None:
    """Measure the stock pipelines, one grid after another."""
    engine = TimedEngine(ref, str(report.device), time.perf_counter).engine
    params = grid_params(report, engine)
    engine.close()
    for label, stock in load_stock_pipelines(ref, *choose_device(str(report.device)), is_compiled=False).items():
        times = []
        for _ in range(3):
            start = time.perf_counter()
            encode_images(run_stock(stock, params))
            times.append(time.perf_counter() - start)
        report.add(label, images_per_second=f"{params.count / min(times):.2f}")


def measure_similarity(report: Report) -> None:
    """Measure how near the engine's images are to those in float32, with real weights; those in 8 bits as well."""
    if report.is_small:
        return
    timed_engine = TimedEngine(EMBEDDED, str(report.device), time.perf_counter)
    stocks = load_stock_pipelines(EMBEDDED, *choose_device(str(report.device)), is_compiled=False)
    for line in similarity(timed_engine, stocks)[2:]:
        report.add("similarity", row=line)
    timed_engine.engine.close()
    if multiplies_fp8(report.device):
        exact, rounded = (
            draw(EMBEDDED, str(report.device), precision, fp8=fp8)
            for precision, fp8 in ((torch.float32, False), (torch.float16, True))
        )
        ratios = compare(rounded, exact)
        report.add("8 bits", median_psnr=f"{statistics.median(ratios):.1f}", worst=f"{min(ratios):.1f}")
