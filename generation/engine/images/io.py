"""Source pictures and masks, as they come and as the VAE wants them; results, the other way round."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageChops, ImageOps
from PIL.PngImagePlugin import PngInfo
from torch import Tensor
from torch.nn.functional import max_pool2d

from generation.engine.images.inpainting import blend_seam, change_map, fill_smooth
from generation.engine.images.upscaler import Upscaler
from generation.errors import UserError
from generation.messages import Generate
from generation.params import Frame

MIN_UPSCALER_FACTOR = 1.5  # times; below that an interpolation shows no less
CHANGE_MAP_DIVISOR = 3  # the native side's share away from a kept part, a drawing is free from the start
SEAM_DIVISOR = 4  # the native side's share around a kept part in which a drawing is brought into line with it


@dataclass(frozen=True, slots=True)
class SourceImage:
    """What a job starts from: `pixels` (1×3×H×W in −1…1), and a `mask` (1×1×H×W, 1 is drawn anew) or None.

    With `filled`, what is drawn anew shows a filling that the drawing should set out from. `enlarged` is how many times
    as large as it came the picture is. `blended` are pictures like `pixels` that are mixed with them.
    """

    pixels: Tensor
    mask: Tensor | None = None
    is_prefilled: bool = False
    upscale_factor: float = 1.0
    blended: tuple[Tensor, ...] = ()

    def change_map(self, scale: int, native_size: int) -> Tensor | None:
        """Say for each latent, `scale` pixels a side, how freely it is drawn; None where nothing is kept.

        What is partly drawn anew is drawn anew as a whole.
        """
        if self.mask is None:
            return None
        small: Tensor = max_pool2d(self.mask, scale)
        return change_map(small, max(1, native_size // scale // CHANGE_MAP_DIVISOR)) if self.is_prefilled else small

    def composite(self, pixels: Tensor, scale: int, native_size: int) -> Tensor:
        """Put back to the pixel what is kept."""
        if self.mask is None:
            return pixels
        return blend_seam(pixels.cpu(), self.pixels, self.mask, scale // 2, native_size // SEAM_DIVISOR)


def read_source(request: Generate, upscaler: Upscaler | None = None) -> SourceImage | None:
    """Decode the request's pictures at its size, cropped to its shape; raises Complaint for what is no picture.

    One that is to become much larger goes through the `enlarger` first.
    """
    if request.source is None:
        return None
    image, params, size = _decode(request.source), request.params, (request.params.width, request.params.height)
    if params.frame is not None:
        return _outpaint_source(image, params.frame, size, _mask_image(request))
    blended = tuple(to_pixels(_fit(_decode(data), size)) for data in request.blended)
    upscale_factor = max(size[0] / image.width, size[1] / image.height)
    if upscaler is not None and upscale_factor > MIN_UPSCALER_FACTOR:
        image = to_images(upscaler.upscale(to_pixels(image)))[0]
    mask = _mask_image(request)
    return SourceImage(
        to_pixels(_fit(image, size)), None if mask is None else _mask_tensor(mask), False, upscale_factor, blended
    )


def _outpaint_source(image: Image.Image, frame: Frame, size: tuple[int, int], mask: Image.Image | None) -> SourceImage:
    """Lay a picture on a canvas and stretch its colours softly over what is around it, and over the mask's white."""
    canvas, around = Image.new("RGB", size), Image.new("L", size, 255)
    place = (frame.left, frame.top)
    canvas.paste(_resize(image, (frame.width, frame.height)), place)
    around.paste(0, (*place, frame.left + frame.width, frame.top + frame.height))
    inpaint_mask = _mask_tensor(around if mask is None else ImageChops.lighter(around, mask))
    if not inpaint_mask.any():
        raise UserError("The mask is black all over, and what is black stays: paint white what is to be drawn anew.")
    return SourceImage(fill_smooth(to_pixels(canvas), 1 - inpaint_mask), inpaint_mask, is_prefilled=True)


def _mask_image(request: Generate) -> Image.Image | None:
    """Give what is drawn anew in white, from a mask or from the cells of the picker."""
    size = (request.params.width, request.params.height)
    if request.mask is not None:
        return _fit(_decode(request.mask).convert("L"), size)
    return _region_mask(request.params.region, size) if request.params.region else None


def _mask_tensor(mask: Image.Image) -> Tensor:
    return torch.from_numpy(np.asarray(mask) >= 128).float()[None, None]


def _region_mask(region: tuple[int, ...], size: tuple[int, int]) -> Image.Image:
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
            return _flatten_alpha(upright) if upright.has_transparency_data else upright.convert("RGB")
    except Exception as error:  # Pillow's decoders raise all kinds for broken files
        raise UserError("The source picture cannot be read: is it a PNG, JPEG or WebP file?") from error


def _flatten_alpha(image: Image.Image) -> Image.Image:
    with_alpha = image.convert("RGBA")
    white = Image.new("RGBA", with_alpha.size, "white")
    return Image.alpha_composite(white, with_alpha).convert("RGB")


def _resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def _fit(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else ImageOps.fit(image, size, Image.Resampling.LANCZOS)
