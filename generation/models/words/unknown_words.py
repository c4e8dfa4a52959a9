"""What a model with a small vocabulary says about a prompt: the words it does not know, and what it draws well."""

from __future__ import annotations

from generation.models.model import Model
from generation.models.words.vocabulary import closest_examples
from generation.params import Params
from generation.text import Text

MAX_WORDS, MAX_WORD_LENGTH = 3, 30  # phrases told, and characters of each


def unknown_words_note(model: Model, params: Params) -> Text | None:
    """Return a sentence with the words of a prompt that the model does not know, and examples that it draws well.

    Return None if the model knows all of them, has no vocabulary, or has learnt others from a LoRA.
    """
    typed = params.mix or ", ".join(text for part in params.parts if part.weight > 0 for text in part.texts)
    if model.vocabulary is None or params.loras or not (unknown := model.vocabulary.unknown_words(typed)):
        return None
    words = ", ".join(f"“{_shortened(word)}”" for word in unknown[:MAX_WORDS])
    examples = " · ".join(closest_examples(model.examples, typed))
    if not examples:
        return Text("{model} does not know {words}.", model=model.name, words=words)
    return Text(
        "{model} does not know {words}. What it draws well: {examples}",
        model=model.name,
        words=words,
        examples=examples,
    )


def _shortened(word: str) -> str:
    return word if len(word) <= MAX_WORD_LENGTH else f"{word[: MAX_WORD_LENGTH - 1]}…"
