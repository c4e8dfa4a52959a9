"""Inspect single-file checkpoints in the original Stable Diffusion (LDM) layout by their header."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from generation.errors import UserError
from generation.models.catalogue import Family
from generation.models.files.attention_layers import count_in_weights
from generation.models.files.errors import report_damage
from generation.models.files.ldm_layout import (
    CLIP,
    EDITOR_CHANNELS,
    OPEN_CLIP,
    REFINER_OPEN_CLIP,
    SD_CHANNELS,
    SDXL_CLIP,
    SDXL_OPEN_CLIP,
    UNET,
    VAE,
    Shapes,
    UnsupportedLayoutError,
    unet_config,
    vae_config,
)
from generation.models.files.safetensors_header import SafetensorsHeader, read_header, require_plain_weights

NATIVE_SIZE = {Family.SD1: 512, Family.SD2: 512, Family.SDXL: 1024}
V_PREDICTION_SIZE = {Family.SD2: 768}
SIZE_STEP, SMALLEST_SIDE, LARGEST_SIDE = 64, 64, 4096  # pixels
SCALE_SUFFIXES = (".scale_weight", ".weight_scale")  # beside a weight in fp8, which they multiply
IGNORED_SUFFIXES = (".scale_input", ".input_scale", ".comfy_quant", "scaled_fp8")  # of no use where weights are wider
TRUE = ("true", "1", "yes")

_LORA = re.compile(r"lora_(?!controlnet$)|lycoris_|.*\.lora_(up|down|A|B)\.|bundle_emb\.")
_LORA_ELSEWHERE = "is a LoRA, not {wanted}: put it into the folder for LoRAs."
_SIDES = re.compile(r"\D*(\d{2,5})\D+(\d{2,5})\D*")
_PREDICTION_NOTES = ("modelspec.prediction_type", "modelspec.predict_key", "prediction_type")
_FLOW = ("flow", "rectified", "rf")
_CONTROLNET = r"(control_model|controlnet_\w+)\.|.*input_hint_block\.|zero_convs\.|lora_controlnet$"
_EMBEDDING = r"(emb_params|string_to_param\b.*|clip_[lg]|text_encoders_[01]|<.*>)$"
_COMPLETE = "Take a complete model."
_FOLDER = "Its family is taken as a folder in diffusers' layout only, as docs/models.md shows."
# What other files hold, by a pattern of one of their keys, in this order; `wanted` is what was looked for.
_OTHER_FILES = {
    r"edm_": "was trained with EDM noise, which is not supported.",
    _CONTROLNET: "is a ControlNet, not {wanted}: put it into the folder for ControlNets.",
    r"ip_adapter\.|image_proj\.": "is an IP-Adapter, not {wanted}: put it into the folder for IP-Adapters.",
    r".*motion_modules\.": "is a motion module of AnimateDiff, not {wanted}.",
    r".*(double_blocks|double_stream_modulation_img)\.": f"is a FLUX model in one file. {_FOLDER}",
    r".*joint_blocks\.": f"is a Stable Diffusion 3 model in one file. {_FOLDER}",
    r".*\b(absmax|quant_map|quant_state)\b": "is quantised by bitsandbytes, which is not supported.",
    rf"({re.escape(VAE)}|{re.escape(UNET)}).*(time_stack|time_mix|temporal_|alpha_blender)": "is a model for video.",
    _EMBEDDING: "is an embedding, not {wanted}: put it into the folder for embeddings.",
    r"(params(_ema)?\.)?conv_first\.|model\.0\.weight$": "is an upscaler, not {wanted}: name it in UPSCALER.",
    r"unet\.(down_blocks|conv_in)\.": "has diffusers' names in one file, which is not supported: save it as a folder.",
}
_UNET_ALONE = (UNET, "input_blocks.", "down_blocks.", "unet.")
_VAE_ALONE = (VAE, "decoder.", "vae.")
_TEXT_ALONE = ("text_model.", "transformer.resblocks.", "cond_stage_model.", "conditioner.", "encoder.block.")


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """A complete model in one file.

    With `v_prediction` its UNet predicts velocities instead of noise. With `zero_terminal_snr` it was trained up to
    pure noise, with no trace of an image left. An `is_editor` changes pictures as words say. So many `attention_layers`
    of its UNet attend to texts.
    """

    path: Path
    family: Family
    native_size: int
    v_prediction: bool
    zero_terminal_snr: bool = False
    is_editor: bool = False
    attention_layers: int | None = None


def inspect_checkpoint(path: Path) -> CheckpointInfo:
    """Detect the model in the file at `path`; raise UserError for one that is not supported.

    The keys determine the family. The prediction type and the size are read from a marker key (`v_pred`), from the
    metadata (`modelspec.…`) or from the `.yaml` beside the file, as in AUTOMATIC1111; otherwise the family's defaults
    apply.
    """
    header = read_header(path)
    with report_damage(path):
        family = _detect_family(path, header.shapes)
        v_prediction = _detect_v_prediction(path, header, family)
        native_size = _noted_size(header) or (
            V_PREDICTION_SIZE.get(family, NATIVE_SIZE[family]) if v_prediction else NATIVE_SIZE[family]
        )
        _require_known_shapes(path, header, family, native_size)
        require_plain_weights(path, header)
        is_editor = _input_channels(header.shapes) == EDITOR_CHANNELS
        has_zero_snr, layers = _has_zero_terminal_snr(header), count_in_weights(header.shapes)
        return CheckpointInfo(path, family, native_size, v_prediction, has_zero_snr, is_editor, layers)


def _detect_family(path: Path, shapes: Shapes) -> Family:
    if _is_lora(shapes):
        raise UserError(f"{path} {_LORA_ELSEWHERE.format(wanted='a model')}")
    if any(key.startswith(REFINER_OPEN_CLIP) for key in shapes):
        raise UserError(f"{path} is a refiner: it refines images of {Family.SDXL} and cannot generate its own.")
    if reason := _describe_other(shapes, _OTHER_FILES, "a model"):
        raise UserError(f"{path} {reason}")
    _require_unet(path, shapes)
    if f"{VAE}decoder.conv_in.weight" not in shapes:
        raise UserError(f"{path} has no VAE. Use a version with the VAE “baked in”.")
    if all(any(key.startswith(part) for key in shapes) for part in (SDXL_CLIP, SDXL_OPEN_CLIP)):
        return Family.SDXL
    family = Family.SD2 if f"{OPEN_CLIP}token_embedding.weight" in shapes else Family.SD1
    if family is Family.SD1 and not any(key.startswith(CLIP) for key in shapes):
        raise UserError(f"{path} has no text encoder.")
    if any(key.startswith(f"{UNET}label_emb.") for key in shapes):
        raise UserError(f"{path} has a UNet that needs more than texts, so it cannot generate from a prompt.")
    return family


def describe_contents(shapes: Shapes, wanted: str) -> str | None:
    """Return what a file is that was found among the adapters but is not what was `wanted`; None if unknown."""
    if wanted != "a LoRA" and _is_lora(shapes):
        return _LORA_ELSEWHERE.format(wanted=wanted)
    own = {"an embedding": _EMBEDDING, "a ControlNet": _CONTROLNET}.get(wanted)
    others = {key: reason for key, reason in _OTHER_FILES.items() if key != own}
    if reason := _describe_other(shapes, others, wanted):
        return reason
    if any(key.startswith(UNET) for key in shapes) and any(key.startswith(VAE) for key in shapes):
        return f"is a model, not {wanted}: name it in MODEL."
    return f"is a {alone} alone, not {wanted}." if (alone := _only_part(shapes)) else None


def _is_lora(shapes: Shapes) -> bool:
    return any(_LORA.match(key) for key in shapes)


def _describe_other(shapes: Shapes, kinds: Mapping[str, str], wanted: str) -> str | None:
    any_kind = re.compile("|".join(kinds))
    keys = [key for key in shapes if any_kind.match(key)]  # mostly none: most files are what they should be
    found = (reason for pattern, reason in kinds.items() if any(re.match(pattern, key) for key in keys))
    return next((reason.format(wanted=wanted) for reason in found), None)


def _require_unet(path: Path, shapes: Shapes) -> None:
    channels = _input_channels(shapes)
    if channels not in (None, SD_CHANNELS, EDITOR_CHANNELS):
        raise UserError(f"{path} is made for inpainting only ({channels} input channels), which is not supported.")
    if channels is None or all(key.startswith(UNET) for key in shapes):
        raise UserError(f"{path} {_describe_part(shapes)}")


def _input_channels(shapes: Shapes) -> int | None:
    first = shapes.get(f"{UNET}input_blocks.0.0.weight")
    return None if first is None else first[1]


def _describe_part(shapes: Shapes) -> str:
    """Return what a file holds that lacks a UNet, or everything else."""
    if any(key.startswith("model_ema.") for key in shapes):
        return f"has only the averaged (EMA) weights of training. {_COMPLETE}"
    if part := _only_part(shapes):
        return f"is a {part} alone, not a complete model. {_COMPLETE}"
    return "contains no Stable Diffusion model in the original layout."


def _only_part(shapes: Shapes) -> str | None:
    """Return the part of a model that is in a file, if it is the only one."""
    named = {"UNet": _UNET_ALONE, "VAE": _VAE_ALONE, "text encoder": _TEXT_ALONE}
    found = [part for part, starts in named.items() if any(key.startswith(starts) for key in shapes)]
    return found[0] if len(found) == 1 else None


def _require_known_shapes(path: Path, header: SafetensorsHeader, family: Family, native_size: int) -> None:
    """Raise UserError for networks whose configuration is not known, and for weights that cannot be read."""
    try:
        unet_config(header.shapes, family, native_size)
        vae_config(header.shapes, family, native_size)
    except UnsupportedLayoutError as error:
        raise UserError(f"{path} has a UNet of a kind that is not supported: {error}.") from None
    except (KeyError, StopIteration, IndexError) as error:
        missing = f" ({error.args[0]})" if isinstance(error, KeyError) else ""
        raise UserError(f"{path} is incomplete: it lacks weights of its UNet or VAE{missing}.") from None
    for key, shape in header.shapes.items():
        if key.endswith(SCALE_SUFFIXES) and not _is_known_scale(header, key, shape):
            raise UserError(f"{path} is quantised in a way that is not supported. Take its fp16 version.")


def scaled_weight(key: str) -> str:
    """Return the name of the weight that the tensor called `key` multiplies."""
    suffix = next(each for each in SCALE_SUFFIXES if key.endswith(each))
    return f"{key.removesuffix(suffix)}.weight"


def _is_known_scale(header: SafetensorsHeader, key: str, shape: tuple[int, ...]) -> bool:
    """Return whether a scale is a number for a whole weight in fp8, or one for each of its outputs."""
    weight = scaled_weight(key)
    if not header.dtypes.get(weight, "").startswith("F"):
        return False
    return math.prod(shape) in (1, header.shapes[weight][0]) and math.prod(shape) == max(shape, default=1)


def _noted_size(header: SafetensorsHeader) -> int | None:
    """Return the side of the square with the area of the noted resolution; None if there is none."""
    sides = _SIDES.fullmatch(header.metadata.get("modelspec.resolution", ""))
    if not sides:
        return None
    width, height = int(sides[1]), int(sides[2])
    side = width if width == height else round(math.sqrt(width * height) / SIZE_STEP) * SIZE_STEP
    return side if SMALLEST_SIDE <= side <= LARGEST_SIDE else None


def _has_zero_terminal_snr(header: SafetensorsHeader) -> bool:
    return "ztsnr" in header.shapes or header.metadata.get("ss_zero_terminal_snr", "").lower() in TRUE


def _detect_v_prediction(path: Path, header: SafetensorsHeader, family: Family) -> bool:
    if "v_pred" in header.shapes:  # an empty tensor, a convention of ComfyUI
        return True
    noted = next((header.metadata[note].strip().lower() for note in _PREDICTION_NOTES if note in header.metadata), "")
    if noted.startswith(_FLOW):
        raise UserError(f"{path} was trained to predict a flow ({noted}), which is not supported.")
    if noted.startswith(("v", "eps")):
        return noted.startswith("v")
    if "ss_v_parameterization" in header.metadata:
        return header.metadata["ss_v_parameterization"].lower() in TRUE
    config = path.with_suffix(".yaml")
    if config.is_file():
        return re.search(r"""parameterization:\s*["']?v\b""", config.read_text("utf-8", "replace")) is not None
    return family is Family.SD2
