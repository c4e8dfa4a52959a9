"""Mixtures of two drawings for the UNet's training."""

from __future__ import annotations

import random

import pytest
import torch

from training.captions import plain_caption
from training.mixing import is_plain, mix
from training.subjects import Subject
from training.unet import LatentDataset

RED, BLUE = (torch.zeros(1, 1, 1), Subject(background="red")), (torch.ones(1, 1, 1), Subject(background="blue"))
FOX = (torch.full((1, 1, 1), 5.0), Subject(thing="fox", colour="red", background="white"))


@pytest.fixture(scope="module")
def blends():
    rng = random.Random(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.mixing.make_caption", lambda subject, _: plain_caption(subject))  # no synonyms
        return [mix(RED, BLUE, rng) for _ in range(300)]


def test_an_embedding_between_two_colours_gets_the_colour_between_them(blends):
    between = [sample for sample in blends if sample.share]
    assert len(between) > 60
    assert all(abs(sample.latents.item() - sample.share) < 1e-6 for sample in between)
    assert all("red" in sample.caption and "blue" in sample.other for sample in between)


def test_a_caption_with_both_colours_gets_some_of_each(blends):
    both = [sample for sample in blends if "red" in sample.caption and "blue" in sample.caption]
    assert len(both) > 60
    assert all(0.3 <= sample.latents.item() <= 0.7 for sample in both)


def test_a_caption_alone_keeps_most_of_its_colour(blends):
    alone = [sample for sample in blends if not sample.share and "blue" not in sample.caption]
    assert len(alone) > 60
    assert all(sample.latents.item() <= 0.5 for sample in alone)


def test_other_drawings_are_never_blended_but_shown_as_often_as_their_share():
    rng = random.Random(2)
    samples = [mix(FOX, BLUE, rng) for _ in range(400)]
    assert {sample.latents.item() for sample in samples} == {5.0, 1.0}
    near_fox = [sample for sample in samples if sample.share < 0.25]
    assert sum(sample.latents.item() == 5.0 for sample in near_fox) > 0.75 * len(near_fox)


def test_only_a_bare_colour_is_plain():
    assert is_plain(Subject(background="teal", finish="storybook"))
    assert not any(is_plain(each) for each in (Subject(place="sea"), FOX[1], Subject(background="red", style="neon")))


def test_some_samples_of_a_batch_are_mixtures():
    dataset = LatentDataset(half=False)
    dataset.add((1, 1), torch.stack([RED[0], BLUE[0], FOX[0]]), [RED[1], BLUE[1], FOX[1]])
    samples = dataset.batch(random.Random(3), 400)
    assert 10 < sum(bool(sample.share) for sample in samples) < 80
    assert any(0 < sample.latents.item() < 1 for sample in samples)
