"""Print results, and append them to a file at once: a part that is stopped keeps those it has."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


class Report:
    """The results of one part, on the device and at the size that its arguments ask for."""

    def __init__(self, part: str, args: argparse.Namespace) -> None:
        self.part, self.device, self.is_small = part, torch.device(args.device), bool(args.small)
        self.folder = Path(args.out)

    def add(self, what: str, **facts: Any) -> None:
        """Print a result, and append it to results.jsonl."""
        print(f"{self.part}, {what}: " + ", ".join(f"{name} {value}" for name, value in facts.items()), flush=True)
        line = {"part": self.part, "what": what} | {name: str(value) for name, value in facts.items()}
        with (self.folder / "results.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

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
