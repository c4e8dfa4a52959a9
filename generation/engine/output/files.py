"""Turn a job's images into the files of its result."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from PIL import Image

from generation.engine.output.safety_classifier import SafetyClassifier
from generation.files.grid_image import encode_to_limit, make_grid
from generation.files.infotext import infotext
from generation.files.job_name import SETTING
from generation.files.metadata import MetadataPolicy
from generation.files.png_encoder import encode_png
from generation.files.thumbnail import encode_thumbnail
from generation.films.film import film_size
from generation.messages import Generate, Grid
from generation.models.model import Model
from generation.params import Params, Tile
from generation.planning.actions import size_of


class EncodedTile(NamedTuple):
    """The files of one tile."""

    png: bytes
    thumbnail: bytes


class OutputWriter:
    """Writes a model's images as files: tiles with their parameters, and the grid image that is posted.

    It may be called from several threads.
    """

    def __init__(self, model: Model, metadata_policy: MetadataPolicy, classifier: SafetyClassifier) -> None:
        self._model = model
        self._include_prompts, self._signer = metadata_policy.include_prompts, metadata_policy.load_signer()
        self._classifier = classifier
        self._lock = threading.Lock()  # of the signer and the classifier, which work in one thread

    def encode_tile(self, image: Image.Image, index: int, request: Generate) -> EncodedTile:
        """Return tile number `index` (from 0) as a signed PNG with its generation parameters and its job.

        Its thumbnail is made here, since the bot would have to decode the PNG first.
        """
        png = self._sign(encode_png(image, self._infotext(index, request)), "png", request, index)
        return EncodedTile(png, encode_thumbnail(image))

    def build_grid(
        self,
        images: Sequence[Image.Image],
        tiles: Sequence[EncodedTile],
        request: Generate,
        started: float,
        sheet: tuple[bytes, str] | None = None,
    ) -> Grid:
        """Return the result of a job begun at `started` (time.monotonic), from its images and their files.

        `sheet` is the file of several images, if it has been encoded before.
        """
        files, thumbnails = tuple(tile.png for tile in tiles), tuple(tile.thumbnail for tile in tiles)
        grid_image, suffix = sheet or self._encode_grid_image(images, files, request)
        seconds = time.monotonic() - started
        return Grid(files, grid_image, suffix, seconds, self.is_sensitive(images), thumbnails=thumbnails)

    def encode_sheet(self, images: Sequence[Image.Image], request: Generate) -> tuple[bytes, str]:
        """Return a signed file with all images of a job, whose parameters differ, and its suffix."""
        return self._encode_joined(images, request, f"{SETTING}: {request.job_id}", None)

    def _encode_joined(
        self, images: Sequence[Image.Image], request: Generate, text: str, index: int | None
    ) -> tuple[bytes, str]:
        limit = request.upload_limit - self._signer.max_signature_bytes
        grid_image, suffix = encode_to_limit(make_grid(images), limit, text)
        return self._sign(grid_image, suffix, request, index), suffix

    def is_sensitive(self, images: Sequence[Image.Image]) -> bool:
        """Return the classifier's verdict."""
        with self._lock:
            return self._classifier.is_sensitive(images)

    def _encode_grid_image(
        self, images: Sequence[Image.Image], tiles: Sequence[bytes], request: Generate
    ) -> tuple[bytes, str]:
        """Compose the tiles; a single one is used unchanged if it fits the limit, else encoded with its parameters."""
        if len(tiles) > 1:
            return self.encode_sheet(images, request)
        if len(tiles[0]) <= request.upload_limit:
            return tiles[0], "png"
        return self._encode_joined(images, request, self._infotext(0, request), 0)

    def _sign(self, data: bytes, suffix: str, request: Generate, index: int | None) -> bytes:
        name = request.job_id if index is None else str(Tile(request.job_id, index))
        with self._lock:
            return self._signer.sign(data, suffix, request.params, name)

    def _infotext(self, index: int, request: Generate) -> str:
        # A video changes nothing of the picture, whose file is the same with and without one.
        params = replace(request.params, video=False)
        return infotext(params, self._model, index, job_id=request.job_id, with_prompt=self._include_prompts)


def encode_video_sheet(tiles: Sequence[Image.Image], params: Params) -> bytes:
    """Return the tiles of a video's step side by side as a JPEG, no larger than the film of a finished grid."""
    sheet = make_grid(tiles)
    factor = size_of(params)[0] / tiles[0].width
    size = film_size(round(factor * sheet.width), round(factor * sheet.height))
    file = io.BytesIO()
    sheet.resize(size, Image.Resampling.LANCZOS).save(file, "JPEG", quality=95, subsampling=0)
    return file.getvalue()
