"""The pictures of each kind of film: what to draw next, and how the film goes through them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Protocol

from PIL import Image

from generation.films.order import FilmOrder, WalkOrder, ZoomOrder
from generation.films.walk import picture_distance
from generation.messages import Generate
from generation.models.model import Model
from generation.params import FilmKind, Params
from generation.planning.film_pictures import walk_end
from generation.planning.films import film_steps
from generation.planning.walks import first_picture, first_places, places_between

TOGETHER = 4  # pictures of a walk in one request, as many as in a grid
COMPARED_SIDE = 128  # pixels to which pictures are reduced to compare them


class FilmPictures(Protocol):
    """One kind of film; its methods may take a moment, and run in a thread."""

    def following(self, drawn: Sequence[bytes]) -> Generate:
        """Return the request for the pictures after those that are drawn."""

    def order(self, drawn: Sequence[bytes], limit: int, ffmpeg: str | None, inner: bytes | None) -> FilmOrder:
        """Return the order for the film of all pictures, as they were drawn; `inner` is the picture of a zoom."""


class _PicturesOf(Protocol):
    def __call__(self, params: Params, model: Model, first: Generate | None = None) -> FilmPictures:
        """Return the pictures of a film; `first` is the job's own request, without which none can be drawn."""


class ZoomPictures:
    """Pictures that are drawn around each other."""

    def __init__(self, params: Params, model: Model, first: Generate | None = None) -> None:
        assert params.film is not None, "a film"
        self._kind, self._steps, self._first = params.film.kind, film_steps(params, model), first

    def following(self, drawn: Sequence[bytes]) -> Generate:
        """Return the request for the next picture, around the last one."""
        assert self._first is not None, "only a job that is drawn has a request"
        source = drawn[-1] if drawn else self._first.source
        return replace(self._first, params=self._steps[len(drawn)], source=source)

    def order(self, drawn: Sequence[bytes], limit: int, ffmpeg: str | None, inner: bytes | None) -> FilmOrder:
        """Return a zoom from the inner picture to the last one."""
        assert inner is not None, "a zoom is made from a picture"
        frames = tuple(step.frame for step in self._steps if step.frame is not None)
        return FilmOrder((inner, *drawn), limit, ZoomOrder(self._kind, frames), ffmpeg)


class WalkPictures:
    """Pictures on the way from one to another: the ends, then every second one, then those in the widest gaps."""

    def __init__(self, params: Params, model: Model, first: Generate | None = None) -> None:
        assert params.film is not None, "a film"
        self._params, self._pictures, self._first = params, params.film.steps, first

    def following(self, drawn: Sequence[bytes]) -> Generate:
        """Return the request for the next pictures; the ends are drawn as if there were no walk."""
        assert self._first is not None, "only a job that is drawn has a request"
        if len(drawn) < 2:
            return replace(self._first, params=first_picture(self._params) if drawn else walk_end(self._params))
        half = len(first_places(self._pictures))
        places = self._places(drawn)[len(drawn) : half if len(drawn) < half else None][:TOGETHER]
        return replace(self._first, params=replace(self._params, count=len(places)), places=places)

    def order(self, drawn: Sequence[bytes], limit: int, ffmpeg: str | None, inner: bytes | None) -> FilmOrder:
        """Return a walk through all pictures."""
        in_order = sorted(zip(self._places(drawn), drawn, strict=True))
        return FilmOrder(tuple(picture for _, picture in in_order), limit, WalkOrder(), ffmpeg)

    def _places(self, drawn: Sequence[bytes]) -> tuple[float, ...]:
        """Return the places of the pictures in the order in which they are drawn, as far as they are known yet."""
        start, *between, end = first_places(self._pictures)
        first = (end, start, *between)
        if len(drawn) < len(first):
            return first
        in_order = [picture for _, picture in sorted(zip(first, drawn, strict=False))]
        small = [_small(picture) for picture in in_order]
        distances = [picture_distance(*pair) for pair in pairwise(small)]
        return (*first, *places_between(sorted(first), distances, self._pictures))


def _small(picture: bytes) -> Image.Image:
    with Image.open(io.BytesIO(picture)) as image:
        return image.convert("RGB").resize((COMPARED_SIDE, COMPARED_SIDE), Image.Resampling.BOX)


PICTURES: dict[FilmKind, _PicturesOf] = {
    FilmKind.ZOOM_OUT: ZoomPictures,
    FilmKind.ZOOM_IN: ZoomPictures,
    FilmKind.LOOP: ZoomPictures,
    FilmKind.WALK: WalkPictures,
}
