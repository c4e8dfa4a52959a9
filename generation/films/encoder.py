"""Encode films within a number of bytes: less quality first, then a smaller size, then fewer frames."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

from PIL import Image

from generation.films.film import Film

QUALITIES = (85, 70, 55, 40)
SCALES = (1.0, 0.7, 0.5, 0.35)
THINNINGS = (1, 2, 3)
METHOD = 2  # of WebP: twice as fast as the default 4, for a few percent more bytes
# Each frame is stored whole: in a zoom every pixel changes, so that differences are no smaller, but worse.
WHOLE_FRAMES = {"kmin": 0, "kmax": 1}
SAMPLES = 5  # frames that are encoded to estimate the film's size
SURELY_TOO_LARGE = 1.2  # times the limit: such an estimate is not worth the attempt

log = logging.getLogger(__name__)


def encode_webp(film: Film, limit: int, exif: bytes = b"") -> bytes:
    """Return the film as an animated WebP of at most `limit` bytes; raise ValueError if none fits.

    It repeats for ever. `exif` is metadata for the file.
    """
    for smaller, quality in _attempts(film):
        if _estimated_bytes(smaller, quality) > SURELY_TOO_LARGE * limit:
            continue
        data = _animated_webp(smaller, quality, exif)
        if len(data) <= limit:
            return data
        log.info("a film of %d frames takes %d bytes, which is more than %d", len(smaller), len(data), limit)
    raise ValueError(f"no film fits into {limit} bytes")


def _attempts(film: Film) -> Iterator[tuple[Film, int]]:
    """Yield the film with ever lower demands: all qualities first, then smaller sizes, then fewer frames."""
    for quality in QUALITIES:
        yield film, quality
    for scale in SCALES[1:]:
        yield film.scaled(scale), QUALITIES[-1]
    for every in THINNINGS[1:]:
        yield film.scaled(SCALES[-1]).thinned(every), QUALITIES[-1]


def _estimated_bytes(film: Film, quality: int) -> float:
    """Return about how large a film becomes, from single frames: an animation shares little between its frames."""
    count = min(SAMPLES, len(film))
    places = {round(index * (len(film) - 1) / max(1, count - 1)) for index in range(count)}
    return sum(_still_bytes(film.render(place), quality) for place in places) / len(places) * len(film)


def _still_bytes(image: Image.Image, quality: int) -> int:
    file = io.BytesIO()
    image.save(file, "WEBP", quality=quality, method=METHOD)
    return file.tell()


class _LazyFrames(Image.Image):
    """A film as Pillow's encoder sees it: an image of many frames, of which only the current one is in memory."""

    def __init__(self, film: Film) -> None:
        super().__init__()
        self._film, self._place = film, 0
        self._mode, self._size = "RGB", film.size
        self.n_frames = len(film)
        self.seek(0)

    def seek(self, frame: int) -> None:
        """Render a frame."""
        self._place = frame
        self.im = self._film.render(frame).convert("RGB").im

    def tell(self) -> int:
        """Return the current frame's number."""
        return self._place


def _animated_webp(film: Film, quality: int, exif: bytes) -> bytes:
    file = io.BytesIO()
    options = {"loop": 0, "quality": quality, "method": METHOD, "exif": exif} | WHOLE_FRAMES
    _LazyFrames(film).save(file, "WEBP", save_all=True, duration=film.durations, **options)
    return file.getvalue()
