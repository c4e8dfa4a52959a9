"""Load a Stable Diffusion 1.x/2.x pipeline part by part, from a folder, a hub id or a single file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from generation.engine import sampling
from generation.engine.original_layout import OriginalLayout
from generation.errors import Complaint
from generation.messages import Loading
from generation.models import CONVERT, Model, describe
from generation.samplers import recognise
from generation.single_file import describe_file

LIBRARIES = {
    "tokenizer": transformers,
    "text_encoder": transformers,
    "unet": diffusers,
    "vae": diffusers,
    "scheduler": diffusers,
}
NETWORKS = ("text_encoder", "unet", "vae")


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A loaded model: its modules on `device`, and the scheduler from which every job makes its own."""

    model: Model
    device: torch.device
    tokenizer: Any
    text_encoder: Any
    unet: Any
    vae: Any
    scheduler: Any


def load_pipeline(ref: str, device: str, report: Callable[[Loading], None]) -> Pipeline:
    """Load the model at `ref`, telling which part comes next.

    Raises Complaint for a model of another family, FileNotFoundError or OSError for one that is not there.
    """
    model = describe(ref)
    ref = model.ref
    place, precision = choose_device(device)
    transformers.utils.logging.disable_progress_bar()
    source = OriginalLayout(describe_file(Path(ref)), model) if Path(ref).is_file() else _DiffusersLayout(ref)
    loaded = {}
    for done, part in enumerate(LIBRARIES):
        report(Loading(part.replace("_", " "), done, len(LIBRARIES)))
        loaded[part] = source.load(part, precision)
        if part in NETWORKS:
            loaded[part] = _placed(loaded[part], place)
    if model.sampler is not None and not Path(ref).is_dir():
        loaded["scheduler"] = sampling.make(model.sampler, loaded["scheduler"])
    pipeline = Pipeline(model, place, **loaded)
    return replace(pipeline, model=_with_true_facts(pipeline))


def choose_device(name: str) -> tuple[torch.device, torch.dtype]:
    """Give the device that `name` ("auto", "cpu", "cuda", "cuda:1", "mps") stands for, and its best precision."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    device = torch.device(name)
    return device, torch.float16 if device.type == "cuda" else torch.float32


def _placed(network: Any, device: torch.device) -> Any:
    if device.type == "cuda":
        network.to(memory_format=torch.channels_last)
    return network.to(device).eval()


class _DiffusersLayout:
    """A folder or hub id with a subfolder for each part."""

    def __init__(self, ref: str) -> None:
        self._ref = ref
        self._index: Any = diffusers.DiffusionPipeline.load_config(ref)
        _refuse_other_families(self._index, ref)

    def load(self, part: str, precision: torch.dtype) -> Any:
        kind = getattr(LIBRARIES[part], self._index[part][1])
        if part in NETWORKS:
            return self._network(kind, part, precision)
        loaded = kind.from_pretrained(self._ref, subfolder=part)
        return _corrected(loaded) if part == "scheduler" else loaded

    def _network(self, kind: Any, part: str, precision: torch.dtype) -> Any:
        try:
            return kind.from_pretrained(self._ref, subfolder=part, dtype=precision, use_safetensors=True)
        except OSError as error:
            if "file named" not in str(error):  # so diffusers and transformers put it, of a folder and of the hub
                raise
            text = f"{self._ref} has no safetensors weights for its {part}. If it has pickled ones: {CONVERT}"
            raise Complaint(text) from error


def _corrected(scheduler: Any) -> Any:
    """Correct the settings of early Stable Diffusion releases, as StableDiffusionPipeline does on loading."""
    wanted = {"steps_offset": 1, "clip_sample": False}
    return type(scheduler).from_config(
        scheduler.config, **{key: wanted[key] for key in wanted.keys() & scheduler.config}
    )


def _refuse_other_families(index: Any, ref: str) -> None:
    """Look at the small files first: the large ones may have to be downloaded."""
    for part in LIBRARIES:
        if index.get(part, (None, None))[1] is None:
            raise Complaint(f"{ref} has no {part}, so it is not a Stable Diffusion 1.x or 2.x pipeline.")
    unet = diffusers.UNet2DConditionModel.load_config(ref, subfolder="unet")
    vae = diffusers.AutoencoderKL.load_config(ref, subfolder="vae")
    if unet.get("addition_embed_type") not in (None, "text"):
        raise Complaint(f"{ref} is of the SDXL family, which is not supported yet.")
    if unet.get("in_channels", 4) != vae.get("latent_channels", 4):
        raise Complaint(f"{ref} is made for inpainting or editing only ({unet['in_channels']} input channels).")
    if unet.get("time_cond_proj_dim") is not None:
        raise Complaint(f"{ref} has its guidance distilled into it, which is not supported yet.")


def _with_true_facts(pipeline: Pipeline) -> Model:
    """Correct what `describe` could only guess of a model that was not here yet."""
    model, size = pipeline.model, pipeline.unet.config.sample_size
    if Path(model.ref).is_dir() or not isinstance(size, int):
        return model
    scheduler = pipeline.scheduler
    sampler = recognise(type(scheduler).__name__, scheduler.config)
    return replace(model, native_size=size * scale_of(pipeline.vae), sampler=sampler)


def scale_of(vae: Any) -> int:
    """Give how many pixels of a side one latent stands for."""
    return int(2 ** (len(vae.config.block_out_channels) - 1))
