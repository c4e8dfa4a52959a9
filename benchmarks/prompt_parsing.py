"""Time parsing a prompt against `shlex.split` with `argparse`: `python -m benchmarks.prompt_parsing`."""

from __future__ import annotations

import argparse
import shlex
import statistics
import time
from collections.abc import Callable

from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.prompt import PromptRequest, format_prompt, parse_params, parse_prompt, permute

REGISTRY = ModelRegistry((Model(name="storybook", ref="models/storybook"),))
PROMPTS = (
    "a red fox under the moon",
    "a red fox under the moon, misty forest, cinematic light, 85mm --ar 3:2 --seed 41",
    "portrait of an old sailor, oil painting, golden hour --ar 2:3 --no text, people --cfg 6.5 --steps 30",
    "hot:: dog::-.5 --ar 16:9 --sampler euler_a --quality 2 --seed 7",
    "赤い狐、月の下で --ar 3:2 --seed 5",
    "a very detailed description of a castle, " * 20 + "--ar 3:2 --seed 5 --negative blurry, low contrast",
)
ROUNDS, REPEATS = 15, 100


def argparse_parser() -> Callable[[str], argparse.Namespace]:
    """Build a minimal parser of the same parameters, without the tolerance and the error messages of the bot's."""
    parser = argparse.ArgumentParser()
    parser.add_argument("text", nargs="*")
    for name, kind in (("seed", int), ("steps", int), ("cfg", float), ("quality", float)):
        parser.add_argument(f"--{name}", type=kind)
    for name in ("ar", "sampler"):
        parser.add_argument(f"--{name}")
    for name in ("no", "negative"):
        parser.add_argument(f"--{name}", nargs="+")
    return lambda prompt: parser.parse_args(shlex.split(prompt))


def milliseconds(function: Callable[[str], object], prompt: str) -> float:
    """Return the mean time of one call."""
    start = time.perf_counter()
    for _ in range(REPEATS):
        function(prompt)
    return (time.perf_counter() - start) / REPEATS * 1000


def parse_full_prompt(_: str) -> PromptRequest:
    """Parse a prompt as `/imagine` does, with a link, an option, preferences and a server's defaults."""
    typed = "https://example.org/fox.png a red fox:: snow::.5 --iw 2 --mine --c 20 --tile --fast"
    (prompt,) = permute(typed, limit=4)
    return parse_prompt(
        prompt, REGISTRY, defaults=("--s 250 --ar 3:2", "--q 2 --relax"), options={"mine": "in ink --weird 20"}
    )


def main() -> None:
    """Print the median time of each prompt with both parsers, measured alternately, and their ratio."""
    parse_with_argparse = argparse_parser()
    print("  ours    argparse  ratio  prompt")
    for prompt in PROMPTS:
        pairs = [
            (milliseconds(lambda text: parse_params(text, REGISTRY), prompt), milliseconds(parse_with_argparse, prompt))
            for _ in range(ROUNDS)
        ]
        ours, theirs = (statistics.median(times) for times in zip(*pairs, strict=True))
        print(f"{ours:.3f} ms  {theirs:.3f} ms  {ours / theirs:5.2f}  {prompt[:70]}")
    params = parse_params(PROMPTS[2], REGISTRY)
    full = statistics.median(milliseconds(parse_full_prompt, "") for _ in range(ROUNDS))
    print(f"{full:.3f} ms to expand and parse one with a link, an option and two layers of defaults")
    formatting = statistics.median(milliseconds(lambda _: format_prompt(params, REGISTRY), "") for _ in range(ROUNDS))
    print(f"{formatting:.3f} ms to format the third one again")


if __name__ == "__main__":
    main()
