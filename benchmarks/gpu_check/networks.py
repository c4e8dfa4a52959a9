"""The UNet by its number of rows, and the VAE by its precision, each alone."""

from __future__ import annotations

import time
from typing import Any

import torch

from benchmarks.gpu_check.report import Report
from generation.engine.networks.compiled import compile_blocks
from generation.engine.networks.fp8 import use_fp8
from generation.engine.networks.pipeline_loader import Pipeline, load_pipeline


def measure(report: Report, ref: str) -> None:
    """Measure one UNet call for each number of rows, until it is launched and until it is done, then the VAE."""
    pipeline = load_pipeline(ref, str(report.device), lambda _: None)
    for rows in (2,) if report.is_small else (2, 8, 16, 32):
        arguments, conditions = _inputs(pipeline, rows)
        with torch.inference_mode():
            milliseconds = report.milliseconds(lambda: pipeline.unet(*arguments, **conditions))  # noqa: B023
            start = time.perf_counter()
            pipeline.unet(*arguments, **conditions)
            launched = 1000 * (time.perf_counter() - start)
            report.synchronize()
        report.add("UNet", rows=rows, ms=f"{milliseconds:.1f}", launched_after_ms=f"{launched:.1f}")
    side = pipeline.unet.config.sample_size
    latents = torch.randn(4, pipeline.vae.config.latent_channels, side, side, device=report.device)
    for dtype in dict.fromkeys((pipeline.vae.dtype, torch.bfloat16, torch.float32)):
        vae = pipeline.vae.to(dtype)
        for count in (1, 4):
            with torch.inference_mode():
                milliseconds = report.milliseconds(lambda: vae.decode(latents[:count].to(dtype)))  # noqa: B023
            report.add("VAE", dtype=dtype, images=count, ms=f"{milliseconds:.1f}")


def measure_fp8(report: Report, ref: str) -> None:
    """Measure the UNet's call for a grid, compiled and not, in its own precision and then in 8 bits."""
    pipeline = load_pipeline(ref, str(report.device), lambda _: None)
    arguments, conditions = _inputs(pipeline, 8)
    for precision in (str(pipeline.unet.dtype), "8 bits"):
        if precision == "8 bits":
            use_fp8(pipeline.unet)
        for how in ("uncompiled", "compiled"):
            options = {"backend": "eager"} if report.is_small else {}
            unet = pipeline.unet if how == "uncompiled" else compile_blocks(pipeline.unet, **options)
            with torch.inference_mode():
                milliseconds = report.milliseconds(lambda: unet(*arguments, **conditions))  # noqa: B023
            report.add("UNet, 8 rows", precision=precision, how=how, ms=f"{milliseconds:.1f}")


def _inputs(pipeline: Pipeline, rows: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
    unet = pipeline.unet
    side, like = unet.config.sample_size, {"device": pipeline.device, "dtype": unet.dtype}
    added = None
    if pipeline.text_encoder_2 is not None:
        added = {"text_embeds": torch.randn(rows, 1280, **like), "time_ids": torch.full((rows, 6), 1024.0, **like)}
    latents = torch.randn(rows, unet.config.in_channels, side, side, **like)
    conditions = {"encoder_hidden_states": torch.randn(rows, 77, unet.config.cross_attention_dim, **like)}
    return (latents, torch.full((rows,), 500.0, device=pipeline.device)), conditions | {"added_cond_kwargs": added}
