"""Answer what a GPU alone can answer, in under ten minutes, the most wanted figures first.

`python -m benchmarks.gpu_check`, in an installation for CUDA. Each part is a process of its own with a time limit, so
that one that hangs costs only itself; results are printed and appended to OUT/results.jsonl one by one. Models with
random weights (2 GB and 7 GB) are written beside the first parts. `--device cpu --small` rehearses every part with a
tiny model.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.gpu_check.results import Results

ROOT = Path(__file__).parents[2]
GPU_TESTS = ("tests", "-q", "-m", "gpu", "-p", "no:cacheprovider")

# The parts in the order in which they are wanted, and each one's limit in seconds; 590 together.
LIMITS = {
    "machine": 40,
    "tests": 70,
    "people sd15": 160,
    "people sdxl": 85,
    "networks sdxl": 35,
    "fp8 sdxl": 80,
    "kinds sd15": 30,
    "stock sd15": 40,
    "similarity": 30,
    "networks sd15": 20,
}
WITHOUT_MODEL = ("machine", "tests", "similarity")
WRITE_MODELS = "write models"


def main() -> int:
    """Run one part, or all of them; return 1 if one of them fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", choices=[*LIMITS, WRITE_MODELS])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="a tiny model, to rehearse on a CPU")
    parser.add_argument("--out", default="gpu_check", help="folder for results and models")
    parser.add_argument("--parts", nargs="+", choices=LIMITS, default=list(LIMITS))
    args = parser.parse_args()
    Path(args.out).mkdir(parents=True, exist_ok=True)
    if args.part == WRITE_MODELS:
        for family in ("tiny",) if args.small else ("sd15", "sdxl"):
            _model(args, family)
        return 0
    if args.part:
        return _measure(args)
    codes = []
    with subprocess.Popen(_command(WRITE_MODELS, args), cwd=ROOT) as writing:
        for part in args.parts:
            if part not in WITHOUT_MODEL:
                writing.wait()
            codes.append(_run(part, args))
    return max(codes)


def _command(part: str, args: argparse.Namespace) -> list[str]:
    command = [sys.executable, "-m", "benchmarks.gpu_check", part, "--device", args.device, "--out", args.out]
    return [*command, *["--small"] * args.small]


def _run(part: str, args: argparse.Namespace) -> int:
    """Run a part in a process of its own, within its limit."""
    limit = LIMITS[part] * (10 if args.small else 1)
    start = time.monotonic()
    print(f"\n### {part}", flush=True)
    try:
        code = subprocess.run(_command(part, args), cwd=ROOT, timeout=limit).returncode
    except subprocess.TimeoutExpired:
        code = 1
    Results(part, Path(args.out)).add("end", code=code, seconds=f"{time.monotonic() - start:.0f}")
    return 1 if code else 0


def _measure(args: argparse.Namespace) -> int:
    name, _, family = args.part.partition(" ")
    if name == "tests":
        return (
            subprocess.run([sys.executable, "-m", "pytest", *GPU_TESTS], cwd=ROOT).returncode if not args.small else 0
        )
    # Imported here, because they take seconds, and the process that starts the parts measures nothing.
    from benchmarks.gpu_check import kinds, machine, networks, people
    from benchmarks.gpu_check.report import Report

    report = Report(args.part, args)
    parts: dict[str, Callable[[], None]] = {
        "machine": lambda: machine.measure(report),
        "people": lambda: people.measure_engine(report, _model(args, family)),
        "networks": lambda: networks.measure(report, _model(args, family)),
        "fp8": lambda: networks.measure_fp8(report, _model(args, family)),
        "kinds": lambda: kinds.measure(report, _model(args, family)),
        "stock": lambda: people.measure_stock(report, _model(args, family)),
        "similarity": lambda: people.measure_similarity(report),
    }
    parts[name]()
    return 0


def _model(args: argparse.Namespace, family: str) -> str:
    """Return the folder of a model with random weights, which is written if it is not there."""
    folder = Path(args.out).resolve() / ("tiny" if args.small else family)
    if (folder / "model_index.json").is_file():
        return str(folder)
    if args.small:
        from tests.support.tiny_model import build_tiny_model

        return str(build_tiny_model(folder))
    from benchmarks.real_model_sizes import MODEL_SPECS, build_random_pipeline

    return build_random_pipeline(MODEL_SPECS[family], folder)


if __name__ == "__main__":
    sys.exit(main())
