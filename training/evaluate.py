"""Generate images of held-out captions and measure how often they show the requested attributes."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from diffusers import StableDiffusionPipeline
from PIL import Image

from training.captions import plain_caption
from training.export import generate_images
from training.image_classifier import ImageClassifier, is_visible, load_trained_classifier, recall
from training.palette import COLOURS
from training.settings import EVALUATED_CAPTIONS, KNOWN, MODEL, REQUESTS_PER_WORD, RUNS, SEED
from training.subjects import Subject, draw, sample_subject
from training.text import LABELS
from training.vae import draw_images, psnr

# The list of `KNOWN` for each kind of word.
KNOWN_KINDS = {
    "thing": "things",
    "colour": "colours",
    "background": "colours",
    "place": "places",
    "time": "times",
    "weather": "weather",
    "style": "styles",
}

Hits = dict[str, list[tuple[bool, bool]]]


def held_out_subjects(count: int) -> list[Subject]:
    """Return subjects that combine words which training never saw together."""
    rng = random.Random(SEED + 20)
    return [sample_subject(rng, held=True) for _ in range(count)]


def known_subjects(least: int) -> list[Subject]:
    """Return held-out subjects of known words only that ask for each of these at least `least` times."""
    rng, requests, chosen = random.Random(SEED + 24), Counter[tuple[str, str]](), list[Subject]()
    missing = {(kind, word) for kind, name in KNOWN_KINDS.items() for word in KNOWN[name]}
    while missing:
        subject = sample_subject(rng, held=True)
        words = [(kind, getattr(subject, kind)) for kind in visible_kinds(subject)]
        if is_known(subject) and not missing.isdisjoint(words):
            chosen.append(subject)
            requests.update(words)
            missing = {word for word in missing if requests[word] < least}
    return chosen


def control_word(subject: Subject, kind: str, rng: random.Random) -> str:
    """Return another word of the same kind, as a control."""
    return rng.choice([word for word in LABELS[kind] if word not in ("", getattr(subject, kind))])


def visible_kinds(subject: Subject) -> Iterator[str]:
    """Yield the kinds of word that a plain caption of the subject names and an image can show."""
    for kind, word in subject.words():
        if word != "clear" and kind != "finish" and is_visible(subject, kind):
            yield kind


def score_predictions(subjects: list[Subject], predicted: list[Subject]) -> Hits:
    """Return by kind whether the classifier found each requested word, and whether it found its control."""
    rng, hits = random.Random(SEED + 21), defaultdict(list)
    for asked, seen in zip(subjects, predicted, strict=True):
        for kind in visible_kinds(asked):
            found = getattr(seen, kind)
            hits[kind].append((found == getattr(asked, kind), found == control_word(asked, kind, rng)))
    return hits


def is_known(subject: Subject) -> bool:
    """Return whether all words of a subject are in `KNOWN`."""
    asked = [(kind, word) for kind, word in subject.words() if word != "clear" and kind in KNOWN_KINDS]
    return all(word in KNOWN[KNOWN_KINDS[kind]] for kind, word in asked)


def known_scores(subjects: list[Subject], predicted: list[Subject]) -> dict[str, dict[str, float]]:
    """Return the hit rates by kind and in total for the captions whose words are all in `KNOWN`."""
    known = [(asked, seen) for asked, seen in zip(subjects, predicted, strict=True) if is_known(asked)]
    hits = score_predictions([asked for asked, _ in known], [seen for _, seen in known])
    hits["all"] = [pair for kind in list(hits) for pair in hits[kind]]
    return {kind: hit_rates(found) for kind, found in sorted(hits.items())}


def finish_hits(subjects: list[Subject], predicted: list[Subject]) -> dict[str, float]:
    """Return how often the house finish was found in images that requested it, and in those that did not."""
    wanted = [bool(seen.finish) for asked, seen in zip(subjects, predicted, strict=True) if asked.finish]
    unwanted = [bool(seen.finish) for asked, seen in zip(subjects, predicted, strict=True) if not asked.finish]
    return {
        "asked": round(sum(wanted) / len(wanted), 3),
        "control": round(sum(unwanted) / len(unwanted), 3),
        "count": len(wanted),
    }


def nearest_colour(image: Image.Image) -> str:
    """Return the named colour nearest to the median of an image's corners."""
    pixels = np.asarray(image, dtype=np.float32)
    k = max(8, min(image.size) // 8)
    corners = np.concatenate(
        [pixels[y, x].reshape(-1, 3) for y in (slice(k), slice(-k, None)) for x in (slice(k), slice(-k, None))]
    )
    middle = np.median(corners, axis=0)
    return min(COLOURS, key=lambda name: float(np.square(middle - np.array(COLOURS[name])).sum()))


def background_hits(subjects: list[Subject], images: list[Image.Image]) -> list[tuple[bool, bool]]:
    """Return whether each plain background has the requested colour, measured on the pixels, and its control's."""
    rng = random.Random(SEED + 22)
    asked = [(s, p) for s, p in zip(subjects, images, strict=True) if s.background and not s.style]
    return [
        (nearest_colour(p) == s.background, nearest_colour(p) == control_word(s, "background", rng)) for s, p in asked
    ]


def brightness_by_time(pipeline: StableDiffusionPipeline) -> dict[str, float]:
    """Return the mean brightness of images of the hills by day and by night."""
    means = {}
    for time in ("day", "night"):
        asked = Subject(place="hills", time=time, weather="clear")
        images = generate_images(pipeline, [plain_caption(asked)] * 8, list(range(8)))
        means[time] = float(np.mean([np.asarray(image.convert("L")).mean() for image in images]))
    return means


def generate_all(pipeline: StableDiffusionPipeline, captions: list[str], batch: int = 8) -> list[Image.Image]:
    """Generate one image of every caption, each with its own seed."""
    images: list[Image.Image] = []
    for first in range(0, len(captions), batch):
        part = captions[first : first + batch]
        images += generate_images(pipeline, part, list(range(first, first + len(part))))
        print(f"evaluate {len(images)}/{len(captions)}", flush=True)
    return images


def _images_of(pipeline: StableDiffusionPipeline, subjects: list[Subject]) -> list[Image.Image]:
    return generate_all(pipeline, [plain_caption(subject) for subject in subjects])


def hit_rates(hits: list[tuple[bool, bool]]) -> dict[str, float]:
    """Return how often the requested word and how often its control was found."""
    return {
        "asked": round(sum(a for a, _ in hits) / len(hits), 3),
        "control": round(sum(c for _, c in hits) / len(hits), 3),
        "count": len(hits),
    }


def evaluate(folder: Path = MODEL, count: int = EVALUATED_CAPTIONS, device: str = "cpu") -> dict[str, object]:
    """Compute, print and save all figures of a model."""
    pipeline, classifier = StableDiffusionPipeline.from_pretrained(folder).to(device), load_trained_classifier()
    subjects = held_out_subjects(count)
    images = _images_of(pipeline, subjects)
    seen = classifier.classify(images)
    hits = score_predictions(subjects, seen)
    figures: dict[str, object] = {kind: hit_rates(pairs) for kind, pairs in sorted(hits.items())}
    figures["finish"] = finish_hits(subjects, seen)
    figures["all"] = hit_rates([pair for pairs in hits.values() for pair in pairs])
    figures["promised"] = known_scores(subjects, seen)
    figures["by word"] = accuracy_by_word(subjects, seen)
    known = known_subjects(REQUESTS_PER_WORD)
    figures["promised by word"] = accuracy_by_word(known, classifier.classify(_images_of(pipeline, known)))
    figures["background on pixels"] = hit_rates(background_hits(subjects, images))
    figures["brightness"] = brightness_by_time(pipeline)
    figures["classifier on held-out drawings"] = recall(classifier)
    figures["classifier on these captions, drawn"] = recall_for_subjects(classifier, subjects)
    figures["vae psnr"] = psnr(pipeline.vae.cpu(), draw_images(32, SEED + 23))
    RUNS.mkdir(parents=True, exist_ok=True)
    (RUNS / "figures.json").write_text(json.dumps(figures, indent=2, ensure_ascii=False))
    print(json.dumps(figures, indent=2, ensure_ascii=False))
    return figures


def accuracy_by_word(subjects: list[Subject], predicted: list[Subject]) -> dict[str, dict[str, float]]:
    """Return how often each word was found and how often it was asked for; `KNOWN` is chosen from these figures."""
    found = defaultdict(list)
    for asked, seen in zip(subjects, predicted, strict=True):
        for kind in visible_kinds(asked):
            found[f"{kind}: {getattr(asked, kind)}"].append(getattr(asked, kind) == getattr(seen, kind))
    return {
        word: {"asked": round(sum(right) / len(right), 2), "count": len(right)} for word, right in sorted(found.items())
    }


def recall_for_subjects(classifier: ImageClassifier, subjects: list[Subject]) -> dict[str, float]:
    """Return the classifier's hit rates on drawings of the same subjects."""
    clear = [replace(s, weather=s.weather or "") for s in subjects]
    hits = score_predictions(subjects, classifier.classify([draw(s, (256, 256), i) for i, s in enumerate(clear)]))
    return {kind: float(hit_rates(pairs)["asked"]) for kind, pairs in sorted(hits.items())}
