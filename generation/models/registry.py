"""What there is to draw with: the models by name, the first of which draws where nothing is said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from generation.errors import UserError
from generation.models.adapters import NO_ADAPTERS, Adapters
from generation.models.capabilities import Capability, required_capabilities
from generation.models.catalogue import find_entry, normalize_name
from generation.models.model import HUB_ID, Model, describe_model
from generation.params import Params


@dataclass(frozen=True, slots=True)
class ModelRegistry:
    """The models that can be drawn with; their names differ, also when case, spaces and dashes do not matter.

    `additions` are what prompts may name besides: LoRAs, and words that were learnt.
    """

    models: tuple[Model, ...]
    adapters: Adapters = NO_ADAPTERS

    @classmethod
    def from_refs(cls, refs: Iterable[str], adapters: Adapters = NO_ADAPTERS) -> ModelRegistry:
        """Describe the models at `refs`, the default first.

        Raises what `describe` does, and Complaint for two of the same name and for one without any.
        """
        models = tuple(map(describe_model, refs))
        by_name = dict[str, Model]()
        for model in models:
            if not normalize_name(model.name):
                raise UserError(f"{model.ref} has no name that could be typed: give it one in its atelier.json.")
            if (existing := by_name.setdefault(normalize_name(model.name), model)) is not model:
                if existing.ref == model.ref:
                    raise UserError(f"{model.name} is named twice among the models, by two spellings: leave out one.")
                text = (
                    f"{existing.ref} and {model.ref} are both called {model.name}: give one a name in its atelier.json."
                )
                raise UserError(text)
        return cls(models, adapters)

    @property
    def default(self) -> Model:
        """Give the model that draws where nothing is said."""
        return self.models[0]

    def find(self, name: str) -> Model | None:
        """Give the model that goes by `name`; the default for an empty one, None where there is none of that name."""
        if not name:
            return self.default
        return next((model for model in self.models if normalize_name(model.name) == normalize_name(name)), None)

    def match(self, typed: str) -> tuple[Model, ...]:
        """Give the models that somebody may mean by a name, another spelling, or else the beginning of one."""
        prefix = normalize_name(typed)
        return self.match_alias(typed) or tuple(
            model for model in self.models if prefix and any(name.startswith(prefix) for name in _aliases(model))
        )

    def match_alias(self, typed: str) -> tuple[Model, ...]:
        """Give the model of that name, else those of which it is another spelling: the catalogue's, or their id."""
        wanted = normalize_name(typed)
        named = tuple(model for model in self.models if normalize_name(model.name) == wanted)
        return named or tuple(model for model in self.models if wanted and wanted in _aliases(model))

    def resolve(self, params: Params) -> Model:
        """Give the model that draws `params`; raises Complaint where it, or one of its LoRAs, is not here any more."""
        if (model := self.find(params.model)) is None:
            names = ", ".join(each.name for each in self.models)
            raise UserError(f"This was drawn with {params.model}, which is not here any more. There is {names}.")
        self.adapters.resolve_loras(params)
        return model

    def model_name(self, params: Params) -> str:
        """Give the name of the model that draws `params`, or drew it while that was still here."""
        return params.model or self.default.name

    def require_supported(self, params: Params) -> None:
        """Raise Complaint where the model that draws `params` is not here any more, or cannot do what they ask for."""
        model = self.resolve(params)
        if missing := sorted(required_capabilities(params) - model.capabilities):
            raise UserError(f"{model.name} cannot {missing[0]}.{self._alternatives(missing[0])}")

    def with_capability(self, capability: Capability) -> tuple[Model, ...]:
        """Give the models that can do something which not all can."""
        return tuple(model for model in self.models if capability in model.capabilities)

    def _alternatives(self, capability: Capability) -> str:
        names = ", ".join(model.name for model in self.with_capability(capability))
        return f" There is {names} for that." if names else ""

    def updated(self, model: Model) -> ModelRegistry:
        """Give the same with what is known of `model` now that it is loaded."""
        return replace(self, models=tuple(model if each.name == model.name else each for each in self.models))


def _aliases(model: Model) -> list[str]:
    """Give what a model may be called; where it is counts only if that is an id on the hub."""
    entry = find_entry(model.ref)
    if entry is not None:
        return [normalize_name(name) for name in (model.name, entry.name, entry.hub_id, *entry.aliases)]
    return [normalize_name(name) for name in (model.name, model.ref) if name == model.name or HUB_ID.fullmatch(name)]
