"""Train the autoencoder, guiding its latents towards a thumbnail of the image at first."""

from __future__ import annotations

import copy
import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from diffusers import AutoencoderKL
from diffusers.models.attention_processor import Attention
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from PIL import Image
from torch import Tensor, nn

from training.precision import autocast
from training.settings import RUNS, SEED, VAE
from training.subjects import draw, sample_size, sample_subject

STATE = RUNS / "vae.pt"


@dataclass
class VaeTrainingState:
    """The state of a training run, as saved in a checkpoint."""

    model: AutoencoderKL
    average: AutoencoderKL
    optimiser: torch.optim.Optimizer
    step: int


def build_vae() -> AutoencoderKL:
    """Return an untrained autoencoder that downsamples 8 times to four latent channels."""
    levels = len(VAE.block_out_channels)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=VAE.block_out_channels,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=VAE.norm_num_groups,
        sample_size=256,
        scaling_factor=1.0,
    )


@torch.no_grad()
def init_as_thumbnail(vae: AutoencoderKL) -> None:
    """Initialise the weights so that the untrained autoencoder encodes a thumbnail and decodes it by upscaling.

    With the default initialisation, learning this takes thousands of steps. Colours are passed as pairs +c, −c, because
    silu(c) − silu(−c) = c and a pair does not change the mean that a norm subtracts. Two constant channels keep the
    norm from amplifying a dark or plain image.
    """
    for part in (vae.encoder, vae.decoder):
        for module in part.modules():
            if isinstance(module, ResnetBlock2D):
                module.conv2.weight.mul_(0.05)
                if module.conv_shortcut is not None:
                    _pass_through(module.conv_shortcut, 1.0)
            elif isinstance(module, Attention):
                module.to_out[0].weight.mul_(0.05)
            elif isinstance(module, Downsample2D):
                _pass_through(module.conv, 0.25, ((0, 0), (0, 1), (1, 0), (1, 1)))
            elif isinstance(module, Upsample2D):
                _pass_through(module.conv, 1.0)
        _fan_out(part.conv_in)
        _fan_in(part.conv_out)
    _pass_through(vae.quant_conv, 1.0)
    _pass_through(vae.post_quant_conv, 1.0)


def _biases(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias


def _pass_through(conv: nn.Conv2d, tap: float, taps: tuple[tuple[int, int], ...] | None = None) -> None:
    """Make a convolution pass each channel on, with a tenth of its random initialisation."""
    middle = conv.kernel_size[0] // 2
    shared = min(conv.in_channels, conv.out_channels)
    conv.weight[:shared] *= 0.1
    _biases(conv).zero_()
    for y, x in taps or ((middle, middle),):
        conv.weight[range(shared), range(shared), y, x] += tap


def _fan_out(conv: nn.Conv2d) -> None:
    """Write the colours, their opposites and two constants to the first eight channels."""
    conv.weight[:8] = 0
    _biases(conv)[:8] = 0
    for i in range(3):
        conv.weight[i, i, 1, 1], conv.weight[3 + i, i, 1, 1] = 1.0, -1.0
    _biases(conv)[6], _biases(conv)[7] = 1.0, -1.0


def _fan_in(conv: nn.Conv2d) -> None:
    """Recover the colours from their pairs."""
    conv.weight.mul_(0.1)
    _biases(conv).zero_()
    for i in range(3):
        conv.weight[i, i, 1, 1], conv.weight[i, 3 + i, 1, 1] = 1.0, -1.0


@torch.no_grad()
def match_gain(vae: AutoencoderKL, images: Tensor) -> None:
    """Scale both last convolutions so that latents match the thumbnail and reconstructions match the images."""
    thumbnail = F.avg_pool2d(images, 8)
    latents = encode_mean(vae, images)[:, :3]
    vae.encoder.conv_out.weight[:3] *= (latents * thumbnail).sum() / latents.pow(2).sum()
    output = vae.decoder(vae.post_quant_conv(encode_mean(vae, images)))
    vae.decoder.conv_out.weight *= (output * images).sum() / output.pow(2).sum()


@torch.no_grad()
def silence_variance(vae: AutoencoderKL) -> None:
    """Set the encoder's variance to a small constant, because training never used it."""
    vae.quant_conv.weight[4:] = 0
    vae.quant_conv.bias[4:] = -8.0


@torch.no_grad()
def whiten(vae: AutoencoderKL, images: list[np.ndarray]) -> None:
    """Normalise every latent channel to mean 0 and variance 1, without changing any reconstruction."""
    latents = torch.cat([encode_mean(vae, to_tensor([Image.fromarray(p)])).flatten(2)[0] for p in images], dim=-1)
    mean, deviation = latents.mean(dim=-1), latents.std(dim=-1)
    vae.post_quant_conv.bias += (vae.post_quant_conv.weight[:, :, 0, 0] * mean).sum(dim=1)
    vae.post_quant_conv.weight *= deviation[None, :, None, None]
    vae.quant_conv.bias[:4] = (vae.quant_conv.bias[:4] - mean) / deviation
    vae.quant_conv.weight[:4] /= deviation[:, None, None, None]


def to_tensor(images: list[Image.Image]) -> Tensor:
    """Return images of one size as values between -1 and 1, batch × 3 × height × width."""
    stack = np.stack([np.asarray(p) for p in images])
    return torch.from_numpy(stack).permute(0, 3, 1, 2).float() / 127.5 - 1


def draw_images(count: int, seed: int) -> list[np.ndarray]:
    """Draw random subjects in random sizes."""
    rng = random.Random(seed)
    return [np.asarray(draw(sample_subject(rng), sample_size(rng), rng.randrange(2**31))) for _ in range(count)]


def random_crops(images: list[np.ndarray], rng: random.Random, count: int, side: int) -> Tensor:
    """Return random square crops, half of them mirrored; three of four are the busiest of three crops."""
    crops = []
    for _ in range(count):
        squares = [_random_square(rng.choice(images), rng, side) for _ in range(3 if rng.random() < 0.75 else 1)]
        square = max(squares, key=lambda s: int(np.abs(np.diff(s[:, :, 1].astype(np.int16), axis=1)).sum()))
        crops.append(square[:, ::-1] if rng.random() < 0.5 else square)
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _random_square(image: np.ndarray, rng: random.Random, side: int) -> np.ndarray:
    y, x = rng.randrange(image.shape[0] - side + 1), rng.randrange(image.shape[1] - side + 1)
    return image[y : y + side, x : x + side]


def encode_mean(vae: AutoencoderKL, images: Tensor) -> Tensor:
    """Return the latents without noise."""
    mean: Tensor = vae.quant_conv(vae.encoder(images))[:, :4]
    return mean


def edge_loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute error of the differences between neighbouring pixels."""
    across = (output.diff(dim=-1) - target.diff(dim=-1)).abs().mean()
    down = (output.diff(dim=-2) - target.diff(dim=-2)).abs().mean()
    return across + down


def image_loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the loss over colours and edges."""
    return (output - target).abs().mean() + 2 * F.mse_loss(output, target) + 0.5 * edge_loss(output, target)


def training_loss(vae: AutoencoderKL, images: Tensor, step: int, noise: float) -> tuple[Tensor, Tensor]:
    """Return the loss and the reconstruction."""
    latents = encode_mean(vae, images).float()
    output = vae.decoder(vae.post_quant_conv(latents + noise * torch.randn_like(latents))).float()
    thumbnail = F.avg_pool2d(images, 8)
    guide = max(0.002, 1 - step / VAE.thumbnail_steps)
    loss = image_loss(output, images) + guide * (latents[:, :3] - thumbnail).abs().mean()
    return loss + 1e-4 * latents.pow(2).mean(), output


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Return the learning rate: a linear warm-up over 100 steps, then a cosine decay to a fiftieth."""
    rise = min(1.0, (step + 1) / 100)
    fall = 0.5 * (1 + float(np.cos(np.pi * min(1.0, step / steps))))
    return peak * rise * (0.02 + 0.98 * fall)


def build_optimiser(model: AutoencoderKL, peak: float) -> torch.optim.AdamW:
    """Return the optimiser for all weights of the autoencoder."""
    return torch.optim.AdamW(model.parameters(), lr=peak, weight_decay=1e-4, betas=(0.9, 0.98))


def start_or_resume(state: Path, peak: float, device: str = "cpu") -> VaeTrainingState:
    """Load the last checkpoint, or return a new training state."""
    torch.manual_seed(SEED)
    model = build_vae()
    init_as_thumbnail(model)
    match_gain(model, random_crops(draw_images(32, SEED), random.Random(SEED), 32, VAE.crop))
    average = copy.deepcopy(model.to(device)).requires_grad_(False)
    progress = VaeTrainingState(model, average, build_optimiser(model, peak), 0)
    if state.exists():
        saved = torch.load(state, weights_only=True, map_location=device)
        model.load_state_dict(saved["model"])
        average.load_state_dict(saved["average"])
        progress.optimiser.load_state_dict(saved["optimiser"])
        progress.step = saved["step"]
    return progress


def freeze_encoder() -> None:
    """Fix the latents: whiten the averaged weights and continue from them; afterwards only the decoder is trained."""
    progress = start_or_resume(STATE, VAE.learning_rate)
    whiten(progress.average, draw_images(200, SEED + 2))
    progress.model.load_state_dict(progress.average.state_dict())
    progress.optimiser = torch.optim.AdamW(progress.model.parameters(), lr=VAE.learning_rate, betas=(0.9, 0.98))
    save_checkpoint(progress, STATE)


def load_trained_vae() -> AutoencoderKL:
    """Return the autoencoder with the averaged weights of the last checkpoint."""
    vae = build_vae()
    vae.load_state_dict(torch.load(STATE, weights_only=True, map_location="cpu")["average"])
    return vae.eval()


def save_checkpoint(progress: VaeTrainingState, state: Path) -> None:
    """Write a checkpoint atomically."""
    state.parent.mkdir(parents=True, exist_ok=True)
    part = state.with_suffix(".part")
    values = {
        "model": progress.model.state_dict(),
        "average": progress.average.state_dict(),
        "optimiser": progress.optimiser.state_dict(),
        "step": progress.step,
    }
    torch.save(values, part)
    part.replace(state)


@torch.no_grad()
def psnr(vae: AutoencoderKL, images: list[np.ndarray]) -> float:
    """Return the mean peak signal-to-noise ratio of reconstructed images in decibels."""
    scores = []
    for image in images:
        target = to_tensor([Image.fromarray(image)]).to(vae.device)
        output = vae.decoder(vae.post_quant_conv(encode_mean(vae, target))).clamp(-1, 1)
        scores.append(10 * torch.log10(4 / F.mse_loss(output, target)).item())
    return sum(scores) / len(scores)


def train_vae(steps: int = VAE.steps, batch: int = VAE.batch, device: str = "cpu", decoder_only: bool = False) -> None:
    """Train from the last checkpoint until `steps` are reached."""
    progress = start_or_resume(STATE, VAE.learning_rate, device)
    images, held_out = draw_images(VAE.images, SEED), draw_images(48, SEED + 1)
    rng = random.Random(SEED + progress.step)
    start = time.monotonic()
    noise = VAE.decoder_noise if decoder_only else 2 * VAE.latent_noise
    if decoder_only:
        progress.model.encoder.requires_grad_(False)
        progress.model.quant_conv.requires_grad_(False)
    while progress.step < steps:
        target = random_crops(images, rng, batch, VAE.crop).to(device)
        for group in progress.optimiser.param_groups:
            group["lr"] = learning_rate(progress.step, steps, VAE.learning_rate)
        with autocast(device):
            loss, output = training_loss(progress.model, target, progress.step, noise * torch.rand(1).item())
        progress.optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(progress.model.parameters(), 1.0)
        progress.optimiser.step()
        progress.step += 1
        update_ema(progress.average, progress.model, min(VAE.ema, progress.step / (progress.step + 10)))
        if progress.step % 50 == 0:
            batch_psnr = 10 * torch.log10(4 / F.mse_loss(output.detach(), target)).item()
            report = f"loss {loss.item():.4f} psnr {batch_psnr:.1f} {time.monotonic() - start:.0f} s"
            print(f"vae {progress.step}/{steps} {report}", flush=True)
        if progress.step % 500 == 0 or progress.step == steps:
            save_checkpoint(progress, STATE)
            print(f"vae held-out psnr {psnr(progress.average, held_out):.2f} dB", flush=True)


@torch.no_grad()
def update_ema(average: torch.nn.Module, model: torch.nn.Module, keep: float) -> None:
    """Update the exponential moving average of the weights; `keep` is the weight of the old average."""
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - keep)
