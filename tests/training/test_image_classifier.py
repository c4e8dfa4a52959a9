"""The classifier that judges images, and its file, which is part of the repository."""

import random

import pytest
import torch

from training.image_classifier import (
    ImageClassifier,
    disturb,
    labelled_drawings,
    load_trained_classifier,
    normalise,
    preprocess,
    recall,
    save_classifier,
)
from training.settings import SEED
from training.subjects import draw, sample_size, sample_subject


@pytest.fixture(scope="module")
def trained():
    return load_trained_classifier()


def test_the_shipped_classifier_finds_words_in_new_drawings(trained):
    found = recall(trained, 120)
    assert min(found.values()) > 0.85
    assert found["thing"] > 0.9
    assert found["place"] > 0.9


def test_a_saved_classifier_judges_as_before(trained, tmp_path):
    save_classifier(trained, tmp_path / "classifier.safetensors")
    again = load_trained_classifier(tmp_path / "classifier.safetensors")
    images = preprocess([draw(sample_subject(rng := random.Random(i)), sample_size(rng), i) for i in range(4)])
    with torch.no_grad():
        for before, after in zip(trained(images).values(), again(images).values(), strict=True):
            assert torch.equal(before, after)


def test_a_file_of_weights_is_half_as_large_as_a_classifier(tmp_path):
    save_classifier(ImageClassifier(), tmp_path / "classifier.safetensors")
    weights = sum(weight.numel() for weight in ImageClassifier().state_dict().values())
    assert (tmp_path / "classifier.safetensors").stat().st_size < 2.1 * weights


def test_labelled_drawings_are_bytes_of_the_same_drawings_each_time():
    images, subjects = labelled_drawings(3, SEED)
    again, same = labelled_drawings(3, SEED)
    assert images.shape == (3, 3, 64, 64)
    assert images.dtype == torch.uint8
    assert torch.equal(images, again)
    assert subjects == same


def test_disturbed_images_are_the_same_drawings_with_a_little_noise():
    torch.manual_seed(2)
    images, _ = labelled_drawings(8, SEED)
    before = normalise(images)
    after = disturb(before)
    mirrored = (after - before.flip(-1)).abs().mean() < (after - before).abs().mean()
    change = (after - (before.flip(-1) if mirrored else before)).abs().mean()
    assert 0.005 < change < 0.08
