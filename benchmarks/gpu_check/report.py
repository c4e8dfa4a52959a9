"""The results of a part that measures."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu_check.results import Results


class Report(Results):
    """The results of one part, on the device and at the size that its arguments ask for."""

    def __init__(self, part: str, args: argparse.Namespace) -> None:
        super().__init__(part, Path(args.out))
        self.device, self.is_small = torch.device(args.device), bool(args.small)

    def synchronize(self) -> None:
        """Wait for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def milliseconds(self, work: Callable[[], Any], repeats: int = 6) -> float:
        """Return the median time of some work on the device, after two runs to warm up."""
        times = []
        for _ in range(2 + repeats):
            start = time.perf_counter()
            work()
            self.synchronize()
            times.append(1000 * (time.perf_counter() - start))
        return statistics.median(times[2:])
