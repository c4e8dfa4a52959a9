"""What the JSON files of a diffusers folder say about its pipeline, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from generation.models.catalogue import Family
from generation.models.files.errors import ModelFileError
from generation.models.files.ldm_layout import SD_CHANNELS

XL_PARTS = ("tokenizer_2", "text_encoder_2")
PARTS = ("tokenizer", "tokenizer_2", "text_encoder", "text_encoder_2", "unet", "vae", "scheduler")
FIX_MODEL = "Choose another MODEL."

# diffusers' schedulers with the noise schedule of Stable Diffusion, `alphas_cumprod`; a test compares with diffusers.
SCHEDULERS = frozenset(
    {
        "CogVideoXDDIMScheduler",
        "CogVideoXDPMScheduler",
        "DDIMInverseScheduler",
        "DDIMParallelScheduler",
        "DDIMScheduler",
        "DDPMParallelScheduler",
        "DDPMScheduler",
        "DEISMultistepScheduler",
        "DPMSolverMultistepInverseScheduler",
        "DPMSolverMultistepScheduler",
        "DPMSolverSDEScheduler",
        "DPMSolverSinglestepScheduler",
        "EulerAncestralDiscreteScheduler",
        "EulerDiscreteScheduler",
        "HeunDiscreteScheduler",
        "KDPM2AncestralDiscreteScheduler",
        "KDPM2DiscreteScheduler",
        "LCMScheduler",
        "LMSDiscreteScheduler",
        "PNDMScheduler",
        "RePaintScheduler",
        "SASolverScheduler",
        "TCDScheduler",
        "UnCLIPScheduler",
        "UniPCMultistepScheduler",
    }
)
SCHEDULER_PACKAGES = {"LMSDiscreteScheduler": "scipy", "DPMSolverSDEScheduler": "torchsde"}
PREDICTION_TYPES = ("epsilon", "v_prediction", "sample")
CLASSES = {
    "text_encoder": ("CLIPTextModel", "CLIPTextModelWithProjection"),
    "text_encoder_2": ("CLIPTextModelWithProjection",),
    "unet": ("UNet2DConditionModel",),
    "vae": ("AutoencoderKL",),
}
# What a UNet may be told beside the text and the time; every other value needs an input that prompts do not have.
UNET_INPUTS: dict[str, tuple[Any, ...]] = {
    "addition_embed_type": (None, "text"),
    "class_embed_type": (None,),
    "num_class_embeds": (None,),
    "encoder_hid_dim_type": (None, "text_proj"),
}


def part_class(index: Mapping[str, Any], part: str) -> str | None:
    """Return the class of a part that `model_index.json` names, None if the pipeline has no such part."""
    named = index.get(part)
    return str(named[1]) if isinstance(named, list | tuple) and len(named) == 2 and named[1] is not None else None


def missing_package(scheduler: str) -> str | None:
    """Return the package that a scheduler needs beside diffusers, if it is not installed."""
    package = SCHEDULER_PACKAGES.get(scheduler)
    return package if package and not find_spec(package) else None


def is_xl(index: Mapping[str, Any]) -> bool:
    """Return whether a pipeline has two text encoders."""
    return part_class(index, "text_encoder_2") is not None


def is_editor(index: Mapping[str, Any]) -> bool:
    """Return whether a pipeline changes pictures as words say; others of as many channels have other pictures there."""
    return "InstructPix2Pix" in str(index.get("_class_name"))


def require_supported_family(
    ref: str, index: Mapping[str, Any], unet: Mapping[str, Any], vae: Mapping[str, Any], scheduler: Mapping[str, Any]
) -> None:
    """Raise ModelFileError for a pipeline that the denoising loop cannot run, by the configurations of its parts."""
    require_supported_classes(ref, index)
    allowed = UNET_INPUTS | ({"addition_embed_type": (None, "text", "text_time")} if is_xl(index) else {})
    if any(unet.get(name) not in values for name, values in allowed.items()):
        raise ModelFileError(
            f"{ref} has a UNet that needs more than texts, so it is not a Stable Diffusion pipeline", FIX_MODEL
        )
    _require_supported_channels(ref, index, unet.get("in_channels", 4), vae.get("latent_channels", 4))
    _require_supported_noise(ref, str(part_class(index, "scheduler")), scheduler)


def _require_supported_channels(ref: str, index: Mapping[str, Any], channels: int, latent_channels: int) -> None:
    """Raise ModelFileError for a UNet that takes other channels than the latents, and those of the picture it edits."""
    expected = latent_channels * (2 if is_editor(index) else 1)
    if channels == SD_CHANNELS != latent_channels:
        raise ModelFileError(f"{ref} has a VAE of {latent_channels} channels for a UNet of {channels}", FIX_MODEL)
    if channels != expected:
        kind = index.get("_class_name")
        text = f"{ref} has a UNet of {channels} input channels, and {kind} is supported with {expected} only"
        raise ModelFileError(f"{text}: it is for inpainting, or for edits of another kind", FIX_MODEL)


def require_supported_classes(ref: str, index: Mapping[str, Any]) -> None:
    """Raise ModelFileError for a pipeline that lacks a part, or has one of another kind."""
    if is_xl(index) and part_class(index, "text_encoder") is None:
        raise ModelFileError(
            f"{ref} is a refiner: it refines images of {Family.SDXL} and cannot generate its own", FIX_MODEL
        )
    for part in PARTS:
        if part_class(index, part) is None and (is_xl(index) or part not in XL_PARTS):
            raise ModelFileError(f"{ref} has no {part}, so it is not a Stable Diffusion pipeline", FIX_MODEL)
    for part, supported in CLASSES.items():
        if (kind := part_class(index, part)) not in (None, *supported):
            raise ModelFileError(f"{ref} has a {kind} as its {part}, which is not supported", FIX_MODEL)


def _require_supported_noise(ref: str, kind: str, scheduler: Mapping[str, Any]) -> None:
    predicted = scheduler.get("prediction_type") or "epsilon"
    if kind not in SCHEDULERS or predicted not in PREDICTION_TYPES or scheduler.get("use_flow_sigmas"):
        raise ModelFileError(
            f"{ref} needs the noise schedule of {kind} ({predicted}), which is not supported", FIX_MODEL
        )
