"""`FilmOrder`, what a process that makes a film is told, and how it makes it."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

from generation.files.grid_image import infotext_exif, read_infotext
from generation.films.appearance import appearance_film
from generation.films.crossfade import crossfade_film
from generation.films.encoder import encode_webp
from generation.films.film import Film
from generation.films.mp4 import encode_mp4
from generation.films.walk import walk_film
from generation.films.zoom import zoom_film
from generation.params import FilmKind, Frame


@dataclass(frozen=True, slots=True)
class ZoomOrder:
    """A zoom through the pictures, from the inner one to the outer; `frames` say where each lies in the next."""

    kind: FilmKind
    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class AppearanceOrder:
    """A picture's steps in order."""


@dataclass(frozen=True, slots=True)
class WalkOrder:
    """A walk through the pictures in order."""


Motion = ZoomOrder | AppearanceOrder | WalkOrder


@dataclass(frozen=True, slots=True)
class FilmOrder:
    """A film of encoded `pictures`, at most `limit` bytes: in a `motion`, or else each fading into the next.

    The last picture is the finished one, whose parameters the film's file gets. With `ffmpeg`, the path of that
    program, the film becomes an MP4, and else an animated WebP.
    """

    pictures: tuple[bytes, ...]
    limit: int
    motion: Motion | None = None
    ffmpeg: str | None = None


def make_film(order: FilmOrder) -> bytes:
    """Return the film's file; raise ValueError if none fits the limit, FfmpegFailed if ffmpeg cannot encode it."""
    pictures = [_decoded(data) for data in order.pictures]
    film = _film(pictures, order.motion)
    if order.ffmpeg is not None:
        return encode_mp4(film, order.limit, order.ffmpeg)
    exif = infotext_exif(_parameters(order.pictures[-1]))
    return encode_webp(film, order.limit, exif if len(exif) <= order.limit // 4 else b"")


def _film(pictures: list[Image.Image], motion: Motion | None) -> Film:
    match motion:
        case ZoomOrder(kind, frames):
            return zoom_film(pictures, frames, kind)
        case AppearanceOrder():
            return appearance_film(pictures)
        case WalkOrder():
            return walk_film(pictures)
        case None:
            return crossfade_film(pictures)


def _decoded(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")


def _parameters(data: bytes) -> str:
    with Image.open(io.BytesIO(data)) as image:
        return read_infotext(image)
