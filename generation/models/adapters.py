"""The LoRAs, embeddings, ControlNets and IP-Adapters found in the configured folders, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from generation.errors import UserError
from generation.models.capabilities import Capability
from generation.models.catalogue import Family, normalize_name
from generation.models.files.controls import ControlNet, scan_controls
from generation.models.files.found_files import find_files, is_weights_file, token_name
from generation.models.files.image_adapters import ImageAdapter, scan_image_adapters
from generation.models.files.lora import Lora, bundled_embeddings, describe_lora
from generation.models.files.textual_inversion import (
    TextualInversion,
    bundled_embedding,
    describe_embedding,
    join_halves,
)
from generation.models.model import CROSS_ATTENTION_DIMS, Model
from generation.params import Params
from generation.text import Text

T = TypeVar("T", Lora, TextualInversion)
Adapter = Lora | TextualInversion | ControlNet | ImageAdapter


@dataclass(frozen=True, slots=True)
class Adapters:
    """The LoRAs, embeddings and ControlNets that prompts may name, and IP-Adapters; no two of a kind share a name.

    Only ControlNets and IP-Adapters for different families do: the model decides which is meant.
    """

    loras: tuple[Lora, ...] = ()
    embeddings: tuple[TextualInversion, ...] = ()
    controls: tuple[ControlNet, ...] = ()
    images: tuple[ImageAdapter, ...] = ()

    def find_lora(self, name: str) -> Lora | None:
        """Return the LoRA of this name; case, spaces and dashes do not matter."""
        return next((lora for lora in self.loras if normalize_name(lora.name) == normalize_name(name)), None)

    def match_loras(self, typed: str) -> tuple[Lora, ...]:
        """Return the LoRA of this name, else those whose names start with it."""
        if exact := self.find_lora(typed):
            return (exact,)
        prefix = normalize_name(typed)
        return tuple(lora for lora in self.loras if prefix and normalize_name(lora.name).startswith(prefix))

    def find_embedding(self, token: str) -> TextualInversion | None:
        """Return the embedding of this name; case does not matter."""
        return next((each for each in self.embeddings if each.name.casefold() == token.casefold()), None)

    def compatible_with(self, model: Model) -> Adapters:
        """Return the adapters that `model` can use, as far as is known."""
        return Adapters(
            tuple(lora for lora in self.loras if is_compatible(lora, model)),
            tuple(embedding for embedding in self.embeddings if is_compatible(embedding, model)),
            tuple(control for control in self.controls if is_compatible(control, model)),
            tuple(each for each in self.images if is_compatible(each, model)),
        )

    def match_controls(self, typed: str) -> tuple[ControlNet, ...]:
        """Return the ControlNets of this name or kind, else those whose names start with it."""
        wanted = normalize_name(typed)
        names = [(control, normalize_name(control.name), control.kind) for control in self.controls]
        exact = tuple(control for control, name, _ in names if name == wanted)
        same_kind = tuple(control for control, _, kind in names if kind and kind == wanted)
        return exact or same_kind or tuple(each for each, name, _ in names if wanted and name.startswith(wanted))

    def resolve_control(self, name: str, model: Model) -> ControlNet:
        """Return a job's ControlNet for a model; raise UserError for one that is no longer installed."""
        matches = self.compatible_with(model).match_controls(name)
        if not matches:
            raise UserError(
                Text("This was drawn with the ControlNet {control}, which is no longer installed.", control=name)
            )
        return matches[0]

    def choose_image_adapter(self, model: Model, *, for_character: bool = False) -> ImageAdapter | None:
        """Return the IP-Adapter that a model uses: for a character one of faces, if there is one, else none of them."""
        fitting = sorted(self.compatible_with(model).images, key=lambda each: each.preference)
        faces = [each for each in fitting if each.is_face]
        others = [each for each in fitting if not each.is_face]
        return next(iter([*faces, *others] if for_character else others), None)

    def find_image_adapter(self, name: str, model: Model) -> ImageAdapter | None:
        """Return a job's IP-Adapter for a model, None if it is no longer installed."""
        wanted, fitting = normalize_name(name), self.compatible_with(model).images
        return next((each for each in fitting if normalize_name(each.name) == wanted), None)

    def resolve_image_adapter(self, name: str, model: Model) -> ImageAdapter:
        """Return a job's IP-Adapter for a model; raise UserError for one that is no longer installed."""
        if (adapter := self.find_image_adapter(name, model)) is None:
            raise UserError(
                Text("This was drawn with the IP-Adapter {adapter}, which is no longer installed.", adapter=name)
            )
        return adapter

    def resolve_loras(self, params: Params) -> tuple[tuple[Lora, float], ...]:
        """Return the LoRAs of `params` with their weights; raise UserError for one that is no longer installed."""
        return tuple((self._require_lora(use.name), use.weight) for use in params.lora_set)

    def _require_lora(self, name: str) -> Lora:
        if (lora := self.find_lora(name)) is None:
            raise UserError(Text("This was drawn with the LoRA {lora}, which is no longer installed.", lora=name))
        return lora


NO_ADAPTERS = Adapters()


def is_compatible(adapter: Adapter, model: Model) -> bool:
    """Return whether `model` can use the adapter, as far as is known before both are loaded."""
    known = adapter.cross_attention_dim is not None and model.cross_attention_dim is not None
    fits = not known or adapter.cross_attention_dim == model.cross_attention_dim
    if isinstance(adapter, ImageAdapter):  # smaller relatives of a family have fewer layers
        fits = fits and model.attention_layers in (None, adapter.layers)
    return fits and _needed_capability(adapter) in model.capabilities


def _needed_capability(adapter: Adapter) -> Capability:
    match adapter:
        case ControlNet():
            return Capability.CONTROL
        case ImageAdapter():
            return Capability.CHARACTER
    return Capability.ADAPTERS


def incompatibility(adapter: Adapter) -> Text:
    """Return why a model cannot use the adapter, as the end of a sentence about the adapter."""
    if family := target_family(adapter):
        return Text("it is made for {family}", family=family)
    return Text("it is made for another kind of model")


def target_family(adapter: Adapter) -> Family | None:
    """Return the family of the models that the adapter is made for; None if unknown."""
    return next(
        (family for family, width in CROSS_ATTENTION_DIMS.items() if width == adapter.cross_attention_dim), None
    )


def scan_adapters(
    loras: Path | None, embeddings: Path | None, controls: Path | None = None, images: Path | None = None
) -> tuple[Adapters, tuple[str, ...]]:
    """Describe the files in the folders for LoRAs, embeddings, ControlNets and IP-Adapters.

    Also return why files were rejected.

    Raise FileNotFoundError if a folder does not exist.
    """
    found_loras, rejected_loras = scan_folder(loras, describe_lora) if loras else ((), ())
    found_embeddings, rejected_embeddings = scan_folder(embeddings, describe_embedding) if embeddings else ((), ())
    bundled, rejected_bundled = _bundled_embeddings(found_loras, found_embeddings)
    everything = tuple(sorted((*found_embeddings, *bundled), key=_by_name))
    found_controls, rejected_controls = scan_controls(controls) if controls else ((), ())
    found_images, rejected_images = scan_image_adapters(images) if images else ((), ())
    rejected = (*rejected_loras, *rejected_embeddings, *rejected_bundled, *rejected_controls, *rejected_images)
    return Adapters(found_loras, everything, found_controls, found_images), rejected


def _bundled_embeddings(
    loras: Iterable[Lora], embeddings: Iterable[TextualInversion]
) -> tuple[list[TextualInversion], list[str]]:
    """Return the embeddings inside the files of LoRAs, which were trained together, and why some are left out."""
    known = {normalize_name(each.name): each for each in embeddings}
    found, rejected = [], []
    for lora in loras:
        for word, keys in bundled_embeddings(lora.path).items():
            name = token_name(word) or lora.name
            if (existing := known.get(normalize_name(name))) is not None:
                rejected.append(f"{lora.path} has the word <{name}>, but {existing.path} already has one of this name.")
                continue
            try:
                found.append(bundled_embedding(lora.path, name, keys))
            except UserError as error:
                rejected.append(str(error))
                continue
            known[normalize_name(name)] = found[-1]
    return found, rejected


def _by_name(adapter: Lora | TextualInversion) -> str:
    return adapter.name.casefold()


def scan_folder(folder: Path, describe: Callable[[Path, str], T]) -> tuple[tuple[T, ...], tuple[str, ...]]:
    """Describe the files in `folder` and its subfolders, sorted by name; also return why files were rejected.

    Only safetensors and pickled files are considered. Raise FileNotFoundError if the folder does not exist.
    """
    found: dict[str, T] = {}
    rejected: list[str] = []
    paths, unreadable = find_files(folder)
    rejected += unreadable
    for path in paths:
        try:
            adapter = _describe(path, describe)
        except UserError as error:
            rejected.append(str(error))
            continue
        if adapter and (existing := found.setdefault(normalize_name(adapter.name), adapter)) is not adapter:
            if joined := _joined(existing, adapter):
                found[normalize_name(adapter.name)] = joined
                continue
            rejected.append(f"{path} would be called {adapter.name}, as {existing.path} is: rename one of the two.")
    return tuple(sorted(found.values(), key=_by_name)), tuple(rejected)


def _joined(existing: T, adapter: T) -> T | None:
    if isinstance(existing, TextualInversion) and isinstance(adapter, TextualInversion):
        return join_halves(existing, adapter)
    return None


def _describe(path: Path, describe: Callable[[Path, str], T]) -> T | None:
    return describe(path, token_name(path.stem) or "unnamed") if is_weights_file(path) else None
