"""Source pictures and masks, as they come and as the VAE wants them; results, the other way round."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from generation.engine.canvas import spread
from generation.errors import Complaint
from generation.messages import Generate
from generation.params import Frame


@dataclass(frozen=True, slots=True)
class Source:
    """What a job starts from: `pixels` (1×3×H×W in −1…1), and a `mask` (1×1×H×W, 1 is drawn anew) or None.

    With `filled`, what is drawn anew shows a filling that the drawing should set out from. `enlarged` is how many times
    as large as it came the picture is. `blended` are pictures like `pixels` that are mixed with them.
    """

    pixels: Tensor
    mask: Tensor | None = None
    filled: bool = False
    enlarged: float = 1.0
    blended: tuple[Tensor, ...] = ()


def read_source(request: Generate) -> Source | None:
    """Decode the request's pictures at its size, cropped to its shape; raises Complaint for what is no picture."""
    if request.source is None:
        return None
    size = (request.params.width, request.params.height)
    frame = request.params.frame or Frame(0, 0, *size)
    canvas, picture = Image.new("RGB", size), _decode(request.source)
    canvas.paste(_fit(picture, (frame.width, frame.height)), (frame.left, frame.top))
    pixels, mask = to_pixels(canvas), _mask(request, frame)
    blended = tuple(to_pixels(_fit(_decode(data), size)) for data in request.blended)
    if mask is None or not (request.params.frame or request.params.region):
        return Source(pixels, mask, enlarged=_enlarged(picture, size), blended=blended)
    return Source(spread(pixels, 1 - mask), mask, filled=True)


def _enlarged(picture: Image.Image, size: tuple[int, int]) -> float:
    return max(size[0] / picture.width, size[1] / picture.height)


def _mask(request: Generate, frame: Frame) -> Tensor | None:
    params, size = request.params, (request.params.width, request.params.height)
    mask = _cells(params.region, size)
    if request.mask is not None:
        mask = _fit(_decode(request.mask).convert("L"), size)
    elif not params.region and params.frame is None:
        return None
    white = np.asarray(mask) >= 128
    around = np.ones_like(white)
    around[frame.top : frame.top + frame.height, frame.left : frame.left + frame.width] = False
    return torch.from_numpy(white | around).float()[None, None]


def _cells(region: tuple[int, ...], size: tuple[int, int]) -> Image.Image:
    """Give white cells of a 3×3 picker, numbered by rows from 0, on black."""
    mask = Image.new("L", size)
    columns, rows = ([round(place * side / 3) for place in range(4)] for side in size)
    for cell in region:
        row, column = divmod(cell, 3)
        mask.paste(255, (columns[column], rows[row], columns[column + 1], rows[row + 1]))
    return mask


def to_pixels(image: Image.Image) -> Tensor:
    """Give an RGB picture as 1×3×H×W between −1 and 1."""
    values = np.asarray(image, dtype=np.float32) / 255
    return torch.from_numpy(values * 2 - 1).permute(2, 0, 1)[None]


def to_images(pixels: Tensor) -> list[Image.Image]:
    """Give N×3×H×W between −1 and 1 as RGB pictures."""
    values = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    return [Image.fromarray(picture) for picture in values.permute(0, 2, 3, 1).cpu().numpy()]


def to_png(image: Image.Image, parameters: str) -> bytes:
    """Encode a tile with the generation parameters where AUTOMATIC1111 keeps them."""
    info = PngInfo()
    info.add_text("parameters", parameters)  # an iTXt chunk if the text is not Latin-1
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=info, compress_level=1)  # at 2048² the default level takes 2.5 s, this 0.5 s
    return file.getvalue()


def _decode(data: bytes) -> Image.Image:
    try:
        with Image.open(io.BytesIO(data)) as image:
            upright = ImageOps.exif_transpose(image)
            return _on_white(upright) if upright.has_transparency_data else upright.convert("RGB")
    except Exception as error:  # Pillow's decoders raise all kinds for broken files
        raise Complaint("The source picture cannot be read: is it a PNG, JPEG or WebP file?") from error


def _on_white(image: Image.Image) -> Image.Image:
    with_alpha = image.convert("RGBA")
    white = Image.new("RGBA", with_alpha.size, "white")
    return Image.alpha_composite(white, with_alpha).convert("RGB")


def _fit(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else ImageOps.fit(image, size, Image.Resampling.LANCZOS)
