"""The model registry: all installed models by name; the first is the default."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from generation.errors import UserError
from generation.models.adapters import NO_ADAPTERS, Adapters
from generation.models.capabilities import Capability, required_capabilities
from generation.models.catalogue import find_entry, normalize_name
from generation.models.model import HUB_ID, Model, describe_model
from generation.params import Params
from generation.text import Text


@dataclass(frozen=True, slots=True)
class ModelRegistry:
    """The installed models, whose normalised names are unique, and the `adapters` that prompts may name."""

    models: tuple[Model, ...]
    adapters: Adapters = NO_ADAPTERS

    @classmethod
    def from_refs(cls, refs: Iterable[str], adapters: Adapters = NO_ADAPTERS) -> ModelRegistry:
        """Describe the models at `refs`, the default first.

        Raise the errors of `describe_model`, and UserError for duplicate names and for a model without a name.
        """
        models = tuple(map(describe_model, refs))
        by_name = dict[str, Model]()
        for model in models:
            if not normalize_name(model.name):
                raise UserError(f"{model.ref} has no name that can be typed: give it one in its atelier.json.")
            if (existing := by_name.setdefault(normalize_name(model.name), model)) is not model:
                if existing.ref == model.ref:
                    raise UserError(f"{model.name} is listed twice among the models: remove one of the two.")
                both = f"{existing.ref} and {model.ref} are both called {model.name}"
                raise UserError(f"{both}: give one another name in its atelier.json.")
        return cls(models, adapters)

    @property
    def default(self) -> Model:
        """Return the model that is used if nothing else is chosen."""
        return self.models[0]

    def find(self, name: str) -> Model | None:
        """Return the model of this name, the default for an empty name, or None if there is none."""
        if not name:
            return self.default
        return next((model for model in self.models if normalize_name(model.name) == normalize_name(name)), None)

    def match(self, typed: str) -> tuple[Model, ...]:
        """Return the models matching a name or alias, else those whose name or alias starts with it."""
        prefix = normalize_name(typed)
        return self.match_alias(typed) or tuple(
            model for model in self.models if prefix and any(name.startswith(prefix) for name in _aliases(model))
        )

    def match_alias(self, typed: str) -> tuple[Model, ...]:
        """Return the model of this name, else those with this alias: one from the catalogue, or their hub id."""
        wanted = normalize_name(typed)
        exact = tuple(model for model in self.models if normalize_name(model.name) == wanted)
        return exact or tuple(model for model in self.models if wanted and wanted in _aliases(model))

    def resolve(self, params: Params) -> Model:
        """Return the model of `params`; raise UserError if it, or an adapter of `params`, is no longer installed."""
        if (model := self.find(params.model)) is None:
            names = ", ".join(each.name for each in self.models)
            raise UserError(
                Text(
                    "This was drawn with {model}, which is no longer installed. Available: {names}.",
                    model=params.model,
                    names=names,
                )
            )
        self.adapters.resolve_loras(params)
        for use in params.control_set:
            self.adapters.resolve_control(use.name, model)
        for name in params.adapter_set:
            self.adapters.resolve_image_adapter(name, model)
        return model

    def model_name(self, params: Params) -> str:
        """Return the name of the model of `params`, even if it is no longer installed."""
        return params.model or self.default.name

    def require_supported(self, params: Params) -> None:
        """Raise UserError if the model of `params` is no longer installed, or lacks a capability or its picture."""
        model = self.resolve(params)
        if Capability.EDIT in model.capabilities and params.original is None:
            raise UserError(needs_picture(model))
        if missing := sorted(required_capabilities(params) - model.capabilities):
            raise UserError(self._unsupported(model, missing[0]))

    def with_capability(self, capability: Capability) -> tuple[Model, ...]:
        """Return the models that have a capability."""
        return tuple(model for model in self.models if capability in model.capabilities)

    def _unsupported(self, model: Model, capability: Capability) -> Text:
        names = ", ".join(model.name for model in self.with_capability(capability))
        if not names:
            return Text("{model} cannot {capability}.", model=model.name, capability=capability.text)
        return Text(
            "{model} cannot {capability}. Models that can: {names}.",
            model=model.name,
            capability=capability.text,
            names=names,
        )

    def updated(self, model: Model) -> ModelRegistry:
        """Return a copy with the description of `model` replaced, now that it is loaded."""
        return replace(self, models=tuple(model if each.name == model.name else each for each in self.models))


def needs_picture(model: Model) -> Text:
    """Return what a model that edits pictures says without one."""
    return Text("{model} edits pictures: give it one with `/edit`, and say what to change.", model=model.name)


def _aliases(model: Model) -> list[str]:
    """Return the normalised names and aliases of a model; its `ref` is one only if it is a hub id."""
    entry = find_entry(model.ref)
    if entry is not None:
        return [normalize_name(name) for name in (model.name, entry.name, entry.hub_id, *entry.aliases)]
    return [normalize_name(name) for name in (model.name, model.ref) if name == model.name or HUB_ID.fullmatch(name)]
