"""Compare the CPU time from a cold start to the first grid with that of an earlier commit, both in one run.

`python -m benchmarks.first_grid COMMIT`. Each round starts `main.py imagine` once from this tree and once from a
checkout of COMMIT, so that whatever else the machine does hits both. Needs git; the checkout is removed afterwards.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from generation.models.model import EMBEDDED

ROOT = Path(__file__).parents[1]
TARGET_RATIO = 0.6
PROMPT = "a red boat on the sea"


def main() -> int:
    """Measure the rounds, print the ratio, and return 0 if it meets the target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commit", help="the commit to compare with")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="atelier-before-") as name:
        before = Path(name, "tree")
        subprocess.run(["git", "worktree", "add", "--detach", str(before), args.commit], cwd=ROOT, check=True)
        try:
            rounds = [[_first_grid(tree, args.threads) for tree in (before, ROOT)] for _ in range(args.rounds)]
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(before)], cwd=ROOT, check=True)
    ratio = statistics.median(now / then for then, now in rounds)
    print(f"| CPU time to the first grid | median of {args.rounds} |\n| --- | --- |")
    for label, seconds in zip((args.commit, "this tree"), zip(*rounds, strict=True), strict=True):
        print(f"| {label} | {statistics.median(seconds):.2f} s, at best {min(seconds):.2f} s |")
    print(f"| ratio | {ratio:.3f} |")
    return 0 if ratio <= TARGET_RATIO else 1


def _first_grid(tree: Path, threads: int) -> float:
    """Generate one grid from the command line of a checkout; return the CPU time of all its processes."""
    before = _children_cpu_seconds()
    with tempfile.TemporaryDirectory(prefix="atelier-grid-") as folder:
        subprocess.run(
            [sys.executable, str(tree / "main.py"), "imagine", PROMPT],
            cwd=folder,
            env=os.environ | {"MODEL": EMBEDDED, "THREADS": str(threads), "PYTHONPATH": str(tree)},
            check=True,
            capture_output=True,
        )
    return _children_cpu_seconds() - before


def _children_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
