"""The device's own speed: matrix products, attention in the shapes of the UNets, and what new row counts cost."""

from __future__ import annotations

import os
import time

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.gpu_check.report import Report

# Rows, heads, queries, keys and the width of a head.
ATTENTION_SHAPES = {
    "sd15, 64², self": (8, 8, 4096, 4096, 40),
    "sd15, 64², text": (8, 8, 4096, 77, 40),
    "sd15, 32², self": (8, 8, 1024, 1024, 80),
    "sdxl, 64², self": (8, 10, 4096, 4096, 64),
    "sdxl, 32², self": (8, 20, 1024, 1024, 64),
}
BACKENDS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
}


def measure(report: Report) -> None:
    """Measure versions, products, attention by backend, and the first call with a new number of rows."""
    report.add("versions", torch=torch.__version__, cores=os.cpu_count(), **_device_facts(report))
    side = 256 if report.is_small else 8192
    for dtype in (torch.float16, torch.bfloat16):
        matrix = torch.randn(side, side, device=report.device, dtype=dtype)
        milliseconds = report.milliseconds(lambda matrix=matrix: matrix @ matrix)
        report.add("product", dtype=dtype, tflops=f"{2 * side**3 / milliseconds / 1e9:.1f}")
    for name, (rows, heads, queries, keys, width) in ATTENTION_SHAPES.items():
        shrink = 16 if report.is_small else 1
        tensors = [_heads(report, rows, length // shrink, heads, width) for length in (queries, keys, keys)]
        flop = 4 * rows * heads * (queries // shrink) * (keys // shrink) * width
        report.add("attention", shape=name, **_attention_rates(report, tensors, flop))
    for rows in (3, 5, 7):  # cuDNN builds a plan for each new shape, on each thread
        query = _heads(report, rows, 64 if report.is_small else 4096, 8, 40)
        report.synchronize()
        start = time.perf_counter()
        scaled_dot_product_attention(query, query, query)
        report.synchronize()
        report.add("first attention with new rows", rows=rows, ms=f"{1000 * (time.perf_counter() - start):.1f}")


def _device_facts(report: Report) -> dict[str, object]:
    if report.device.type != "cuda":
        return {}
    name, cudnn = torch.cuda.get_device_name(report.device), torch.backends.cudnn.version()
    return {"gpu": name, "cudnn": cudnn, "tf32_convolutions": torch.backends.cudnn.allow_tf32}


def _heads(report: Report, rows: int, length: int, heads: int, width: int) -> Tensor:
    dtype = torch.float16 if report.device.type == "cuda" else torch.float32
    return torch.randn(rows, length, heads, width, device=report.device, dtype=dtype).transpose(1, 2)


def _attention_rates(report: Report, tensors: list[Tensor], flop: int) -> dict[str, str]:
    """Return the rate of what torch chooses, and on CUDA of each backend that can."""
    rates = {"chosen": f"{flop / report.milliseconds(lambda: scaled_dot_product_attention(*tensors)) / 1e9:.1f}"}
    for name, backend in BACKENDS.items() if report.device.type == "cuda" else ():
        try:
            with sdpa_kernel(backend):
                milliseconds = report.milliseconds(lambda: scaled_dot_product_attention(*tensors))
        except RuntimeError:
            rates[name] = "impossible"
        else:
            rates[name] = f"{flop / milliseconds / 1e9:.1f}"
    return rates
