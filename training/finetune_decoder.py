"""Train the decoder on, on latents as the UNet leaves them, so that its small errors do not show."""

from __future__ import annotations

import random
import time

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from training import vae
from training.captions import make_caption
from training.export import default_scheduler, load_trained_pipeline
from training.finetune_vae import corrupt_one_half
from training.settings import FINETUNE_DECODER, FINETUNE_VAE, SAMPLING, SEED, VAE
from training.subjects import draw, sample_subject


@torch.no_grad()
def renoise_and_denoise(pipeline: StableDiffusionPipeline, latents: Tensor, captions: list[str], steps: int) -> Tensor:
    """Noise latents and let the UNet find its way back over the last few steps, with guidance."""
    scheduler = default_scheduler()
    scheduler.set_timesteps(SAMPLING.steps)
    first = len(scheduler.timesteps) - steps
    scheduler.set_begin_index(first)
    begin = scheduler.timesteps[first].repeat(len(latents))
    now: Tensor = scheduler.add_noise(latents, torch.randn_like(latents), begin)
    states, empty = pipeline.encode_prompt(captions, "cpu", 1, True)
    for timestep in scheduler.timesteps[first:]:
        with torch.autocast("cpu", torch.bfloat16):
            made = pipeline.unet(torch.cat([now, now]), timestep, torch.cat([empty, states])).sample.float()
        bare, guided = made.chunk(2)
        now = scheduler.step(bare + SAMPLING.guidance * (guided - bare), timestep, now).prev_sample
    return now


def build_dataset(pipeline: StableDiffusionPipeline, count: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return drawings with their own latents and with those that the UNet made of them, each 1 × channels × …"""
    rng, made = random.Random(SEED + 30), []
    for _ in range(count // FINETUNE_DECODER.batch):
        subjects = [sample_subject(rng) for _ in range(FINETUNE_DECODER.batch)]
        pictures = vae.to_tensor([draw(s, (256, 256), rng.randrange(2**31)) for s in subjects])
        with torch.no_grad():
            own = vae.encode_mean(pipeline.vae, pictures)
        words = [make_caption(s, rng) for s in subjects]
        again = renoise_and_denoise(pipeline, own, words, rng.randint(*FINETUNE_DECODER.renoise_steps))
        made += list(zip(*(torch.split(part, 1) for part in (pictures, own, again)), strict=True))
    return made


def paired_crop(drawn: tuple[Tensor, Tensor, Tensor], rng: random.Random) -> tuple[Tensor, Tensor]:
    """Cut the same square out of a picture and of its latents: mostly the UNet's, now and then its own."""
    picture, own, again = drawn
    side = VAE.crop // 8
    x, y = (rng.randrange(own.shape[-1] - side + 1) for _ in range(2))
    latents = own if rng.random() < FINETUNE_DECODER.clean_latent_probability else again
    pixels = picture[..., 8 * y : 8 * (y + side), 8 * x : 8 * (x + side)]
    return pixels, latents[..., y : y + side, x : x + side]


def training_batch(drawn: list[tuple[Tensor, Tensor, Tensor]], rng: random.Random) -> tuple[Tensor, Tensor]:
    """Return four crops and their latents, or a whole picture, whose norms see what a crop's never do."""
    if rng.random() < FINETUNE_DECODER.full_image_probability:
        picture, own, again = rng.choice(drawn)
        return picture, own if rng.random() < FINETUNE_DECODER.clean_latent_probability else again
    pixels, latents = zip(*(paired_crop(rng.choice(drawn), rng) for _ in range(4)), strict=True)
    return torch.cat(pixels), torch.cat(latents)


def finetune_decoder() -> None:
    """Train the decoder for a while on redrawn pictures, going on from the last checkpoint."""
    pipeline, rng = load_trained_pipeline(), random.Random(SEED + 31)
    torch.manual_seed(SEED + 31)
    drawn, began = build_dataset(pipeline, FINETUNE_DECODER.images), time.monotonic()
    print(f"refine {len(drawn)} pictures redrawn", flush=True)
    progress = vae.start_or_resume(vae.STATE, FINETUNE_DECODER.learning_rate)
    progress.model.load_state_dict(progress.average.state_dict())
    decoder = [*progress.model.decoder.parameters(), *progress.model.post_quant_conv.parameters()]
    optimiser = torch.optim.AdamW(decoder, FINETUNE_DECODER.learning_rate, (0.9, 0.98))
    for step in range(FINETUNE_DECODER.steps):
        wanted, latents = training_batch(drawn, rng)
        for group in optimiser.param_groups:
            group["lr"] = vae.learning_rate(step, FINETUNE_DECODER.steps, FINETUNE_DECODER.learning_rate)
        with torch.autocast("cpu", torch.bfloat16):
            keep = torch.ones(())
            if rng.random() < FINETUNE_VAE.corruption_probability:
                latents, keep = corrupt_one_half(latents)
            made = progress.model.decoder(progress.model.post_quant_conv(latents)).float()
            loss = vae.image_loss(keep * made, keep * wanted)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(decoder, 1.0)
        optimiser.step()
        vae.update_ema(progress.average, progress.model, min(0.98, step / (step + 10)))
        if step % 25 == 24:
            print(
                f"refine {step + 1}/{FINETUNE_DECODER.steps} loss {loss.item():.4f} {time.monotonic() - began:.0f} s",
                flush=True,
            )
    vae.save_checkpoint(progress, vae.STATE)
