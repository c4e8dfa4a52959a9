"""Words learnt by textual inversion: which there are, and what their files' headers say of them, without torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from generation.errors import UserError
from generation.models.safetensors_header import read_header

_SINGLE_KEY = "emb_params"
_SDXL_KEYS = ("clip_l", "clip_g")
_TOKEN_KEY = re.compile(r"<([\w.-]+)>")


@dataclass(frozen=True, slots=True)
class TextualInversion:
    """A word that stands in prompts as `<name>` for as many vectors as are under each of its file's `keys`.

    There is a key for each text encoder; `widths` are those of their vectors.
    """

    name: str
    path: Path
    keys: tuple[str, ...]
    widths: tuple[int, ...]
    vectors: int

    @property
    def cross_attention_dim(self) -> int:
        """Give the width of the texts that a UNet is told by these encoders together."""
        return sum(self.widths)


def describe_embedding(path: Path, name: str) -> TextualInversion:
    """Read what is in the file at `path`; raises Complaint for anything but a textual inversion.

    A file that diffusers wrote has the word itself for a key, which then comes before `name`.
    """
    try:
        shapes = read_header(path).shapes
        keys = _keys(shapes)
        token_key = _TOKEN_KEY.fullmatch(keys[0])
        vectors, widths = zip(*(_as_rows(shapes[key]) for key in keys), strict=True)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OSError) as error:
        raise UserError(f"{path} is no textual inversion in a safetensors file, or damaged.") from error
    if len(set(vectors)) > 1 or not vectors[0]:
        raise UserError(f"{path} is damaged: it has another number of vectors for each text encoder.")
    return TextualInversion(token_key[1] if token_key else name, path, keys, widths, vectors[0])


def _keys(shapes: dict[str, tuple[int, ...]]) -> tuple[str, ...]:
    if _SINGLE_KEY in shapes:
        return (_SINGLE_KEY,)
    if all(key in shapes for key in _SDXL_KEYS):
        return _SDXL_KEYS
    (only,) = shapes
    return (only,)


def _as_rows(shape: tuple[int, ...]) -> tuple[int, int]:
    """Give the number of vectors and their width; one alone may stand for itself."""
    vectors, width = shape if len(shape) > 1 else (1, *shape)
    return vectors, width
