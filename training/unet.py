"""Train the UNet on latents: v-prediction, unweighted loss, text dropout."""

from __future__ import annotations

import copy
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from training import text
from training.attention import PlainAttention
from training.captions import training_caption, unconditional_caption
from training.latents import SHARDS, read_shard
from training.mixing import Sample, is_plain, mix
from training.muon import Muon
from training.precision import autocast
from training.settings import RUNS, SEED, TEXT, UNET
from training.subjects import Subject, is_trained, is_unconditional_scene
from training.vae import update_ema

STATE = RUNS / "unet.pt"


def noise_schedule() -> DDIMScheduler:
    """Return the noise schedule for training, with zero terminal SNR, without which images could not be fully black."""
    return DDIMScheduler(
        num_train_timesteps=UNET.train_timesteps,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        rescale_betas_zero_snr=True,
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
    )


def build_unet() -> UNet2DConditionModel:
    """Return an untrained UNet with text cross-attention at 16×16 and 8×8 and pooled text in the time embedding."""
    return UNet2DConditionModel(
        sample_size=32,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=UNET.block_out_channels,
        layers_per_block=UNET.layers_per_block,
        cross_attention_dim=TEXT.hidden,
        attention_head_dim=UNET.attention_heads,
        norm_num_groups=UNET.norm_num_groups,
        time_embedding_dim=UNET.time_embedding,
        addition_embed_type="text",
        addition_embed_type_num_heads=UNET.attention_heads,
    )


@dataclass
class LatentDataset:
    """All latents written so far, by size; `refresh` loads new shards."""

    half: bool
    device: str = "cpu"
    latents: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    subjects: dict[tuple[int, int], list[Subject]] = field(default_factory=dict)
    unconditional: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    plain: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    by_thing: dict[tuple[int, int], dict[str, list[int]]] = field(default_factory=dict)
    loaded_shards: set[Path] = field(default_factory=set)

    def refresh(self) -> int:
        """Load new shards; return the total number of images."""
        for path in sorted(set(SHARDS.glob("*.pt")) - self.loaded_shards):
            shard, subjects = read_shard(path)
            used = [i for i, subject in enumerate(subjects) if is_trained(subject)]
            latents = shard["half"] if self.half else shard["full"]
            self.add((latents.shape[-1], latents.shape[-2]), latents[used], [subjects[i] for i in used])
            self.loaded_shards.add(path)
        return sum(len(s) for s in self.subjects.values())

    def add(self, size: tuple[int, int], latents: Tensor, subjects: list[Subject]) -> None:
        """Add latents of one size and their subjects."""
        existing = self.latents.get(size)
        latents = latents.to(self.device)
        self.latents[size] = latents if existing is None else torch.cat([existing, latents])
        self.subjects.setdefault(size, []).extend(subjects)
        self.unconditional[size] = [
            i for i, subject in enumerate(self.subjects[size]) if is_unconditional_scene(subject)
        ]
        self.plain[size] = [i for i, subject in enumerate(self.subjects[size]) if is_plain(subject)]
        self.by_thing[size] = defaultdict(list)
        for i, subject in enumerate(self.subjects[size]):
            self.by_thing[size][subject.thing].append(i)

    def batch(self, rng: random.Random, count: int) -> list[Sample]:
        """Return random samples of one size; those without a caption are unconditional scenes."""
        sizes = list(self.subjects)
        size = rng.choices(sizes, [len(self.subjects[s]) for s in sizes])[0]
        return [self._sample(size, rng) for _ in range(count)]

    def _sample(self, size: tuple[int, int], rng: random.Random) -> Sample:
        unconditional, everything = self.unconditional[size], range(len(self.subjects[size]))
        if unconditional and rng.random() < UNET.text_dropout:
            latents, subject = self._drawn(size, rng.choice(unconditional))
            return Sample(latents, unconditional_caption(subject))
        if rng.random() < UNET.mixing_share:
            return self._mixture(size, rng)
        latents, subject = self._drawn(size, rng.choice(everything))
        return Sample(latents, training_caption(subject, rng))

    def _mixture(self, size: tuple[int, int], rng: random.Random) -> Sample:
        """Mix two colours, or two drawings of one object: weights, chaos and weirdness seldom change the object."""
        plain, by_thing = self.plain[size], self.by_thing[size]
        pool = plain if plain and rng.random() < 0.5 else by_thing[rng.choice(list(by_thing))]
        return mix(self._drawn(size, rng.choice(pool)), self._drawn(size, rng.choice(pool)), rng)

    def _drawn(self, size: tuple[int, int], index: int) -> tuple[Tensor, Subject]:
        return self.latents[size][index].float(), self.subjects[size][index]


def refresh_all(datasets: list[LatentDataset]) -> int:
    """Load new shards at both sizes; return the number of images of one."""
    return min(dataset.refresh() for dataset in datasets)


@dataclass
class UnetTrainingState:
    """The state of a training run, as saved in a checkpoint."""

    model: UNet2DConditionModel
    average: UNet2DConditionModel
    optimisers: list[torch.optim.Optimizer]
    samples: int = 0


def build_optimisers(model: UNet2DConditionModel) -> list[torch.optim.Optimizer]:
    """Return Muon for the inner weight matrices, and AdamW for biases, norms and the first and last layers."""
    inner = [p for name, p in model.named_parameters() if p.ndim >= 2 and not name.startswith(("conv_in", "conv_out"))]
    ids = {id(p) for p in inner}
    rest = [p for p in model.parameters() if id(p) not in ids]
    return [Muon(inner, UNET.learning_rate), torch.optim.AdamW(rest, UNET.learning_rate, (0.9, 0.99))]


def start_or_resume(device: str, state: Path = STATE) -> UnetTrainingState:
    """Load the last checkpoint, or return a new training state."""
    torch.manual_seed(SEED)
    model = build_unet()
    average = copy.deepcopy(model).requires_grad_(False)
    model, average = model.to(device), average.to(device)
    run = UnetTrainingState(model, average, build_optimisers(model))
    if state.exists():
        saved = torch.load(state, weights_only=True, map_location=device)
        run.model.load_state_dict(saved["model"])
        run.average.load_state_dict(saved["average"])
        for optimiser, values in zip(run.optimisers, saved["optimisers"], strict=True):
            optimiser.load_state_dict(values)
        run.samples = saved["samples"]
    return run


def state_from_weights(weights: dict[str, Tensor], samples: int) -> UnetTrainingState:
    """Return a training state with these weights and fresh optimisers."""
    model = build_unet()
    model.load_state_dict(weights)
    return UnetTrainingState(model, copy.deepcopy(model).requires_grad_(False), build_optimisers(model), samples)


def save_checkpoint(run: UnetTrainingState, state: Path = STATE) -> None:
    """Write a checkpoint atomically."""
    part = state.with_suffix(".part")
    values = {
        "model": run.model.state_dict(),
        "average": run.average.state_dict(),
        "optimisers": [optimiser.state_dict() for optimiser in run.optimisers],
        "samples": run.samples,
    }
    torch.save(values, part)
    part.replace(state)


def learning_rate(samples: int, total: int, batch: int) -> float:
    """Return the learning rate: linear warm-up, constant, then linear decay over the last third."""
    rise = min(1.0, (samples / batch + 1) / UNET.warmup_steps)
    fall = min(1.0, 3 * max(0.0, 1 - samples / total))
    return UNET.learning_rate * rise * max(0.02, fall)


class CaptionEncoder:
    """Encode captions with the trained text encoder."""

    def __init__(self, device: str) -> None:
        self.tokenizer = CLIPTokenizer.from_pretrained(text.TOKENIZER)
        self.encoder = CLIPTextModel.from_pretrained(text.STATE).eval().to(device)
        self.device = device

    @torch.no_grad()
    def encode(self, captions: list[str]) -> Tensor:
        """Return the hidden states of captions, batch × context × hidden."""
        ids = text.token_ids(self.tokenizer, captions).to(self.device)
        states: Tensor = self.encoder(input_ids=ids).last_hidden_state
        return states

    def encode_samples(self, samples: list[Sample]) -> Tensor:
        """Return the hidden states of samples' captions, those of mixtures between two captions."""
        states = self.encode([sample.caption for sample in samples])
        mixed = [i for i, sample in enumerate(samples) if sample.share]
        if mixed:
            others = self.encode([samples[i].other for i in mixed])
            shares = torch.tensor([samples[i].share for i in mixed], device=self.device)
            states[mixed] = torch.lerp(states[mixed], others, shares[:, None, None])
        return states


def v_errors(model: UNet2DConditionModel, latents: Tensor, states: Tensor, alphas: Tensor) -> tuple[Tensor, Tensor]:
    """Return each image's mean squared error in v, and its timestep; the timesteps of a batch are spread out."""
    count = latents.shape[0]
    spread = (torch.arange(count, device=latents.device) + torch.rand(1, device=latents.device)) / count
    timesteps = (spread.pow(UNET.timestep_power) * UNET.train_timesteps).long().clamp(max=UNET.train_timesteps - 1)
    signal = alphas[timesteps].sqrt()[:, None, None, None]
    noise_share = (1 - alphas[timesteps]).sqrt()[:, None, None, None]
    noise = torch.randn_like(latents)
    target = signal * noise - noise_share * latents
    predicted = model(signal * latents + noise_share * noise, timesteps, encoder_hidden_states=states).sample
    return (predicted.float() - target).pow(2).mean(dim=(1, 2, 3)), timesteps


def interval_timer(minutes: float) -> Iterator[bool]:
    """Yield whether another interval of `minutes` has passed."""
    last = time.monotonic()
    while True:
        due = time.monotonic() - last > minutes * 60
        if due:
            last = time.monotonic()
        yield due


class LossMeter:
    """The mean v-error in each quarter of the timesteps, from nearly clean to nearly pure noise."""

    def __init__(self, device: str) -> None:
        self.sums, self.counts = torch.zeros(4, device=device), torch.zeros(4, device=device)

    def add(self, errors: Tensor, timesteps: Tensor) -> None:
        """Add a batch, without copying anything off the device."""
        quarter = timesteps * 4 // UNET.train_timesteps
        self.sums.index_add_(0, quarter, errors.detach())
        self.counts.index_add_(0, quarter, torch.ones_like(errors))

    def report(self) -> str:
        """Return the means as text, and reset them."""
        text = " ".join(f"{error:.4f}" for error in (self.sums / self.counts).tolist())
        self.sums.zero_()
        self.counts.zero_()
        return text


def train_step(
    run: UnetTrainingState, latents: Tensor, states: Tensor, alphas: Tensor, rate: float
) -> tuple[Tensor, Tensor]:
    """Train on one batch; return the errors and timesteps."""
    for optimiser in run.optimisers:
        for group in optimiser.param_groups:
            group["lr"] = rate
    with autocast(latents.device.type):
        errors, timesteps = v_errors(run.model, latents, states, alphas)
    run.model.zero_grad()
    torch.autograd.backward(errors.mean())
    torch.nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
    for optimiser in run.optimisers:
        optimiser.step()
    run.samples += latents.shape[0]
    update_ema(run.average, run.model, min(UNET.ema, run.samples / (run.samples + 20 * latents.shape[0])))
    return errors, timesteps


def optimise_for_cpu(run: UnetTrainingState) -> None:
    """Switch to the attention and memory format that train fastest on a CPU; results stay the same."""
    for model in (run.model, run.average):
        model.set_attn_processor(PlainAttention())
        model.to(memory_format=torch.channels_last)


def train_unet(total: int = UNET.samples, batch: int = UNET.batch, device: str = "cpu", minutes: float = 4.0) -> None:
    """Train from the last checkpoint until `total` samples are reached."""
    run, captions = start_or_resume(device), CaptionEncoder(device)
    if device == "cpu":
        optimise_for_cpu(run)
    rng = random.Random(SEED + run.samples)
    torch.manual_seed(SEED + run.samples)
    alphas = noise_schedule().alphas_cumprod.to(device)
    datasets = [LatentDataset(half, device) for half in (False, True)]
    refresh_all(datasets)
    meter, first, start = LossMeter(device), run.samples, time.monotonic()
    save_due, report_due = interval_timer(minutes), interval_timer(minutes / 4)
    while run.samples < total:
        half = run.samples < UNET.half_size_samples or rng.random() < UNET.half_size_share
        samples = datasets[half].batch(rng, batch * (2 if half else 1))
        latents, states = torch.stack([sample.latents for sample in samples]), captions.encode_samples(samples)
        meter.add(*train_step(run, latents, states, alphas, learning_rate(run.samples, total, batch)))
        if next(report_due):
            speed = (run.samples - first) / (time.monotonic() - start)
            print(f"unet {run.samples}/{total} v-error by quarter {meter.report()} {speed:.1f}/s", flush=True)
        if next(save_due):
            save_checkpoint(run)
            print(f"unet saved, {refresh_all(datasets)} images", flush=True)
    save_checkpoint(run)
