"""Captions in other languages are brought near plain English ones, which stay where they are."""

from __future__ import annotations

import random

import torch

from training.captions import plain_caption
from training.languages import LANGUAGES
from training.rewording import english_captions, rewording_losses, sample_batch, sample_translation
from training.settings import REWORDING
from training.subjects import sample_subject


def test_a_translation_has_words_of_one_language_and_the_plain_caption_of_its_subject():
    rng = random.Random(1)
    for _ in range(30):
        subject, caption, plain = sample_translation(rng)
        assert plain == plain_caption(subject)
        named = [word for _, word in subject.words()]
        assert any(
            all(any(form.lower() in caption.lower() for form in language.forms(word)) for word in named)
            for language in LANGUAGES.values()
        ), (subject, caption)


def test_half_of_a_batch_is_english_and_its_own_target():
    batch = sample_batch(random.Random(2))
    half = REWORDING.batch // 2
    assert batch.captions[half:] == batch.targets[half:]
    assert all(caption.isascii() for caption in batch.targets)
    assert len(batch.captions) == len(batch.targets) == len(batch.subjects) == REWORDING.batch


def test_half_of_the_english_captions_are_plain():
    rng = random.Random(3)
    subjects = [sample_subject(rng) for _ in range(40)]
    captions = english_captions(subjects, rng)
    assert captions[1::2] == [plain_caption(subject) for subject in subjects[1::2]]


def test_translations_are_measured_by_mean_and_padding_and_english_by_every_state():
    torch.manual_seed(4)
    goal, pooled = torch.randn(8, 32, 6), torch.randn(8, 6)
    assert rewording_losses(goal, pooled, goal, pooled) == (0, 0)
    swapped = goal.clone()
    swapped[:, [1, 2]] = goal[:, [2, 1]]  # words at other positions
    distance, drift = rewording_losses(swapped, pooled, goal, pooled)
    assert distance < 1e-6
    assert drift > 0.01
    assert rewording_losses(goal, pooled + 1, goal, pooled)[0] > 1
