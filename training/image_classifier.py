"""A small image classifier for evaluation, trained on drawings only."""

from __future__ import annotations

import random
import time
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from PIL import Image
from torch import Tensor, nn

from training.settings import CLASSIFIER, RUNS, SEED
from training.subjects import Subject, draw, sample_size, sample_subject
from training.text import LABELS, encode_labels

STATE = RUNS / "judge.pt"  # the name of existing checkpoints
COLOURLESS_STYLES = ("black and white", "sepia", "neon", "line art")
# Styles that only keep outlines of big shapes: they show clouds, sun and moon, but no drops, flakes, mist or stars.
OUTLINED_STYLES, TOO_SMALL_TO_OUTLINE = ("neon", "line art"), ("rain", "snowfall", "fog", "stars")


class ImageClassifier(nn.Module):
    """Classify an image of 64×64 pixels, with one head for each kind of word."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, *CLASSIFIER.widths)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
            layers += [nn.Conv2d(after, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
        last = widths[-1] * (CLASSIFIER.image_size // 16) ** 2
        drop = nn.Dropout(CLASSIFIER.dropout)
        self.body = nn.Sequential(*layers, nn.Flatten(), drop, nn.Linear(last, 256), nn.ReLU(), drop)
        self.heads = nn.ModuleDict({kind: nn.Linear(256, len(words)) for kind, words in LABELS.items()})

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the scores of the words of each kind, batch × words."""
        features = self.body(images)
        return {kind: head(features) for kind, head in self.heads.items()}

    @torch.no_grad()
    def classify(self, images: list[Image.Image]) -> list[Subject]:
        """Return the most likely subjects of images of any size."""
        self.eval()
        best = {kind: scores.argmax(dim=-1).tolist() for kind, scores in self(preprocess(images)).items()}
        return [Subject(**{kind: LABELS[kind][index[i]] for kind, index in best.items()}) for i in range(len(images))]


def preprocess(images: list[Image.Image]) -> Tensor:
    """Return images shrunk to the classifier's input size, batch × 3 × 64 × 64."""
    small = [np.asarray(p.resize((CLASSIFIER.image_size, CLASSIFIER.image_size), Image.Resampling.BOX)) for p in images]
    return torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2).float() / 127.5 - 1


def labelled_drawings(count: int, seed: int) -> tuple[Tensor, list[Subject]]:
    """Return drawings and their subjects, held-out pairs included: those are held out from the UNet only."""
    rng = random.Random(seed)
    subjects = [sample_subject(rng, held=None) for _ in range(count)]
    small = [preprocess([draw(s, sample_size(rng), rng.randrange(2**31))]) for s in subjects]
    return torch.cat(small), subjects


def is_visible(subject: Subject, kind: str) -> bool:
    """Return whether an image of the subject shows this kind of word: a sepia image shows no colour."""
    hidden = kind in ("colour", "background", "time") and subject.style in COLOURLESS_STYLES
    lost = kind == "weather" and subject.style in OUTLINED_STYLES and subject.weather in TOO_SMALL_TO_OUTLINE
    return bool(getattr(subject, kind)) and not hidden and not lost


def recall(classifier: ImageClassifier, count: int = 600) -> dict[str, float]:
    """Return, for each kind of word, how often the classifier finds it in held-out drawings."""
    rng = random.Random(SEED + 11)
    subjects = [sample_subject(rng, held=True) for _ in range(count)]
    predicted = classifier.classify([draw(s, sample_size(rng), rng.randrange(2**31)) for s in subjects])
    pairs = {
        k: [getattr(a, k) == getattr(b, k) for a, b in zip(subjects, predicted, strict=True) if is_visible(a, k)]
        for k in LABELS
    }
    return {kind: sum(hits) / len(hits) for kind, hits in pairs.items() if hits}


def load_partial_weights(classifier: ImageClassifier, known: dict[str, Tensor]) -> None:
    """Load the weights of a classifier that has fewer words; new words come last in their kind."""
    own = classifier.state_dict()
    for name, weights in known.items():
        if weights.ndim:
            own[name][: len(weights)] = weights
    classifier.load_state_dict(own)


def train_classifier(device: str = "cpu", seed: int = SEED + 10) -> ImageClassifier:
    """Train the classifier on drawings, starting from the last checkpoint; save it and print its recall."""
    torch.manual_seed(seed)
    images, subjects = labelled_drawings(CLASSIFIER.images, seed)
    labels = encode_labels(subjects)
    classifier = ImageClassifier()
    if STATE.exists():
        load_partial_weights(classifier, torch.load(STATE, weights_only=True))
    classifier.to(device)
    optimiser = torch.optim.AdamW(classifier.parameters(), CLASSIFIER.learning_rate, weight_decay=0.02)
    steps = CLASSIFIER.epochs * (CLASSIFIER.images // CLASSIFIER.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2 * CLASSIFIER.learning_rate, total_steps=steps)
    start = time.monotonic()
    for epoch in range(CLASSIFIER.epochs):
        classifier.train()
        order = torch.randperm(len(subjects))[: steps // CLASSIFIER.epochs * CLASSIFIER.batch]
        for chosen in torch.split(order, CLASSIFIER.batch):
            batch = images[chosen].to(device)
            batch = batch.flip(-1) if torch.rand(1).item() < 0.5 else batch
            scores = classifier(batch * (0.94 + 0.12 * torch.rand(len(chosen), 1, 1, 1, device=device)))
            loss = torch.stack(
                [F.cross_entropy(scores[kind], labels[kind][chosen].to(device)) for kind in LABELS]
            ).sum()
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
        report = f"loss {loss.item():.3f} {time.monotonic() - start:.0f} s"
        print(f"classifier epoch {epoch + 1}/{CLASSIFIER.epochs} {report}", flush=True)
    classifier.cpu()
    torch.save(classifier.state_dict(), STATE)
    figures = {kind: round(share, 3) for kind, share in recall(classifier).items()}
    print("classifier recall on held-out drawings", figures, flush=True)
    return classifier


def load_trained_classifier() -> ImageClassifier:
    """Load the trained classifier."""
    classifier = ImageClassifier()
    classifier.load_state_dict(torch.load(STATE, weights_only=True))
    return classifier.eval()
