"""Time real model sizes with random weights: `python -m benchmarks.real_model_sizes --family sd15 --stock`.

The model folder has the layout of the hub's and is loaded like one. On a GPU, the images per second are compared with
the maximum that its matrix rate allows. On a CPU, `--steps 2 --tiles 1` shows that full-size models work at all.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from benchmarks.engine import UPLOAD_LIMIT, TimedEngine, encode_images, load_stock_pipelines, params_for, run_stock
from generation.engine.device.device import choose_device
from generation.engine.networks.ldm_checkpoint import clip_tokenizer
from generation.messages import Generate
from generation.params import Params

H200_TFLOPS = 790.0  # TFLOP/s in half precision, from published measurements; use --rate for another GPU
TEXT = {"vocab_size": 49408, "max_position_embeddings": 77, "bos_token_id": 49406, "eos_token_id": 49407}
VIT_L = TEXT | {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
VIT_H = TEXT | {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 23, "num_attention_heads": 16}
VIT_G = TEXT | {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20}
SDXL_UNET = {
    "sample_size": 128,
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "cross_attention_dim": 2048,
    "attention_head_dim": (5, 10, 20),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}


@dataclass(frozen=True)
class ModelSpec:
    """The published architecture of a family, and the TFLOP of one UNet row and of decoding one image."""

    name: str
    resolution: int
    unet: dict[str, Any]
    text_encoders: tuple[dict[str, Any], ...]
    unet_tflop: float
    vae_tflop: float
    prediction: str = "epsilon"

    def max_images_per_second(self, steps: int, rate: float) -> float:
        """Return the maximum number of images per second at `rate` TFLOP/s, with guidance."""
        return rate / (2 * steps * self.unet_tflop + self.vae_tflop)


MODEL_SPECS = {
    "sd15": ModelSpec(
        "Stable Diffusion 1.5",
        512,
        {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8},
        (VIT_L,),
        0.803,
        2.52,
    ),
    "sd21": ModelSpec(
        "Stable Diffusion 2.1",
        768,
        {
            "sample_size": 96,
            "cross_attention_dim": 1024,
            "attention_head_dim": (5, 10, 20, 20),
            "use_linear_projection": True,
        },
        (VIT_H | {"hidden_act": "gelu"},),
        2.149,
        5.75,
        "v_prediction",
    ),
    "sdxl": ModelSpec(
        "Stable Diffusion XL",
        1024,
        SDXL_UNET,
        (VIT_L, VIT_G | {"hidden_act": "gelu", "projection_dim": 1280}),
        6.761,
        10.47,
    ),
}


def build_random_pipeline(family: ModelSpec, folder: Path) -> str:
    """Save a pipeline of the real size with random weights in bfloat16; return its folder."""
    encoders = [transformers.CLIPTextModel, transformers.CLIPTextModelWithProjection][: len(family.text_encoders)]
    texts = [
        _build_random(kind, transformers.CLIPTextConfig(**config))
        for kind, config in zip(encoders, family.text_encoders, strict=True)
    ]
    scheduler = diffusers.DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=family.prediction,
    )
    with torch.device("meta"):
        unet = diffusers.UNet2DConditionModel(**family.unet)
        vae = diffusers.AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            sample_size=family.resolution,
            force_upcast=len(texts) > 1,  # SDXL's, as people get it
        )
    parts: dict[str, Any] = {"unet": _init_random(unet), "vae": _init_random(vae), "scheduler": scheduler}
    for number, text in enumerate(texts):
        suffix = "_2" if number else ""
        parts |= {f"text_encoder{suffix}": text, f"tokenizer{suffix}": clip_tokenizer("<|endoftext|>")}
    pipeline: Any = (
        diffusers.StableDiffusionXLPipeline(**parts, add_watermarker=False)
        if len(texts) > 1
        else diffusers.StableDiffusionPipeline(
            **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )
    )
    pipeline.save_pretrained(folder)
    return str(folder)


def _build_random(kind: Any, config: Any) -> Any:
    with torch.device("meta"):
        network = kind(config)
    return _init_random(network)


def _init_random(network: Any) -> Any:
    """Allocate a meta network's weights and fill them with small random values."""
    network.to(torch.bfloat16).to_empty(device="cpu")
    with torch.no_grad():
        for name, weight in network.named_parameters():
            bound = (3 / weight[0].numel()) ** 0.5 if weight.ndim > 1 else 0.0
            weight.uniform_(-bound, bound) if bound else weight.fill_(float(name.endswith("weight")))
    return network


@contextmanager
def _model_folder(folder: Path | None, family: ModelSpec) -> Any:
    """Yield the model's folder: an existing one, a new one to keep, or a temporary one."""
    if folder is not None and (folder / "model_index.json").is_file():
        yield str(folder)
    elif folder is not None:
        yield build_random_pipeline(family, folder)
    else:
        with tempfile.TemporaryDirectory(prefix="atelier-full-size-") as name:
            yield build_random_pipeline(family, Path(name))


def run_concurrently(timed_engine: TimedEngine, params: Params, people: int, turn: int) -> tuple[float, float, float]:
    """Run one job per user at once; return images per second and the mean times to first preview and to the end."""
    names = [f"{turn}-{number}" for number in range(people)]
    start = timed_engine.clock()
    for number, name in enumerate(names):
        timed_engine.engine.add(Generate(name, replace(params, seed=1000 * number), number, UPLOAD_LIMIT))
    timed_engine.step_until(lambda: timed_engine.finished_at.keys() >= set(names))
    seconds = max(timed_engine.finished_at[name] for name in names) - start
    previews = [timed_engine.first_preview_at.get(name, timed_engine.finished_at[name]) - start for name in names]
    return (
        people * params.count / seconds,
        statistics.mean(previews),
        statistics.mean(timed_engine.finished_at[name] - start for name in names),
    )


def engine_rows(
    timed_engine: TimedEngine, params: Params, people: Sequence[int], repeats: int, bound: float
) -> list[str]:
    """Return a row of times of the engine for each number of concurrent users."""
    rows = []
    for number in people:
        runs = [run_concurrently(timed_engine, params, number, turn) for turn in range(repeats + 1)]
        measured = runs[1:] or runs  # the first one is the warm-up, if there are others
        rate, preview, end = (statistics.median(values) for values in zip(*measured, strict=True))
        rows.append(_table_row(f"engine, {number} at once", rate, bound, preview, end))
    return rows


def stock_rows(stocks: dict[str, Any], params: Params, repeats: int, bound: float) -> list[str]:
    """Return a row of times of each stock pipeline for one grid, which has no preview before its end."""
    rows = []
    for label, stock in stocks.items():
        times = []
        for _ in range(repeats + 1):
            start = time.perf_counter()
            encode_images(run_stock(stock, params))
            times.append(time.perf_counter() - start)
        seconds = statistics.median(times[1:] or times)
        rows.append(_table_row(label, params.count / seconds, bound, seconds, seconds))
    return rows


def _table_row(label: str, rate: float, bound: float, preview: float, end: float) -> str:
    share = f"{rate / bound:.0%}" if bound else ""
    return f"| {label} | {rate:.3f} | {share} | {preview:.2f} s | {end:.2f} s |"


def main() -> None:
    """Build or load the model, measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=MODEL_SPECS, default="sd15")
    parser.add_argument("--folder", type=Path, help="an existing model, or where to keep a new one (default: discard)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--tiles", type=int, default=4)
    parser.add_argument("--people", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--repeats", type=int, default=3, help="0: once, without a warm-up")
    parser.add_argument("--stock", action="store_true", help="also time the stock pipeline")
    parser.add_argument("--compile", action="store_true", help="with --stock: also compiled")
    parser.add_argument("--rate", type=float, default=H200_TFLOPS, help=f"the GPU's TFLOP/s ({H200_TFLOPS:.0f})")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    family = MODEL_SPECS[args.family]
    device, precision = choose_device(args.device)
    with _model_folder(args.folder, family) as ref:
        start = time.perf_counter()
        timed_engine = TimedEngine(ref, args.device, time.perf_counter)
        print(f"{family.name}, random weights, {family.resolution}², {args.tiles} images a grid, ", end="")
        print(f"{args.steps} steps; {device} with {precision}, ", end="")
        print(f"loaded in {time.perf_counter() - start:.1f} s, load {os.getloadavg()[0]:.1f}")
        if device.type == "cpu":
            print("No GPU was found: this shows that full-size models work, not how fast a GPU is.")
        bound = family.max_images_per_second(args.steps, args.rate) if device.type == "cuda" else 0.0
        params = replace(params_for(timed_engine.engine, 0, (1.0, 1.0), args.steps), count=args.tiles)
        print("\n| | images/s | of the bound | first preview | end |\n| --- | --- | --- | --- | --- |", flush=True)
        print("\n".join(engine_rows(timed_engine, params, args.people, args.repeats, bound)), flush=True)
        timed_engine.engine.close()
        if args.stock:
            stocks = load_stock_pipelines(ref, device, precision, is_compiled=args.compile)
            print("\n".join(stock_rows(stocks, params, args.repeats, bound)))


if __name__ == "__main__":
    main()
