"""Compare compiling a UNet's blocks with compiling it whole: `python -m benchmarks.compiling [MODEL]`.

For both: the processor time of the compiling thread, which holds Python's lock for most of it, and the pace of
uncompiled calls on another thread meanwhile, as a share of their pace before. The calls of both have `--rows` rows.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable
from typing import Any

import torch

from generation.engine.denoising.engine import DenoisingEngine
from generation.engine.denoising.usual_rows import usual_rows
from generation.engine.device.device import choose_device
from generation.engine.networks.compiled import allow_many_shapes, compile_blocks
from generation.engine.networks.pipeline_loader import load_pipeline
from generation.models.model import EMBEDDED

Call = Callable[[Any], Any]


def main() -> None:
    """Print the figures of both."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", nargs="?", default=EMBEDDED, help="a folder or hub id")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--backend", default="inductor", help="`eager` traces only")
    args = parser.parse_args()
    torch.set_num_threads(1)
    device, precision = choose_device(args.device)
    pipeline = load_pipeline(args.model, str(device), lambda _: None, precision)
    call = usual_call(pipeline)
    for name, compiler in (("blocks", compile_blocks), ("whole", torch.compile)):
        torch._dynamo.reset()
        seconds, pace = measure(pipeline.unet, compiler(pipeline.unet, dynamic=False, backend=args.backend), call)
        print(f"{name:8} {seconds:6.1f} s of the compiling thread, other calls at {pace:.0%} of their pace", flush=True)


def usual_call(pipeline: Any) -> Call:
    """Return a function that calls a UNet with the rows of one grid."""
    engine = DenoisingEngine(pipeline, lambda _: None)
    encoder = engine._variants.base.encoder
    rows = next(usual_rows(pipeline.model, encoder, engine._vae, engine._samplers, limit=32))
    engine.close()
    latents = rows.latents.to(pipeline.unet.dtype)
    return lambda unet: unet(latents, rows.timesteps, **rows.conditions, return_dict=False)


def measure(unet: Any, compiled: Any, call: Call) -> tuple[float, float]:
    """Return the seconds that compiling took of its thread, and the pace of other calls meanwhile."""
    taken: list[float] = []

    def compile_once() -> None:
        allow_many_shapes()
        before = time.thread_time()
        with torch.inference_mode():
            call(compiled)
        taken.append(time.thread_time() - before)

    alone = calls_per_second(unet, call, time.monotonic() + 10)
    compiling = threading.Thread(target=compile_once)
    compiling.start()
    beside = calls_per_second(unet, call, None, compiling.is_alive)
    compiling.join()
    return taken[0], beside / alone


@torch.inference_mode()
def calls_per_second(unet: Any, call: Call, until: float | None, go_on: Callable[[], bool] = lambda: True) -> float:
    """Return the pace of calls until a time, or as long as `go_on` says."""
    start, count = time.monotonic(), 0
    while go_on() and (until is None or time.monotonic() < until):
        call(unet)
        count += 1
    return count / (time.monotonic() - start)


if __name__ == "__main__":
    main()
