"""Turn the shipped model back into checkpoints, so that training can go on where it ended."""

from __future__ import annotations

from pathlib import Path

from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from training import text, unet, vae
from training.settings import MODEL, UNET, VAE


def restore(folder: Path = MODEL) -> None:
    """Write checkpoints from the shipped weights; the optimisers begin anew."""
    CLIPTokenizer.from_pretrained(folder / "tokenizer").save_pretrained(text.TOKENIZER)
    CLIPTextModel.from_pretrained(folder / "text_encoder").save_pretrained(text.STATE)
    restore_vae(folder / "vae", vae.STATE)
    restore_unet(folder / "unet", unet.STATE)


def restore_vae(folder: Path, state: Path) -> None:
    """Write the autoencoder's checkpoint at its last step."""
    state.unlink(missing_ok=True)
    progress = vae.start_or_resume(state, VAE.learning_rate)
    weights = AutoencoderKL.from_pretrained(folder).state_dict()
    progress.model.load_state_dict(weights)
    progress.average.load_state_dict(weights)
    progress.step = VAE.steps
    vae.save(progress, state)


def restore_unet(folder: Path, state: Path) -> None:
    """Write the UNet's checkpoint at its last sample."""
    state.unlink(missing_ok=True)
    run = unet.start_or_resume("cpu", state)
    weights = UNet2DConditionModel.from_pretrained(folder).state_dict()
    run.model.load_state_dict(weights)
    run.average.load_state_dict(weights)
    run.samples = UNET.samples
    unet.save(run, state)
