"""Describe embeddings (textual inversions) by their files' headers, without torch."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from generation.errors import UserError
from generation.models.files.checkpoint import describe_contents
from generation.models.files.errors import report_damage
from generation.models.files.safetensors_header import SafetensorsHeader, read_header
from generation.models.files.weight_values import require_numbers

_SINGLE_KEY = "emb_params"
_SDXL_KEYS = (("clip_l", "clip_g"), ("text_encoders_0", "text_encoders_1"))  # the latter by pivotal tuning
_CLIP_L_WIDTH, _CLIP_G_WIDTH = (768,), (1280,)
_TOKEN_KEY = re.compile(r"<([\w.-]+)>")


@dataclass(frozen=True, slots=True)
class TextualInversion:
    """An embedding, written `<name>` in prompts, which stands for `vectors` vectors per text encoder.

    `keys` are its file's keys, one per text encoder; `widths` are the widths of their vectors. With a
    `second_path`, the last of the keys is in that file.
    """

    name: str
    path: Path
    keys: tuple[str, ...]
    widths: tuple[int, ...]
    vectors: int
    second_path: Path | None = None

    @property
    def sources(self) -> tuple[tuple[Path, str], ...]:
        """Return the file and the key of the vectors for each text encoder."""
        paths = [self.path] * len(self.keys)
        return tuple(zip((*paths[:-1], self.second_path or self.path), self.keys, strict=True))

    @property
    def cross_attention_dim(self) -> int:
        """Return the width of the UNet's text embeddings, which these encoders form together."""
        return sum(self.widths)


def describe_embedding(path: Path, name: str) -> TextualInversion:
    """Describe the embedding in the file at `path`; raise UserError for anything but a textual inversion.

    A file written by diffusers has the token as its key, which takes precedence over `name`.
    """
    header = read_header(path)
    with report_damage(path, "a textual inversion in a safetensors file"):
        keys = _keys(path, header.shapes)
        token_key = _TOKEN_KEY.fullmatch(keys[0])
        return _describe(path, token_key[1] if token_key else name, keys, header)


def bundled_embedding(path: Path, name: str, keys: tuple[str, ...]) -> TextualInversion:
    """Describe an embedding that the file of a LoRA holds under `keys`; raise UserError for a damaged one."""
    header = read_header(path)
    with report_damage(path, "a LoRA with embeddings"):
        return _describe(path, name, keys, header)


def join_halves(first: TextualInversion, second: TextualInversion) -> TextualInversion | None:
    """Return the embedding for both text encoders of XL that diffusers' scripts save as two files; None for others."""
    halves = {each.widths: each for each in (first, second)}
    if halves.keys() != {_CLIP_L_WIDTH, _CLIP_G_WIDTH} or first.path.parent != second.path.parent:
        return None
    one, two = halves[_CLIP_L_WIDTH], halves[_CLIP_G_WIDTH]
    if (one.keys, one.vectors) != (two.keys, two.vectors) or one.keys == (_SINGLE_KEY,):
        return None
    keys, widths = (*one.keys, *two.keys), (*one.widths, *two.widths)
    return replace(one, keys=keys, widths=widths, second_path=two.path)


def _describe(path: Path, name: str, keys: tuple[str, ...], header: SafetensorsHeader) -> TextualInversion:
    shapes = header.shapes
    odd = next((shapes[key] for key in keys if len(shapes[key]) not in (1, 2)), None)
    if odd is not None:
        raise UserError(f"{path} is not an embedding: that is a table of vectors, and this has the shape {odd}.")
    vectors, widths = zip(*(_as_rows(shapes[key]) for key in keys), strict=True)
    if len(set(vectors)) > 1 or not vectors[0]:
        raise UserError(f"{path} is damaged: it needs the same number of vectors for each text encoder, at least one.")
    require_numbers(path, header, keys)
    return TextualInversion(name, path, keys, widths, vectors[0])


def _keys(path: Path, shapes: dict[str, tuple[int, ...]]) -> tuple[str, ...]:
    if _SINGLE_KEY in shapes:
        return (_SINGLE_KEY,)
    for pair in _SDXL_KEYS:
        if all(key in shapes for key in pair):
            return pair
    if len(shapes) == 1:
        return tuple(shapes)
    unknown = f"is not an embedding: it has {len(shapes)} tensors, not one for each text encoder."
    raise UserError(f"{path} {describe_contents(shapes, 'an embedding') or unknown}")


def _as_rows(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the number of vectors and their width; a one-dimensional tensor is a single vector."""
    vectors, width = shape if len(shape) > 1 else (1, *shape)
    return vectors, width
