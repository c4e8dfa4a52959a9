"""Load a Stable Diffusion 1.x, 2.x or XL pipeline part by part, from a folder, a hub id or a single file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from huggingface_hub import hf_hub_download
from safetensors.torch import load_file

from generation.command_line import tool_as_typed
from generation.engine.device.device import choose_device
from generation.engine.networks import noise_schedulers
from generation.engine.networks.fp8 import use_fp8
from generation.engine.networks.ldm_checkpoint import LdmCheckpoint, vae_dtype
from generation.engine.networks.lora_deltas import merge_lora
from generation.engine.networks.text_encoder_files import SkipInitialization, load_text_encoder
from generation.errors import UserError
from generation.messages import Loading
from generation.models.catalogue import find_entry
from generation.models.files.checkpoint import inspect_checkpoint
from generation.models.files.json_files import read_json
from generation.models.files.lora import Lora
from generation.models.files.model_files import WEIGHT_FILES, variant_order
from generation.models.files.pipeline_config import (
    XL_PARTS,
    is_xl,
    missing_package,
    require_supported_classes,
    require_supported_family,
)
from generation.models.files.safetensors_header import CONVERT_HINT
from generation.models.model import Model, defaults_from_unet, describe_model
from generation.models.samplers import SAMPLERS, sampler_for

PART_LIBRARIES = {
    "tokenizer": transformers,
    "tokenizer_2": transformers,
    "text_encoder": transformers,
    "text_encoder_2": transformers,
    "unet": diffusers,
    "vae": diffusers,
    "scheduler": diffusers,
}
MIN_VOCABULARY_SIZE = 256
NETWORKS = ("text_encoder", "text_encoder_2", "unet", "vae")
TEXT_ENCODERS = ("text_encoder", "text_encoder_2")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A loaded model: its modules on `device`, and the scheduler from which every job builds its own.

    SDXL has two text encoders. With `force_zeros_for_empty_prompt`, the empty text is embedded as zeros. With
    `scales_original`, an editor sees the picture's latents scaled, as CosXL Edit does.
    """

    model: Model
    device: torch.device
    tokenizer: Any
    text_encoder: Any
    unet: Any
    vae: Any
    scheduler: Any
    tokenizer_2: Any = None
    text_encoder_2: Any = None
    force_zeros_for_empty_prompt: bool = False
    scales_original: bool = False

    @property
    def tokenizers(self) -> tuple[Any, ...]:
        """Return the one tokenizer, or both."""
        return (self.tokenizer,) if self.tokenizer_2 is None else (self.tokenizer, self.tokenizer_2)

    @property
    def text_encoders(self) -> tuple[Any, ...]:
        """Return the one text encoder, or both."""
        return (self.text_encoder,) if self.text_encoder_2 is None else (self.text_encoder, self.text_encoder_2)


def load_pipeline(
    ref: str,
    device: str,
    report: Callable[[Loading], None],
    precision: torch.dtype | None = None,
    *,
    fp8: bool = False,
) -> Pipeline:
    """Load the model at `ref`, reporting each part; `precision` is the device's best unless given.

    A model that is a few-step LoRA of another has it added to the weights of that one. With `fp8`, the linear layers of
    the UNet multiply in 8 bits.

    Raises UserError for a model of an unsupported family, FileNotFoundError or OSError for a missing one.
    """
    model = describe_model(ref)
    torch_device, best = choose_device(device)
    precision = precision or best
    transformers.utils.logging.disable_progress_bar()
    path = Path(model.ref)
    source = LdmCheckpoint(inspect_checkpoint(path), model) if path.is_file() else DiffusersLayout(model)
    loaded: dict[str, Any] = {}
    for done, part in enumerate(source.parts):
        report(Loading(part.replace("_", " "), done, len(source.parts), model.name))
        loaded[part] = source.load(part, text_encoder_dtype(precision) if part in TEXT_ENCODERS else precision)
        if part in NETWORKS:
            loaded[part] = _require_numbers(network_to_device(loaded[part], torch_device), f"the {part} of {model.ref}")
    if model.lora_file:
        merge_lora({part: loaded.get(part) for part in NETWORKS}, Lora(model.name, _lora_path(model)), model.name)
    if fp8:
        use_fp8(loaded["unet"])
    loaded["scheduler"] = _select_scheduler(model, loaded["scheduler"])
    pipeline = Pipeline(model, torch_device, **loaded, **source.settings)
    return replace(pipeline, model=_with_actual_config(pipeline))


def _lora_path(model: Model) -> Path:
    local = Path(model.ref, model.lora_file)
    return local if local.is_file() else Path(hf_hub_download(model.ref, model.lora_file))


def _select_scheduler(model: Model, model_scheduler: Any) -> Any:
    """Return the scheduler to generate with; a folder's own configuration takes precedence."""
    in_folder = Path(model.ref).is_dir()
    if model.is_distilled and not in_folder:
        model_scheduler = noise_schedulers.with_trailing_spacing(model_scheduler)
    if model.sampler not in SAMPLERS or (
        in_folder and model.sampler == sampler_for(type(model_scheduler).__name__, model_scheduler.config)
    ):
        return model_scheduler
    return noise_schedulers.scheduler_by_name(model.sampler, model_scheduler)


def _require_all_weights(network: Any, missing: Collection[str], name: str) -> Any:
    """Return a network without missing weights; those would be random, and different after each start."""
    if missing:
        raise UserError(f"{name} lacks {len(missing)} of its weights, {min(missing)} among them.")
    return network


def _require_numbers(network: Any, name: str) -> Any:
    """Return a network whose weights are numbers; failed merges and damaged files draw black pictures otherwise."""
    for key, weight in network.named_parameters():
        if not weight.detach().sum(dtype=torch.float32).isfinite():
            raise UserError(f"{name} is unusable: {key} has values that are no numbers (NaN).")
    return network


def _require_vocabulary(tokenizer: Any, name: str) -> Any:
    """Return a tokenizer that knows at least every byte; without its files transformers builds an empty one."""
    if len(tokenizer) < MIN_VOCABULARY_SIZE:
        raise UserError(f"{name} has no vocabulary: its vocab.json and merges.txt, or tokenizer.json, are missing.")
    return tokenizer


def text_encoder_dtype(precision: torch.dtype) -> torch.dtype:
    """Return the precision for text encoders: they run once per job, where bfloat16 saves nothing and shows most."""
    return torch.float32 if precision is torch.bfloat16 else precision


def network_to_device(network: Any, device: torch.device) -> Any:
    """Return a network on its device, ready to run."""
    if device.type != "mps":
        network.to(memory_format=torch.channels_last)
    return network.to(device).eval()


class DiffusersLayout:
    """A folder or hub id with a subfolder for each part; a replacement UNet uses the parts of `model.base`."""

    def __init__(self, model: Model) -> None:
        self._model, self._ref = model, model.base or model.ref
        self._index = read_index(self._ref)
        self._is_xl = is_xl(self._index)
        self.parts = [part for part in PART_LIBRARIES if self._is_xl or part not in XL_PARTS]
        self.settings = {
            "force_zeros_for_empty_prompt": self._is_xl and bool(self._index.get("force_zeros_for_empty_prompt", True)),
            "scales_original": bool(self._index.get("is_cosxl_edit")),
        }
        self._require_supported_family()

    def load(self, part: str, precision: torch.dtype) -> Any:
        """Load a part, a network in `precision`; raises UserError for one without usable files."""
        kind = _usable_class(part, self._index[part][1], self._ref)
        if part == "unet" and self._model.base and not self._model.lora_file:
            return self._replacement_unet(kind, precision)
        if part == "vae" and self._is_xl and kind.load_config(self._ref, subfolder=part).get("force_upcast", True):
            precision = vae_dtype(precision)
        if part in NETWORKS:
            return self._network(kind, self._ref, part, precision)
        loaded = kind.from_pretrained(self._ref, subfolder=part)
        return (
            _fix_scheduler_config(loaded)
            if part == "scheduler"
            else _require_vocabulary(loaded, f"the {part} of {self._ref}")
        )

    def build(self, part: str) -> Any:
        """Return a network with random weights, as its configuration describes it."""
        kind = _usable_class(part, self._index[part][1], self._ref)
        if PART_LIBRARIES[part] is transformers:
            return kind(kind.config_class.from_pretrained(self._ref, subfolder=part))
        return kind.from_config(kind.load_config(self._ref, subfolder=part))

    def _replacement_unet(self, kind: Any, precision: torch.dtype) -> Any:
        if not self._model.unet_file:
            return self._network(kind, self._model.ref, None, precision)
        with torch.device("meta"), SkipInitialization():
            unet = kind.from_config(kind.load_config(self._ref, subfolder="unet"))
        weights = load_file(hf_hub_download(self._model.ref, self._model.unet_file))
        unet.load_state_dict(weights, assign=True)
        return unet.to(precision)

    def _network(self, kind: Any, ref: str, part: str | None, precision: torch.dtype) -> Any:
        """Load a network, from the files in the precision that fits if there are several: downloads are large."""
        if part in TEXT_ENCODERS and (network := load_text_encoder(kind, Path(ref, part), precision)):
            return network
        for variant in variant_order(
            Path(ref, part or ""), WEIGHT_FILES[part or "unet"], half=precision is torch.float16
        ):
            try:
                with _silence_diffusers():
                    network, found = kind.from_pretrained(
                        ref,
                        subfolder=part,
                        dtype=precision,
                        variant=variant,
                        use_safetensors=True,
                        output_loading_info=True,
                    )
            except OSError as error:
                if "file named" not in str(error):  # as diffusers and transformers word it, for folders and the hub
                    raise
            else:
                return _require_all_weights(network, found["missing_keys"], f"the {part or 'unet'} of {ref}")
        raise UserError(
            f"{ref} has no safetensors weights for its {part or 'unet'}. If it has pickled ones: {CONVERT_HINT}"
        )

    def _require_supported_family(self) -> None:
        """Check the small files first: the large ones may have to be downloaded."""
        require_supported_classes(self._ref, self._index)
        unet = diffusers.UNet2DConditionModel.load_config(self._ref, subfolder="unet")
        vae = diffusers.AutoencoderKL.load_config(self._ref, subfolder="vae")
        scheduler = diffusers.DDIMScheduler.load_config(self._ref, subfolder="scheduler")
        require_supported_family(self._ref, self._index, unet, vae, scheduler)


def read_index(ref: str) -> dict[str, Any]:
    """Return a pipeline's `model_index.json`, which diffusers would not read with a byte order mark."""
    if Path(ref).is_dir():
        return read_json(Path(ref, "model_index.json"))
    index: dict[str, Any] = diffusers.DiffusionPipeline.load_config(ref)
    return index


def _usable_class(part: str, name: str, ref: str) -> Any:
    """Return the class of a part; a scheduler that needs a missing package is replaced.

    Only its noise schedule is needed where another sampler is asked for, and Euler's reads the same settings.
    """
    missing = missing_package(name) if part == "scheduler" else None
    if missing is None:
        return getattr(PART_LIBRARIES[part], name)
    install = tool_as_typed("pip", f"install {missing}")
    log.warning("%s of %s needs `%s`: euler is used in its place", name, ref, install)
    return diffusers.EulerDiscreteScheduler


@contextmanager
def _silence_diffusers() -> Iterator[None]:
    """Keep diffusers from logging the failure of a first attempt as an error."""
    verbosity = diffusers.utils.logging.get_verbosity()
    diffusers.utils.logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        diffusers.utils.logging.set_verbosity(verbosity)


def _fix_scheduler_config(scheduler: Any) -> Any:
    """Correct the scheduler of early Stable Diffusion releases, as StableDiffusionPipeline does on loading."""
    wanted = {"steps_offset": 1, "clip_sample": False}
    return type(scheduler).from_config(
        scheduler.config, **{key: wanted[key] for key in wanted.keys() & scheduler.config}
    )


def _with_actual_config(pipeline: Pipeline) -> Model:
    """Return the model with its actual settings, which `describe_model` only guesses before a download."""
    model, size = pipeline.model, pipeline.unet.config.sample_size
    if Path(model.ref).is_dir() or not isinstance(size, int):
        return model
    scheduler = pipeline.scheduler
    sampler = sampler_for(type(scheduler).__name__, scheduler.config)
    known = Path(model.ref).is_file() or find_entry(model.ref)
    defaults = {} if known else defaults_from_unet(pipeline.unet.config)
    return replace(model, native_size=size * vae_scale_factor(pipeline.vae), sampler=sampler, **defaults)


def vae_scale_factor(vae: Any) -> int:
    """Return how many pixels a side one latent stands for."""
    return int(2 ** (len(vae.config.block_out_channels) - 1))
