"""Fine-tune the text encoder so that captions in other languages have nearly the states of their plain English ones.

The UNet knows the English ones best, so that a fox in German is then drawn as well as one in English.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from training import text
from training.captions import make_caption, plain_caption, unknown_noun
from training.languages import translated_caption
from training.objects import OBJECTS
from training.palette import COLOURS
from training.precision import autocast
from training.settings import REWORDING, SEED, TRAINED_OBJECTS
from training.subjects import OBJECT_PLACES, Subject, is_held_out, sample_subject


class Translation(NamedTuple):
    """A subject with its caption in another language and its plain English one."""

    subject: Subject
    caption: str
    plain: str


class Batch(NamedTuple):
    """Subjects, their captions, and the captions whose states these shall have."""

    subjects: list[Subject]
    captions: list[str]
    targets: list[str]


def sample_translation(rng: random.Random) -> Translation:
    """Return a random subject in a random language, more than half of the time an object with little else."""
    while True:
        subject = sample_bare_object(rng) if rng.random() < REWORDING.bare_share else sample_subject(rng)
        time, weather = subject.time.replace("day", ""), subject.weather.replace("clear", "")  # both go without saying
        subject = replace(subject, style="", finish="", time=time, weather=weather)
        caption = translated_caption(subject, rng, all_named=True)
        if caption and not is_held_out(subject):
            written = caption.capitalize() if rng.random() < 0.2 else caption
            return Translation(subject, written, plain_caption(subject))


def sample_bare_object(rng: random.Random) -> Subject:
    """Return an object, any as often as another, seldom with its place, and mostly with a colour."""
    thing = rng.choice(TRAINED_OBJECTS)
    place = rng.choice(OBJECT_PLACES[OBJECTS[thing].placement]) if rng.random() < REWORDING.place_share else ""
    colour = rng.choice(tuple(COLOURS)) if rng.random() < REWORDING.colour_share else ""
    return Subject(thing, colour, place=place)


def english_captions(subjects: list[Subject], rng: random.Random) -> list[str]:
    """Return captions whose states must not move: half of them plain, a quarter with unknown nouns."""
    return [
        plain_caption(each) if i % 2 else make_caption(each, rng, unknown_noun(rng) if each.thing and i % 4 else "")
        for i, each in enumerate(subjects)
    ]


def sample_batch(rng: random.Random) -> Batch:
    """Return a batch whose first half is translations, to be brought near their plain English captions."""
    count = REWORDING.batch // 2
    translations = [sample_translation(rng) for _ in range(count)]
    subjects = [sample_subject(rng) for _ in range(count)]
    english = english_captions(subjects, rng)
    return Batch(
        subjects=[*(each.subject for each in translations), *subjects],
        captions=[*(each.caption for each in translations), *english],
        targets=[*(each.plain for each in translations), *english],
    )


def rewording_losses(states: Tensor, pooled: Tensor, goal: Tensor, pooled_goal: Tensor) -> tuple[Tensor, Tensor]:
    """Return how far the translations are from their goals, and how far the English half of a batch has moved.

    States are batch × context × hidden, pooled ones batch × hidden. Words stand at other positions in other languages,
    so that the mean, the pooled state and the last states count: the padding has seen the whole caption.
    """
    half, tail = len(states) // 2, -REWORDING.tail
    distance = (
        REWORDING.mean_weight * F.mse_loss(states[:half].mean(dim=1), goal[:half].mean(dim=1))
        + REWORDING.tail_weight * F.mse_loss(states[:half, tail:], goal[:half, tail:])
        + REWORDING.pooled_weight * F.mse_loss(pooled[:half], pooled_goal[:half])
    )
    return distance, F.mse_loss(states[half:], goal[half:])


def reword(steps: int = REWORDING.steps, device: str = "cpu") -> None:
    """Fine-tune the last checkpoint of the text encoder, whose output for English captions stays nearly unchanged."""
    torch.manual_seed(SEED + 6)
    rng, tokenizer = random.Random(SEED + 6), CLIPTokenizer.from_pretrained(text.TOKENIZER)
    before, encoder = (CLIPTextModel.from_pretrained(text.STATE).to(device) for _ in range(2))
    heads = text.AttributeHeads().to(device)
    rates = [REWORDING.learning_rate, REWORDING.heads_learning_rate]
    groups = [{"params": module.parameters(), "lr": rate} for module, rate in zip((encoder, heads), rates, strict=True)]
    optimiser = torch.optim.AdamW(groups)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, total_steps=steps + 1, pct_start=0.15)
    for step in range(1, steps + 1):
        batch = sample_batch(rng)
        labels = {kind: index.to(device) for kind, index in text.encode_labels(batch.subjects).items()}
        with autocast(device):
            output = encoder(input_ids=text.token_ids(tokenizer, batch.captions).to(device))
            loss, _ = heads(output.last_hidden_state, output.pooler_output, labels)
        with torch.no_grad(), autocast(device):
            target = before(input_ids=text.token_ids(tokenizer, batch.targets).to(device))
        distance, drift = rewording_losses(
            output.last_hidden_state.float(), output.pooler_output.float(),
            target.last_hidden_state.float(), target.pooler_output.float(),
        )  # fmt: skip
        optimiser.zero_grad()
        torch.autograd.backward(REWORDING.label_weight * loss + REWORDING.anchor_weight * drift + distance)
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 50 == 0:
            moved = f"distance of translations {distance.item():.3f}, drift of English captions {drift.item():.4f}"
            print(f"text reword {step}/{steps} {moved}", flush=True)
    encoder.save_pretrained(text.STATE)
