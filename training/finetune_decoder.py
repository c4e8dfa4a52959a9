"""Fine-tune the decoder on latents that the UNet has denoised, so that the UNet's small errors are not visible."""

from __future__ import annotations

import random
import time

import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline
from torch import Tensor

from training import vae
from training.captions import make_caption
from training.export import load_trained_pipeline
from training.finetune_vae import corrupt_one_half
from training.precision import autocast
from training.settings import FINETUNE_DECODER, FINETUNE_VAE, SAMPLING, SEED, VAE
from training.subjects import draw, sample_subject
from training.unet import noise_schedule


@torch.no_grad()
def renoise_and_denoise(pipeline: StableDiffusionPipeline, latents: Tensor, captions: list[str], steps: int) -> Tensor:
    """Noise latents and denoise them with the UNet over the last `steps` sampling steps, with guidance."""
    scheduler = DPMSolverMultistepScheduler.from_config(noise_schedule().config)
    scheduler.set_timesteps(SAMPLING.steps_with_other_samplers)
    first = len(scheduler.timesteps) - steps
    scheduler.set_begin_index(first)
    start = scheduler.timesteps[first].repeat(len(latents))
    sample: Tensor = scheduler.add_noise(latents, torch.randn_like(latents), start)
    states, empty = pipeline.encode_prompt(captions, "cpu", 1, True)
    for timestep in scheduler.timesteps[first:]:
        with autocast("cpu"):
            predicted = pipeline.unet(torch.cat([sample, sample]), timestep, torch.cat([empty, states])).sample.float()
        unconditional, conditional = predicted.chunk(2)
        guided = unconditional + SAMPLING.guidance * (conditional - unconditional)
        sample = scheduler.step(guided, timestep, sample).prev_sample
    return sample


def build_dataset(pipeline: StableDiffusionPipeline, count: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return drawings with their clean latents and those denoised by the UNet, each 1 × channels × height × width."""
    rng, dataset = random.Random(SEED + 30), []
    for _ in range(count // FINETUNE_DECODER.batch):
        subjects = [sample_subject(rng) for _ in range(FINETUNE_DECODER.batch)]
        images = vae.to_tensor([draw(s, (256, 256), rng.randrange(2**31)) for s in subjects])
        with torch.no_grad():
            clean = vae.encode_mean(pipeline.vae, images)
        captions = [make_caption(s, rng) for s in subjects]
        denoised = renoise_and_denoise(pipeline, clean, captions, rng.randint(*FINETUNE_DECODER.renoise_steps))
        dataset += list(zip(*(torch.split(part, 1) for part in (images, clean, denoised)), strict=True))
    return dataset


def paired_crop(sample: tuple[Tensor, Tensor, Tensor], rng: random.Random) -> tuple[Tensor, Tensor]:
    """Return the same square of an image and of its clean or denoised latents."""
    image, clean, denoised = sample
    side = VAE.crop // 8
    x, y = (rng.randrange(clean.shape[-1] - side + 1) for _ in range(2))
    latents = clean if rng.random() < FINETUNE_DECODER.clean_latent_probability else denoised
    pixels = image[..., 8 * y : 8 * (y + side), 8 * x : 8 * (x + side)]
    return pixels, latents[..., y : y + side, x : x + side]


def training_batch(dataset: list[tuple[Tensor, Tensor, Tensor]], rng: random.Random) -> tuple[Tensor, Tensor]:
    """Return four crops and their latents, or one whole image, because group norms see the whole image."""
    if rng.random() < FINETUNE_DECODER.full_image_probability:
        image, clean, denoised = rng.choice(dataset)
        return image, clean if rng.random() < FINETUNE_DECODER.clean_latent_probability else denoised
    pixels, latents = zip(*(paired_crop(rng.choice(dataset), rng) for _ in range(4)), strict=True)
    return torch.cat(pixels), torch.cat(latents)


def finetune_decoder() -> None:
    """Fine-tune the decoder on denoised latents, starting from the last checkpoint."""
    pipeline, rng = load_trained_pipeline(), random.Random(SEED + 31)
    torch.manual_seed(SEED + 31)
    dataset, start = build_dataset(pipeline, FINETUNE_DECODER.images), time.monotonic()
    print(f"finetune-decoder {len(dataset)} images denoised", flush=True)
    progress = vae.start_or_resume(vae.STATE, FINETUNE_DECODER.learning_rate)
    progress.model.load_state_dict(progress.average.state_dict())
    decoder = [*progress.model.decoder.parameters(), *progress.model.post_quant_conv.parameters()]
    optimiser = torch.optim.AdamW(decoder, FINETUNE_DECODER.learning_rate, (0.9, 0.98))
    for step in range(FINETUNE_DECODER.steps):
        target, latents = training_batch(dataset, rng)
        for group in optimiser.param_groups:
            group["lr"] = vae.learning_rate(step, FINETUNE_DECODER.steps, FINETUNE_DECODER.learning_rate)
        with autocast("cpu"):
            keep = torch.ones(())
            if rng.random() < FINETUNE_VAE.corruption_probability:
                latents, keep = corrupt_one_half(latents)
            output = progress.model.decoder(progress.model.post_quant_conv(latents)).float()
            loss = vae.image_loss(keep * output, keep * target)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(decoder, 1.0)
        optimiser.step()
        vae.update_ema(progress.average, progress.model, min(0.98, step / (step + 10)))
        if step % 25 == 24:
            report = f"loss {loss.item():.4f} {time.monotonic() - start:.0f} s"
            print(f"finetune-decoder {step + 1}/{FINETUNE_DECODER.steps} {report}", flush=True)
    vae.save_checkpoint(progress, vae.STATE)
