"""A small image classifier for evaluation, trained on drawings only."""

from __future__ import annotations

import random
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from training.precision import autocast
from training.settings import CLASSIFIER, CLASSIFIER_WEIGHTS, SEED
from training.subjects import Subject, draw, sample_size, sample_subject
from training.text import LABELS, encode_labels

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
    """Return images shrunk to the classifier's input size, batch × 3 × 64 × 64, from -1 to 1."""
    return normalise(torch.stack([shrink(image) for image in images]))


def shrink(image: Image.Image) -> Tensor:
    """Return an image of the classifier's input size, 3 × 64 × 64 bytes."""
    small = image.resize((CLASSIFIER.image_size, CLASSIFIER.image_size), Image.Resampling.BOX)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1)


def normalise(pixels: Tensor) -> Tensor:
    """Return bytes as numbers from -1 to 1."""
    return pixels.float() / 127.5 - 1


def labelled_drawings(count: int, seed: int) -> tuple[Tensor, list[Subject]]:
    """Return small drawings in bytes and their subjects; held-out pairs are held out from the UNet only."""
    rng = random.Random(seed)
    subjects = [sample_subject(rng, held=None) for _ in range(count)]
    return torch.stack([shrink(draw(s, sample_size(rng), rng.randrange(2**31))) for s in subjects]), subjects


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


def train_classifier(device: str = "cpu") -> ImageClassifier:
    """Train the classifier on drawings; save it and print its recall."""
    torch.manual_seed(SEED + 10)
    images, subjects = labelled_drawings(CLASSIFIER.images, SEED + 10)
    labels = encode_labels(subjects)
    classifier = ImageClassifier().to(device)
    optimiser = torch.optim.AdamW(classifier.parameters(), CLASSIFIER.learning_rate, weight_decay=0.02)
    steps = CLASSIFIER.epochs * (len(subjects) // CLASSIFIER.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, CLASSIFIER.learning_rate, total_steps=steps)
    start = time.monotonic()
    for epoch in range(CLASSIFIER.epochs):
        classifier.train()
        order = torch.randperm(len(subjects))[: steps // CLASSIFIER.epochs * CLASSIFIER.batch]
        for chosen in torch.split(order, CLASSIFIER.batch):
            inputs = disturb(normalise(images[chosen].to(device))).contiguous(memory_format=torch.channels_last)
            with autocast(device):
                scores = classifier(inputs)
            losses = [F.cross_entropy(scores[kind].float(), labels[kind][chosen].to(device)) for kind in LABELS]
            loss = torch.stack(losses).sum()
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
        report = f"loss {loss.item():.3f} {time.monotonic() - start:.0f} s"
        print(f"classifier epoch {epoch + 1}/{CLASSIFIER.epochs} {report}", flush=True)
    classifier.cpu()
    save_classifier(classifier)
    figures = {kind: round(share, 3) for kind, share in recall(classifier).items()}
    print("classifier recall on held-out drawings", figures, flush=True)
    return classifier


def disturb(images: Tensor) -> Tensor:
    """Return images of slightly other contrast and with some noise, half of the time mirrored."""
    images = images.flip(-1) if torch.rand(1).item() < 0.5 else images
    contrast, noise = torch.rand(2, len(images), 1, 1, 1, device=images.device)
    disturbed: Tensor = images * (0.94 + 0.12 * contrast) + CLASSIFIER.noise * noise * torch.randn_like(images)
    return disturbed


def save_classifier(classifier: ImageClassifier, path: Path = CLASSIFIER_WEIGHTS) -> None:
    """Write the weights in half precision: the file is part of the repository, so that figures stay comparable."""
    weights = classifier.state_dict()
    save_file({name: (w.half() if w.is_floating_point() else w).contiguous() for name, w in weights.items()}, path)


def load_trained_classifier(path: Path = CLASSIFIER_WEIGHTS) -> ImageClassifier:
    """Load the trained classifier."""
    classifier = ImageClassifier()
    classifier.load_state_dict(load_file(path))
    return classifier.eval()
