"""The catalogue's models as a numbered list, with what each needs and whether it fits the device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bot.doctor.device import memory_needed
from generation.models.capabilities import Capability, model_capabilities
from generation.models.catalogue import CATALOGUE, GIB, CatalogueEntry
from generation.models.model import EMBEDDED
from generation.models.registry import ModelRegistry

HALF = 2  # bytes of a weight in half precision, in which the catalogue counts


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model to choose. `memory` is the size of its weights on the device, in bytes."""

    value: str
    name: str
    memory: int
    download: int
    licence: str
    fits: bool | None

    def __str__(self) -> str:
        if not self.download:
            return f"{self.name}: comes with Atelier, small and fast, draws simple scenes"
        fit = {True: "fits", False: "does not fit", None: "memory not known"}[self.fits]
        return f"{self.name}: {self.download / GIB:.1f} GiB to download, {fit}; licence {self.licence}"


def model_choices(device: Mapping[str, Any] | None) -> list[ModelChoice]:
    """Return the embedded model and the catalogue's, for a device as the probe describes it; None if it failed."""
    return [ModelChoice("storybook", ModelRegistry.from_refs([EMBEDDED]).default.name, 0, 0, "MIT", True)] + [
        ModelChoice(entry.name, _title(entry), _on_device(entry.memory, device), entry.memory, entry.licence, fits)
        for entry in CATALOGUE
        for fits in [_fits(entry.memory, device)]
    ]


def _title(entry: CatalogueEntry) -> str:
    is_editor = Capability.EDIT in model_capabilities(entry.family, is_editor=entry.is_editor)
    return f"{entry.name} (for /edit only)" if is_editor else entry.name


def suggest_model(device: Mapping[str, Any] | None) -> str:
    """Return the model to suggest: a large one needs a GPU that holds it; without a GPU all others take minutes."""
    if device is None or device["device"] == "cpu":
        return "storybook"
    fitting = {choice.value for choice in model_choices(device) if choice.fits}
    return next((name for name in ("Stable Diffusion XL", "Stable Diffusion 1.5") if name in fitting), "storybook")


def resolve_numbers(text: str, choices: list[ModelChoice]) -> str:
    """Return the value of MODEL for what was typed: numbers of the list, or anything that MODEL may be."""
    return ", ".join(_resolve_each(text, choices))


def _resolve_each(text: str, choices: list[ModelChoice]) -> Iterator[str]:
    for each in filter(None, map(str.strip, text.split(","))):
        is_number = each.isascii() and each.isdigit() and 1 <= int(each) <= len(choices)
        yield choices[int(each) - 1].value if is_number else each


def _on_device(size: int, device: Mapping[str, Any] | None) -> int:
    return size * (device["bytes"] if device else HALF) // HALF


def _fits(size: int, device: Mapping[str, Any] | None) -> bool | None:
    return None if device is None else memory_needed(_on_device(size, device)) <= device["total"]
