"""Fine-tune the autoencoder on new drawings with nearly unchanged latents, so that the UNet need not be retrained."""

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
from training.precision import autocast
from training.settings import FINETUNE_VAE, SEED, VAE


def corrupt_one_half(latents: Tensor) -> tuple[Tensor, Tensor]:
    """Return latents with one half corrupted, and a mask of the pixels to keep, batch × 1 × height × width.

    Group norms see the whole image, so without this an inpainted part would tint the rest.
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


def drift_penalty_loss(model: AutoencoderKL, reference: AutoencoderKL, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the reconstruction loss, and the mean squared distance of the latents from the reference's."""
    latents = vae.encode_mean(model, images).float()
    with torch.no_grad():
        original = vae.encode_mean(reference, images).float()
    noise = FINETUNE_VAE.latent_noise * torch.rand(1).item()
    given, keep = latents + noise * torch.randn_like(latents), torch.ones(())
    if torch.rand(1).item() < FINETUNE_VAE.corruption_probability:
        given, keep = corrupt_one_half(given)
    output = model.decoder(model.post_quant_conv(given)).float()
    return vae.image_loss(keep * output, keep * images), (latents - original).pow(2).mean()


def build_optimiser(model: AutoencoderKL) -> torch.optim.Optimizer:
    """Return AdamW with two groups: the decoder, and the encoder, whose learning rate is lower."""
    decoder = [*model.decoder.parameters(), *model.post_quant_conv.parameters()]
    encoder = [*model.encoder.parameters(), *model.quant_conv.parameters()]
    return torch.optim.AdamW([{"params": decoder}, {"params": encoder}], FINETUNE_VAE.learning_rate, (0.9, 0.98))


def training_batch(images: list[np.ndarray], rng: random.Random) -> Tensor:
    """Return busy crops, or one whole image: group norms need to see plain backgrounds, which the crops lack."""
    if rng.random() < FINETUNE_VAE.full_image_probability:
        return vae.to_tensor([Image.fromarray(rng.choice(images))])
    return vae.random_crops(images, rng, FINETUNE_VAE.batch, VAE.crop)


def finetune_vae(steps: int = FINETUNE_VAE.steps) -> None:
    """Fine-tune encoder and decoder, starting from the averaged weights of the last checkpoint."""
    progress = vae.start_or_resume(vae.STATE, FINETUNE_VAE.learning_rate)
    progress.model.load_state_dict(progress.average.state_dict())
    reference = copy.deepcopy(progress.average)
    images, held_out = vae.draw_images(FINETUNE_VAE.images, SEED + 40), vae.draw_images(32, SEED + 1)
    print(f"finetune-vae held-out psnr {vae.psnr(progress.average, held_out):.2f} dB", flush=True)
    torch.manual_seed(SEED + 40)
    rng, start, optimiser = random.Random(SEED + 40), time.monotonic(), build_optimiser(progress.model)
    for step in range(1, steps + 1):
        for group, share in zip(optimiser.param_groups, (1.0, FINETUNE_VAE.encoder_lr_scale), strict=True):
            group["lr"] = share * vae.learning_rate(step, steps, FINETUNE_VAE.learning_rate)
        target = training_batch(images, rng)
        with autocast("cpu"):
            loss, drift = drift_penalty_loss(progress.model, reference, target)
        optimiser.zero_grad()
        torch.autograd.backward(loss + FINETUNE_VAE.drift_weight * drift)
        torch.nn.utils.clip_grad_norm_(progress.model.parameters(), 1.0)
        optimiser.step()
        vae.update_ema(progress.average, progress.model, min(0.99, step / (step + 10)))
        if step % 50 == 0:
            report = f"loss {loss.item():.4f} drift {drift.item():.4f} {time.monotonic() - start:.0f} s"
            print(f"finetune-vae {step}/{steps} {report}", flush=True)
        if step % 300 == 0 or step == steps:
            vae.save_checkpoint(progress, vae.STATE)
            print(f"finetune-vae held-out psnr {vae.psnr(progress.average, held_out):.2f} dB", flush=True)
