"""Train the autoencoder on new drawings while its latents stay nearly where they are, so that the UNet can go on."""

from __future__ import annotations

import copy
import random
import time

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor

from training import vae
from training.settings import FINETUNE_VAE, SEED, VAE


def corrupt_one_half(latents: Tensor) -> tuple[Tensor, Tensor]:
    """Return latents with one half gone wild, and a mask of the pixels that must not mind, batch × 1 × height × width.

    The norms see a whole picture, so what is painted anew into one part of it would tint all the rest.
    """
    sides = torch.ones_like(latents[:, :1])
    middle, margin = latents.shape[-1] // 2, 2
    sides[..., middle:] = 0
    keep = sides.clone()
    keep[..., middle - margin :] = 0
    if torch.rand(1).item() < 0.5:
        sides, keep = sides.flip(-1), keep.flip(-1)
    corrupted = (1 + FINETUNE_VAE.corruption_scale * torch.rand(1).item()) * latents.flip(
        0, -1
    ) + 0.3 * torch.randn_like(latents)
    return sides * latents + (1 - sides) * corrupted, keep.repeat_interleave(8, -1).repeat_interleave(8, -2)


def drift_penalty_loss(model: AutoencoderKL, reference: AutoencoderKL, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss of the pictures made, and how far their latents have drifted (mean square)."""
    latents = vae.encode_mean(model, pictures).float()
    with torch.no_grad():
        known = vae.encode_mean(reference, pictures).float()
    noise = FINETUNE_VAE.latent_noise * torch.rand(1).item()
    given, keep = latents + noise * torch.randn_like(latents), torch.ones(())
    if torch.rand(1).item() < FINETUNE_VAE.corruption_probability:
        given, keep = corrupt_one_half(given)
    made = model.decoder(model.post_quant_conv(given)).float()
    return vae.image_loss(keep * made, keep * pictures), (latents - known).pow(2).mean()


def build_optimiser(model: AutoencoderKL) -> torch.optim.Optimizer:
    """Return AdamW with the decoder first and the encoder, which learns more slowly, second."""
    decoder = [*model.decoder.parameters(), *model.post_quant_conv.parameters()]
    encoder = [*model.encoder.parameters(), *model.quant_conv.parameters()]
    return torch.optim.AdamW([{"params": decoder}, {"params": encoder}], FINETUNE_VAE.learning_rate, (0.9, 0.98))


def training_batch(pictures: list[np.ndarray], rng: random.Random) -> Tensor:
    """Return crops with edges in them, or a whole picture: its norms see plain backgrounds as crops never do."""
    if rng.random() < FINETUNE_VAE.full_image_probability:
        return vae.to_tensor([Image.fromarray(rng.choice(pictures))])
    return vae.random_crops(pictures, rng, FINETUNE_VAE.batch, VAE.crop)


def finetune_vae(steps: int = FINETUNE_VAE.steps) -> None:
    """Train both halves for a while, going on from the averaged weights of the last checkpoint."""
    progress = vae.start_or_resume(vae.STATE, FINETUNE_VAE.learning_rate)
    progress.model.load_state_dict(progress.average.state_dict())
    reference = copy.deepcopy(progress.average)
    pictures, held = vae.draw_images(FINETUNE_VAE.images, SEED + 40), vae.draw_images(32, SEED + 1)
    print(f"adapt held-out psnr {vae.psnr(progress.average, held):.2f} dB", flush=True)
    torch.manual_seed(SEED + 40)
    rng, began, optimiser = random.Random(SEED + 40), time.monotonic(), build_optimiser(progress.model)
    for step in range(1, steps + 1):
        for group, share in zip(optimiser.param_groups, (1.0, FINETUNE_VAE.encoder_lr_scale), strict=True):
            group["lr"] = share * vae.learning_rate(step, steps, FINETUNE_VAE.learning_rate)
        wanted = training_batch(pictures, rng)
        with torch.autocast("cpu", torch.bfloat16):
            loss, drift = drift_penalty_loss(progress.model, reference, wanted)
        optimiser.zero_grad()
        torch.autograd.backward(loss + FINETUNE_VAE.drift_weight * drift)
        torch.nn.utils.clip_grad_norm_(progress.model.parameters(), 1.0)
        optimiser.step()
        vae.update_ema(progress.average, progress.model, min(0.99, step / (step + 10)))
        if step % 50 == 0:
            told = f"loss {loss.item():.4f} drift {drift.item():.4f} {time.monotonic() - began:.0f} s"
            print(f"adapt {step}/{steps} {told}", flush=True)
        if step % 300 == 0 or step == steps:
            vae.save_checkpoint(progress, vae.STATE)
            print(f"adapt held-out psnr {vae.psnr(progress.average, held):.2f} dB", flush=True)
