"""Train the tokenizer and the text encoder to predict a drawing's attributes from its caption."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from tokenizers import Tokenizer, models, trainers
from tokenizers.pre_tokenizers import ByteLevel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from training.captions import plain_caption, training_caption
from training.objects import OBJECTS
from training.palette import COLOURS
from training.precision import autocast
from training.scenes import PLACES, WEATHERS
from training.settings import RUNS, SEED, TEXT
from training.styles import FINISHES, STYLES
from training.subjects import TIMES, Subject, is_trained, sample_subject

TOKENIZER = RUNS / "tokenizer"
STATE = RUNS / "text_encoder"
LABELS: dict[str, list[str]] = {
    "thing": ["", *OBJECTS],
    "colour": ["", *COLOURS],
    "background": ["", *COLOURS],
    "place": ["", *PLACES],
    "time": ["", *TIMES],
    "weather": ["", *WEATHERS],
    "style": ["", *STYLES],
    "finish": ["", *FINISHES],
}


def train_tokenizer(folder: Path = TOKENIZER) -> CLIPTokenizer:
    """Train a byte-level BPE vocabulary on captions and save it as a CLIP tokenizer."""
    rng = random.Random(SEED)
    texts = [training_caption(sample_subject(rng), rng) for _ in range(20_000)]
    clip = CLIPTokenizer().backend_tokenizer
    bpe = Tokenizer(models.BPE(continuing_subword_prefix="", end_of_word_suffix="</w>"))
    bpe.normalizer, bpe.pre_tokenizer = clip.normalizer, clip.pre_tokenizer
    alphabet = sorted(_byte_alphabet())
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=TEXT.vocabulary_size,
            min_frequency=8,
            initial_alphabet=alphabet,
            end_of_word_suffix="</w>",
            show_progress=False,
        ),
    )
    tokenizer = clip_tokenizer(bpe)
    tokenizer.save_pretrained(folder)
    return tokenizer


def _byte_alphabet() -> list[str]:
    return list(ByteLevel.alphabet())


def clip_tokenizer(bpe: Tokenizer) -> CLIPTokenizer:
    """Return a CLIP tokenizer with a trained vocabulary, plus every byte as the end of a word."""
    learned = json.loads(bpe.to_str())["model"]
    pieces = list(learned["vocab"])
    pieces += [f"{byte}</w>" for byte in sorted(_byte_alphabet()) if f"{byte}</w>" not in learned["vocab"]]
    vocabulary = {piece: i for i, piece in enumerate([*pieces, "<|startoftext|>", "<|endoftext|>"])}
    merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in learned["merges"]]
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=TEXT.context)


def build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Return an untrained CLIP text encoder."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT.hidden,
            intermediate_size=TEXT.hidden * 4,
            num_hidden_layers=TEXT.layers,
            num_attention_heads=TEXT.heads,
            max_position_embeddings=TEXT.context,
            hidden_act="gelu",
            projection_dim=TEXT.hidden,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def token_ids(tokenizer: CLIPTokenizer, texts: list[str]) -> Tensor:
    """Return padded token ids, as the stock pipeline computes them, batch × context."""
    ids: Tensor = tokenizer(
        texts, padding="max_length", max_length=TEXT.context, truncation=True, return_tensors="pt"
    ).input_ids
    return ids


def encode_labels(subjects: list[Subject]) -> dict[str, Tensor]:
    """Return the index of each word within its kind."""
    return {kind: torch.tensor([words.index(getattr(s, kind)) for s in subjects]) for kind, words in LABELS.items()}


class AttributeHeads(nn.Module):
    """Classify each kind of word in an encoded caption, from its pooled state and from the mean of all states."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.ModuleDict({kind: nn.Linear(TEXT.hidden, len(words)) for kind, words in LABELS.items()})
        self.mean = nn.ModuleDict({kind: nn.Linear(TEXT.hidden, len(words)) for kind, words in LABELS.items()})

    def forward(self, states: Tensor, pooled: Tensor, labels: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Return the loss and the accuracy for each kind."""
        losses, accuracy = [], {}
        for kind, target in labels.items():
            scores = self.last[kind](pooled)
            losses += [F.cross_entropy(scores, target), F.cross_entropy(self.mean[kind](states.mean(dim=1)), target)]
            accuracy[kind] = (scores.argmax(dim=-1) == target).float().mean().item()
        return torch.stack(losses).sum(), accuracy


def train_text(steps: int = TEXT.steps, device: str = "cpu") -> None:
    """Train the tokenizer and the encoder from scratch, which takes a few minutes on one core."""
    torch.manual_seed(SEED)
    rng = random.Random(SEED + 3)
    tokenizer = train_tokenizer()
    encoder, heads = build_text_encoder(tokenizer).to(device), AttributeHeads().to(device)
    parameters = [*encoder.parameters(), *heads.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=TEXT.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, TEXT.learning_rate, total_steps=steps + 1, pct_start=0.1)
    start = time.monotonic()
    for step in range(1, steps + 1):
        subjects = [sample_subject(rng) for _ in range(TEXT.batch)]
        ids = token_ids(tokenizer, [training_caption(s, rng) for s in subjects]).to(device)
        labels = {kind: index.to(device) for kind, index in encode_labels(subjects).items()}
        output = encoder(input_ids=ids)
        loss, accuracy = heads(output.last_hidden_state, output.pooler_output, labels)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        if step % 50 == 0:
            figures = " ".join(f"{kind} {share:.2f}" for kind, share in accuracy.items())
            print(f"text {step}/{steps} loss {loss.item():.3f} {figures} {time.monotonic() - start:.0f} s", flush=True)
    encoder.save_pretrained(STATE)


def teach_words(words: list[str], steps: int = TEXT.word_steps, device: str = "cpu") -> None:
    """Teach the trained encoder more words, while its output for captions without them stays nearly unchanged.

    A UNet trained on this encoder can continue with it: only the new words are new to the UNet. Known subjects in
    other words and languages get nearly the states of their plain caption.
    """
    if unknown := untrained_words(words):
        raise ValueError(f"no drawing has the words {', '.join(unknown)}; quote words that contain spaces")
    torch.manual_seed(SEED + 5)
    rng, tokenizer = random.Random(SEED + 5), CLIPTokenizer.from_pretrained(TOKENIZER)
    before, encoder = (CLIPTextModel.from_pretrained(STATE).to(device) for _ in range(2))
    heads = AttributeHeads().to(device)
    parameters = [*encoder.parameters(), *heads.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=TEXT.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, TEXT.learning_rate, total_steps=steps + 1)
    for step in range(1, steps + 1):
        new, known = _balanced_subjects(set(words), rng)
        plain = [plain_caption(subject) for subject in known]
        reworded = [training_caption(subject, rng, all_named=True) for subject in known]
        captions = [*(training_caption(subject, rng) for subject in new), *reworded, *plain]
        labels = {kind: index.to(device) for kind, index in encode_labels([*new, *known, *known]).items()}
        with autocast(device):
            output = encoder(input_ids=token_ids(tokenizer, captions).to(device))
            loss, accuracy = heads(output.last_hidden_state, output.pooler_output, labels)
        with torch.no_grad(), autocast(device):
            target = before(input_ids=token_ids(tokenizer, plain).to(device)).last_hidden_state
        states = output.last_hidden_state[len(new) :].float()
        drift = F.mse_loss(states[len(known) :], target.float())
        distance = F.mse_loss(states[: len(known)].mean(dim=1), target.float().mean(dim=1))
        optimiser.zero_grad()
        torch.autograd.backward(loss + TEXT.anchor_weight * drift + TEXT.rewording_weight * distance)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        if step % 25 == 0:
            figures = " ".join(f"{kind} {share:.2f}" for kind, share in accuracy.items())
            moved = f"drift of known captions {drift.item():.4f}, of reworded ones {distance.item():.4f}"
            print(f"text words {step}/{steps} {moved}, accuracy {figures}", flush=True)
    encoder.save_pretrained(STATE)


def untrained_words(words: list[str]) -> list[str]:
    """Return the words that no training caption would ever contain."""
    drawn = {word for kind, known in LABELS.items() for word in known if word and is_trained(Subject(**{kind: word}))}
    return [word for word in words if word not in drawn]


def _balanced_subjects(words: set[str], rng: random.Random) -> tuple[list[Subject], list[Subject]]:
    """Return subjects with one of the words, and as many without; the latter are used twice."""
    halves: dict[bool, list[Subject]] = {True: [], False: []}
    while min(map(len, halves.values())) < TEXT.word_batch // 3:
        subject = sample_subject(rng)
        halves[any(word in words for _, word in subject.words())].append(subject)
    return halves[True][: TEXT.word_batch // 3], halves[False][: TEXT.word_batch // 3]
