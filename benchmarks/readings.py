"""Measure what the embedded model reads: `python -m benchmarks.readings`. Minutes on a quiet machine.

`--shorten` is the number of prompts that are shortened. Exits with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from dataclasses import replace

from generation.engine.denoising.engine import DenoisingEngine
from generation.engine.networks.pipeline_loader import load_pipeline
from generation.messages import Event, Generate, Read, Reading
from generation.models.model import EMBEDDED, describe_model
from generation.models.registry import ModelRegistry
from generation.params import Params, ReadingKind
from generation.prompt import parse_params
from training.captions import QUALITY_TAGS, plain_caption
from training.evaluate import is_known
from training.subjects import Subject, sample_subject

RANKED_TARGET = 0.9  # of the prompts have all words above all praise
PRAISE = tuple(tag for tag in QUALITY_TAGS if tag not in ("cute", "flat design", "illustration"))  # these are styles
FILLER = ("a", "an", "the", "on", "in", "at", "by", "with", "under", "of", "and", "background")


class Reader:
    """The embedded model, asked one thing after the other."""

    def __init__(self) -> None:
        self._registry = ModelRegistry((describe_model(EMBEDDED),))
        self._events: list[Event] = []
        self._engine = DenoisingEngine(load_pipeline(EMBEDDED, "cpu", lambda _: None), self._events.append)

    def params(self, prompt: str, kind: ReadingKind) -> Params:
        """Return the params of a reading."""
        return replace(parse_params(prompt, self._registry, new_seed=lambda: 7), count=0, reading=kind)

    def read(self, params: Params, source: bytes | None = None) -> Reading:
        """Return the result of a reading."""
        self._engine.add(Generate("reading", params, 0, 10 * 2**20, source))
        while self._engine.busy:
            self._engine.step()
        event = self._events[-1]
        assert isinstance(event, Read), event
        return event.reading

    def close(self) -> None:
        """Stop the engine."""
        self._engine.close()


def praised_prompt(rng: random.Random) -> tuple[str, set[str]]:
    """Return a prompt of known words with praise around them, and the words of the praise."""
    while not (is_known(subject := sample_subject(rng)) and subject.thing):
        pass
    before, *after = rng.sample(PRAISE, 3)
    text = ", ".join([f"{before} {plain_caption(_without_defaults(subject))}", *after])
    return text, {word for tag in (before, *after) for word in tag.split()}


def _without_defaults(subject: Subject) -> Subject:
    """Leave out the house style, and the day, which is drawn where no time is named."""
    return replace(subject, finish="", time="" if subject.time == "day" else subject.time)


def is_ranked(reading: Reading, praise: set[str]) -> bool:
    """Return whether every word that is to be seen weighs more than every word of praise."""
    weights = {word.text.strip(" ,"): word.weight for word in reading.words[0]}
    seen = [weight for word, weight in weights.items() if word not in praise and word not in FILLER]
    return min(seen) > max(weight for word, weight in weights.items() if word in praise)


def measure_shorten(reader: Reader, count: int) -> float:
    """Return the share of prompts whose words are all ranked above the praise."""
    rng, ranked = random.Random(31), 0
    for number in range(count):
        prompt, praise = praised_prompt(rng)
        reading = reader.read(reader.params(prompt, ReadingKind.SHORTEN))
        ranked += is_ranked(reading, praise)
        if not is_ranked(reading, praise):
            print(f"{number}: {[(word.text, word.weight) for word in reading.words[0]]}", flush=True)
    return ranked / count


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures, and return 0 if they meet the targets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shorten", type=int, default=50)
    options = parser.parse_args(arguments)
    reader = Reader()
    share = measure_shorten(reader, options.shorten)
    print(f"/shorten: every word above all praise in {share:.0%} of {options.shorten} prompts")
    reader.close()
    return 0 if share >= RANKED_TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
