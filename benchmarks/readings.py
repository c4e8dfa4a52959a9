"""Measure what the embedded model reads: `python -m benchmarks.readings`. Minutes on a quiet machine.

`--shorten` is the number of prompts that are shortened, `--halves` that of prompts that are drawn whole and by
halves, `--describe` that of drawings that are described. Exits with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import io
import random
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from queue import SimpleQueue
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from generation.engine.denoising.engine import DenoisingEngine
from generation.engine.networks.pipeline_loader import load_pipeline
from generation.messages import Event, Finished, Generate, Progress, Read, Reading
from generation.models.model import EMBEDDED, describe_model
from generation.models.registry import ModelRegistry
from generation.params import Params, PromptPart, ReadingKind, Upload
from generation.planning.shortening import join_words, shortened, split_words
from generation.prompt import parse_params
from training.captions import QUALITY_TAGS, plain_caption
from training.evaluate import held_out_subjects, is_known
from training.image_classifier import is_visible
from training.subjects import Subject, draw, sample_subject

TARGETS = {"thing": 0.75, "colour": 0.8, "setting": 0.75, "style": 0.7}  # shares of drawings described right
RANKED_TARGET = 0.9  # of the prompts have all words above all praise
HALVES_TARGET = 0.9  # of the prompts look more like their half of the weight than like random words as many
HALF = 0.5
PRAISE = tuple(tag for tag in QUALITY_TAGS if tag not in ("cute", "flat design", "illustration"))  # these are styles
FILLER = ("a", "an", "the", "on", "in", "at", "by", "with", "under", "of", "and", "background")


class Reader:
    """The embedded model, asked one thing after the other."""

    def __init__(self) -> None:
        self._registry = ModelRegistry((describe_model(EMBEDDED),))
        self._ends = SimpleQueue[Event]()
        self._engine = DenoisingEngine(load_pipeline(EMBEDDED, "cpu", lambda _: None), self._receive)

    def params(self, prompt: str, kind: ReadingKind) -> Params:
        """Return the params of a reading."""
        return replace(parse_params(prompt, self._registry, new_seed=lambda: 7), count=0, reading=kind)

    def read(self, params: Params, source: bytes | None = None) -> Reading:
        """Return the result of a reading."""
        event = self._run(params, source)
        assert isinstance(event, Read), event
        return event.reading

    def draw(self, prompt: str) -> NDArray[np.float32]:
        """Return the pixels of a prompt's first tile, from the same noise as any other's."""
        params = replace(parse_params(prompt, self._registry, new_seed=lambda: 7), count=1)
        event = self._run(params)
        assert isinstance(event, Finished), event
        return np.asarray(Image.open(io.BytesIO(event.grid.tiles[0])).convert("RGB"), np.float32)

    def _run(self, params: Params, source: bytes | None = None) -> Event:
        self._engine.add(Generate("reading", params, 0, 10 * 2**20, source))
        while self._engine.busy:
            self._engine.step()
        return self._ends.get()  # images are finished on another thread

    def _receive(self, event: Event) -> None:
        if not isinstance(event, Progress):
            self._ends.put(event)

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


def measure_halves(reader: Reader, count: int) -> tuple[float, float]:
    """Return how often half of a prompt's weight looks more like the prompt than random words, and how much nearer.

    The latter is its distance as a share of theirs: as many words, in the prompt's order, from the same noise.
    """
    rng, ratios = random.Random(37), list[float]()
    for number in range(count):
        prompt, _ = praised_prompt(rng)
        words = reader.read(reader.params(prompt, ReadingKind.SHORTEN)).words[0]
        half = shortened(words, HALF)
        kept = sorted(rng.sample(range(len(words)), len(split_words(half))))
        others = join_words([words[index].text for index in kept])
        whole, *shorter = (reader.draw(text) for text in (prompt, half, others))
        near, far = (float(np.abs(whole - each).mean()) for each in shorter)
        ratios.append(near / far)
        print(f"{number}: {near:.1f} {half} | {far:.1f} {others}", flush=True)
    return fmean(ratio < 1 for ratio in ratios), fmean(ratios)


def known_drawings(count: int) -> list[Subject]:
    """Return subjects that combine words which training never saw together, of known words, with a thing."""
    found = [each for each in held_out_subjects(10 * count) if is_known(each) and each.thing]
    return [replace(each, finish="") for each in found[:count]]


def said_words(subject: Subject, description: str) -> Iterator[tuple[str, bool]]:
    """Yield each kind of word that the drawing shows, and whether the description says it."""
    first = description.split(", ")[0]
    for kind, word in subject.words():
        if not is_visible(subject, kind) or (kind, word) in (("weather", "clear"), ("time", "day")):
            continue
        if kind == "background":
            yield "setting", f"{word} background" in first
        elif kind == "colour":
            yield kind, re.match(rf"an? {word} (?!background)", first) is not None
        else:
            yield "setting" if kind == "place" else kind, f" {_wording(word)} " in f" {description.replace(',', '')} "


def _wording(word: str) -> str:
    vocabulary = describe_model(EMBEDDED).vocabulary
    assert vocabulary is not None
    return vocabulary.wording(word)


def measure_describe(reader: Reader, count: int) -> dict[str, tuple[float, float]]:
    """Return by kind how often drawings are described right, and how often by the description of another."""
    subjects, texts = known_drawings(count), list[str]()
    params = replace(
        reader.params("x", ReadingKind.DESCRIBE),
        parts=(PromptPart(""),),
        source=Upload("0" * 64),
        width=256,
        height=256,
    )
    for number, subject in enumerate(subjects):
        file = io.BytesIO()
        draw(subject, (256, 256), seed=5000 + number).save(file, "PNG")
        texts.append(reader.read(params, file.getvalue()).texts[0])
        print(f"{number}: {plain_caption(subject)} | {texts[-1]}", flush=True)
    hits, shuffled = _hits(subjects, texts), _hits(subjects, texts[1:] + texts[:1])
    return {kind: (fmean(hits[kind]), fmean(shuffled[kind])) for kind in hits}


def _hits(subjects: Sequence[Subject], texts: Sequence[str]) -> dict[str, list[bool]]:
    hits = defaultdict[str, list[bool]](list)
    for subject, text in zip(subjects, texts, strict=True):
        for kind, is_said in said_words(subject, text):
            hits[kind].append(is_said)
    return hits


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures, and return 0 if they meet the targets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shorten", type=int, default=50)
    parser.add_argument("--halves", type=int, default=20)
    parser.add_argument("--describe", type=int, default=60)
    options = parser.parse_args(arguments)
    reader, is_met = Reader(), True
    if options.describe:
        found = measure_describe(reader, options.describe)
        for kind, (right, shuffled) in found.items():
            print(f"/describe: {kind} {right:.2f}, by another's description {shuffled:.2f}")
        is_met = all(found[kind][0] >= target for kind, target in TARGETS.items() if kind in found)
    if options.shorten:
        share = measure_shorten(reader, options.shorten)
        print(f"/shorten: every word above all praise in {share:.0%} of {options.shorten} prompts")
        is_met = is_met and share >= RANKED_TARGET
    if options.halves:
        share, ratio = measure_halves(reader, options.halves)
        print(
            f"/shorten: half of the weight is nearer than random words in {share:.0%}, at {ratio:.2f} of the distance"
        )
        is_met = is_met and share >= HALVES_TARGET
    reader.close()
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
