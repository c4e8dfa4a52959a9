"""Convert the shipped model to checkpoints, so that training can continue from it."""

from __future__ import annotations

import copy
from pathlib import Path

from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from training import text, unet, vae
from training.settings import MODEL, UNET, VAE


def restore(folder: Path = MODEL) -> None:
    """Write checkpoints from the shipped weights, with fresh optimisers."""
    CLIPTokenizer.from_pretrained(folder / "tokenizer").save_pretrained(text.TOKENIZER)
    CLIPTextModel.from_pretrained(folder / "text_encoder").save_pretrained(text.STATE)
    restore_vae(folder / "vae", vae.STATE)
    restore_unet(folder / "unet", unet.STATE)


def restore_vae(folder: Path, state: Path) -> None:
    """Write the autoencoder's checkpoint at its last step."""
    model = AutoencoderKL.from_pretrained(folder).float()
    average = copy.deepcopy(model).requires_grad_(False)
    vae.save_checkpoint(
        vae.VaeTrainingState(model, average, vae.build_optimiser(model, VAE.learning_rate), VAE.steps), state
    )


def restore_unet(folder: Path, state: Path) -> None:
    """Write the UNet's checkpoint at its last sample."""
    weights = UNet2DConditionModel.from_pretrained(folder).float().state_dict()
    unet.save_checkpoint(unet.state_from_weights(weights, UNET.samples), state)
