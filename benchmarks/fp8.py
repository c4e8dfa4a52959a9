"""Compare images of FP8=yes with those in float32, by PSNR: `python -m benchmarks.fp8`.

Beside them are those in bfloat16. A CPU multiplies in 8 bits as exactly as a GPU, but slowly, so this says nothing of
speed; `benchmarks.gpu_check` does.
"""

from __future__ import annotations

import argparse
import io
import statistics
from collections.abc import Sequence

import torch
from PIL import Image

from benchmarks.engine import PROMPTS, UPLOAD_LIMIT, params_for, psnr
from generation.engine.denoising.engine import DenoisingEngine
from generation.engine.networks.pipeline_loader import load_pipeline
from generation.messages import Event, Failed, Finished, Generate
from generation.models.model import EMBEDDED

PRECISIONS = {"bfloat16": (torch.bfloat16, False), "8 bits": (torch.float32, True)}


def main() -> None:
    """Print the median and the worst PSNR of each precision as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=EMBEDDED, help="folder or hub id")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    exact = draw(args.model, args.device, torch.float32, fp8=False)
    print(f"| against float32, {len(exact)} images | median PSNR | worst |\n| --- | --- | --- |")
    for name, (precision, fp8) in PRECISIONS.items():
        ratios = compare(draw(args.model, args.device, precision, fp8=fp8), exact)
        print(f"| {name} | {statistics.median(ratios):.1f} dB | {min(ratios):.1f} dB |", flush=True)


def draw(ref: str, device: str, precision: torch.dtype, *, fp8: bool) -> list[Image.Image]:
    """Return the tiles of a grid for each prompt."""
    ends: list[Event] = []
    engine = DenoisingEngine(load_pipeline(ref, device, lambda _: None, precision, fp8=fp8), ends.append)
    for number in range(len(PROMPTS)):
        params = params_for(engine, number, (1.0, 1.0), engine.model.num_inference_steps)
        engine.add(Generate(f"{number}", params, number, UPLOAD_LIMIT))
    while engine.busy:
        engine.step()
    engine.close()
    if failed := [end for end in ends if isinstance(end, Failed)]:
        raise RuntimeError(failed[0].text)
    grids = sorted((end for end in ends if isinstance(end, Finished)), key=lambda end: end.job_id)
    return [Image.open(io.BytesIO(tile)) for end in grids for tile in end.grid.tiles]


def compare(images: Sequence[Image.Image], exact: Sequence[Image.Image]) -> list[float]:
    """Return the PSNR of each image, in dB."""
    return [psnr(one, other) for one, other in zip(images, exact, strict=True)]


if __name__ == "__main__":
    main()
