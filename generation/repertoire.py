"""What there is to draw with: the models by name, the first of which draws where nothing is said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from generation.additions import NO_ADDITIONS, Additions
from generation.catalogue import bare, look_up
from generation.errors import Complaint
from generation.features import Feature, needed
from generation.models import HUB_ID, Model, describe
from generation.params import Params


@dataclass(frozen=True, slots=True)
class Repertoire:
    """The models that can be drawn with; their names differ, also when case, spaces and dashes do not matter.

    `additions` are what prompts may name besides: LoRAs, and words that were learnt.
    """

    models: tuple[Model, ...]
    additions: Additions = NO_ADDITIONS

    @classmethod
    def of(cls, refs: Iterable[str], additions: Additions = NO_ADDITIONS) -> Repertoire:
        """Describe the models at `refs`, the default first.

        Raises what `describe` does, and Complaint for two of the same name and for one without any.
        """
        models = tuple(map(describe, refs))
        by_name = dict[str, Model]()
        for model in models:
            if not bare(model.name):
                raise Complaint(f"{model.ref} has no name that could be typed: give it one in its atelier.json.")
            if (twin := by_name.setdefault(bare(model.name), model)) is not model:
                if twin.ref == model.ref:
                    raise Complaint(f"{model.name} is named twice among the models, by two spellings: leave out one.")
                text = f"{twin.ref} and {model.ref} are both called {model.name}: give one a name in its atelier.json."
                raise Complaint(text)
        return cls(models, additions)

    @property
    def default(self) -> Model:
        """Give the model that draws where nothing is said."""
        return self.models[0]

    def find(self, name: str) -> Model | None:
        """Give the model that goes by `name`; the default for an empty one, None where there is none of that name."""
        if not name:
            return self.default
        return next((model for model in self.models if bare(model.name) == bare(name)), None)

    def meant(self, typed: str) -> tuple[Model, ...]:
        """Give the models that somebody may mean by a name, another spelling, or else the beginning of one."""
        beginning = bare(typed)
        return self.spelt(typed) or tuple(
            model for model in self.models if beginning and any(name.startswith(beginning) for name in _names(model))
        )

    def spelt(self, typed: str) -> tuple[Model, ...]:
        """Give the model of that name, else those of which it is another spelling: the catalogue's, or their id."""
        wanted = bare(typed)
        named = tuple(model for model in self.models if bare(model.name) == wanted)
        return named or tuple(model for model in self.models if wanted and wanted in _names(model))

    def drawing(self, params: Params) -> Model:
        """Give the model that draws `params`; raises Complaint where it, or one of its LoRAs, is not here any more."""
        if (model := self.find(params.model)) is None:
            names = ", ".join(each.name for each in self.models)
            raise Complaint(f"This was drawn with {params.model}, which is not here any more. There is {names}.")
        self.additions.used(params)
        return model

    def name_of(self, params: Params) -> str:
        """Give the name of the model that draws `params`, or drew it while that was still here."""
        return params.model or self.default.name

    def check(self, params: Params) -> None:
        """Raise Complaint where the model that draws `params` is not here any more, or cannot do what they ask for."""
        model = self.drawing(params)
        if lacking := sorted(needed(params) - model.features):
            raise Complaint(f"{model.name} cannot {lacking[0]}.{self._able_instead(lacking[0])}")

    def able(self, feature: Feature) -> tuple[Model, ...]:
        """Give the models that can do something which not all can."""
        return tuple(model for model in self.models if feature in model.features)

    def _able_instead(self, feature: Feature) -> str:
        able = ", ".join(model.name for model in self.able(feature))
        return f" There is {able} for that." if able else ""

    def corrected(self, model: Model) -> Repertoire:
        """Give the same with what is known of `model` now that it is loaded."""
        return replace(self, models=tuple(model if each.name == model.name else each for each in self.models))


def _names(model: Model) -> list[str]:
    """Give what a model may be called; where it is counts only if that is an id on the hub."""
    entry = look_up(model.ref)
    if entry is not None:
        return [bare(name) for name in (model.name, entry.name, entry.hub_id, *entry.spellings)]
    return [bare(name) for name in (model.name, model.ref) if name == model.name or HUB_ID.fullmatch(name)]
