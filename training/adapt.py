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
from training.settings import ADAPT, SEED, VAE


def one_half_wild(latents: Tensor) -> tuple[Tensor, Tensor]:
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
    wild = (1 + ADAPT.wildness * torch.rand(1).item()) * latents.flip(0, -1) + 0.3 * torch.randn_like(latents)
    return sides * latents + (1 - sides) * wild, keep.repeat_interleave(8, -1).repeat_interleave(8, -2)


def gentle_loss(model: AutoencoderKL, settled: AutoencoderKL, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss of the pictures made, and how far their latents have drifted (mean square)."""
    latents = vae.encode_mean(model, pictures).float()
    with torch.no_grad():
        known = vae.encode_mean(settled, pictures).float()
    noise = ADAPT.latent_noise * torch.rand(1).item()
    given, keep = latents + noise * torch.randn_like(latents), torch.ones(())
    if torch.rand(1).item() < ADAPT.wild_share:
        given, keep = one_half_wild(given)
    made = model.decoder(model.post_quant_conv(given)).float()
    return vae.picture_loss(keep * made, keep * pictures), (latents - known).pow(2).mean()


def optimiser_of(model: AutoencoderKL) -> torch.optim.Optimizer:
    """Return AdamW with the decoder first and the encoder, which learns more slowly, second."""
    decoder = [*model.decoder.parameters(), *model.post_quant_conv.parameters()]
    encoder = [*model.encoder.parameters(), *model.quant_conv.parameters()]
    return torch.optim.AdamW([{"params": decoder}, {"params": encoder}], ADAPT.learning_rate, (0.9, 0.98))


def lesson(pictures: list[np.ndarray], rng: random.Random) -> Tensor:
    """Return crops with edges in them, or a whole picture: its norms see plain backgrounds as crops never do."""
    if rng.random() < ADAPT.whole_share:
        return vae.to_tensor([Image.fromarray(rng.choice(pictures))])
    return vae.crops(pictures, rng, ADAPT.batch, VAE.crop)


def adapt(steps: int = ADAPT.steps) -> None:
    """Train both halves for a while, going on from the averaged weights of the last checkpoint."""
    progress = vae.start_or_resume(vae.STATE, ADAPT.learning_rate)
    progress.model.load_state_dict(progress.average.state_dict())
    settled = copy.deepcopy(progress.average)
    pictures, held = vae.drawn_pictures(ADAPT.pictures, SEED + 40), vae.drawn_pictures(32, SEED + 1)
    print(f"adapt held-out psnr {vae.psnr(progress.average, held):.2f} dB", flush=True)
    torch.manual_seed(SEED + 40)
    rng, began, optimiser = random.Random(SEED + 40), time.monotonic(), optimiser_of(progress.model)
    for step in range(1, steps + 1):
        for group, share in zip(optimiser.param_groups, (1.0, ADAPT.encoder_share), strict=True):
            group["lr"] = share * vae.learning_rate(step, steps, ADAPT.learning_rate)
        wanted = lesson(pictures, rng)
        with torch.autocast("cpu", torch.bfloat16):
            loss, drift = gentle_loss(progress.model, settled, wanted)
        optimiser.zero_grad()
        torch.autograd.backward(loss + ADAPT.drift_weight * drift)
        torch.nn.utils.clip_grad_norm_(progress.model.parameters(), 1.0)
        optimiser.step()
        vae.follow(progress.average, progress.model, min(0.99, step / (step + 10)))
        if step % 50 == 0:
            told = f"loss {loss.item():.4f} drift {drift.item():.4f} {time.monotonic() - began:.0f} s"
            print(f"adapt {step}/{steps} {told}", flush=True)
        if step % 300 == 0 or step == steps:
            vae.save(progress, vae.STATE)
            print(f"adapt held-out psnr {vae.psnr(progress.average, held):.2f} dB", flush=True)
