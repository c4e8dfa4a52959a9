"""Describe embeddings (textual inversions) by their files' headers, without torch."""

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
    """An embedding, written `<name>` in prompts, which stands for `vectors` vectors per text encoder.

    `keys` are its file's keys, one per text encoder; `widths` are the widths of their vectors.
    """

    name: str
    path: Path
    keys: tuple[str, ...]
    widths: tuple[int, ...]
    vectors: int

    @property
    def cross_attention_dim(self) -> int:
        """Return the width of the UNet's text embeddings, which these encoders form together."""
        return sum(self.widths)


def describe_embedding(path: Path, name: str) -> TextualInversion:
    """Describe the embedding in the file at `path`; raise UserError for anything but a textual inversion.

    A file written by diffusers has the token as its key, which takes precedence over `name`.
    """
    try:
        shapes = read_header(path).shapes
        keys = _keys(shapes)
        token_key = _TOKEN_KEY.fullmatch(keys[0])
        vectors, widths = zip(*(_as_rows(shapes[key]) for key in keys), strict=True)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OSError) as error:
        raise UserError(f"{path} is damaged or not a textual inversion in a safetensors file.") from error
    if len(set(vectors)) > 1 or not vectors[0]:
        raise UserError(f"{path} is damaged: it needs the same number of vectors for each text encoder, at least one.")
    return TextualInversion(token_key[1] if token_key else name, path, keys, widths, vectors[0])


def _keys(shapes: dict[str, tuple[int, ...]]) -> tuple[str, ...]:
    if _SINGLE_KEY in shapes:
        return (_SINGLE_KEY,)
    if all(key in shapes for key in _SDXL_KEYS):
        return _SDXL_KEYS
    (only,) = shapes
    return (only,)


def _as_rows(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the number of vectors and their width; a one-dimensional tensor is a single vector."""
    vectors, width = shape if len(shape) > 1 else (1, *shape)
    return vectors, width
