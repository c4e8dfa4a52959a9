"""Decode source images and masks into tensors for the VAE, and encode results as images and files."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image, ImageChops, ImageOps
from torch import Tensor
from torch.nn.functional import max_pool2d

from generation.engine.images.inpainting import blend_seam, change_map, fill_smooth
from generation.engine.images.lightness import Bytes, as_grey, lightness_of, with_lightness
from generation.engine.images.upscaler import Upscaler
from generation.errors import UserError
from generation.messages import Generate
from generation.params import Frame, Params, Upload
from generation.planning.compute_cost import HIRES_FACTOR, has_hires_pass
from generation.text import Text

MIN_UPSCALER_FACTOR = 1.5  # times; below that, interpolation shows as much detail
CHANGE_MAP_DIVISOR = 3  # of the native side: the distance from the kept part at which the change map reaches 1
SEAM_DIVISOR = 4  # of the native side: the distance from the kept part over which the seam is blended


@dataclass(frozen=True, slots=True)
class SourceImage:
    """The image that a job starts from: `pixels` (1×3×H×W in −1…1), and a `mask` (1×1×H×W, 1 is regenerated) or None.

    With `is_prefilled`, the masked part holds a filling to start from. `upscale_factor` is the size relative to the
    uploaded image. `blended` are images like `pixels`, which are mixed with it. With `lightness` (H×W in 0…255, at the
    final size), the result has exactly that.
    """

    pixels: Tensor
    mask: Tensor | None = None
    is_prefilled: bool = False
    upscale_factor: float = 1.0
    blended: tuple[Tensor, ...] = ()
    lightness: Bytes | None = None

    def change_map(self, scale: int, native_size: int) -> Tensor | None:
        """Return the change map (see `MaskConstraint`) of latents, `scale` pixels a side each; None without a mask.

        A latent that is partly masked is regenerated as a whole.
        """
        if self.mask is None:
            return None
        small: Tensor = max_pool2d(self.mask, scale)
        return change_map(small, max(1, native_size // scale // CHANGE_MAP_DIVISOR)) if self.is_prefilled else small

    def composite(self, pixels: Tensor, scale: int, native_size: int) -> Tensor:
        """Restore the kept part, exact to the pixel."""
        if self.mask is None:
            return pixels
        return blend_seam(pixels.cpu(), self.pixels, self.mask, scale // 2, native_size // SEAM_DIVISOR)

    def with_lightness(self, image: Image.Image) -> Image.Image:
        """Restore the lightness of the source in a final image, if it is kept."""
        if self.lightness is None:
            return image
        return Image.fromarray(with_lightness(np.asarray(image), self.lightness))


def read_source(request: Generate, upscaler: Upscaler | None = None) -> SourceImage | None:
    """Decode the request's images at its size, cropped to its aspect ratio; raises UserError for unreadable files.

    A source that becomes more than MIN_UPSCALER_FACTOR times as large goes through the `upscaler` first.
    """
    if request.source is None:
        return None
    image, params, size = _decode(request.source), request.params, (request.params.width, request.params.height)
    if params.frame is not None:
        return _with_lightness_kept(_outpaint_source(image, params.frame, size, _mask_image(request)), image, params)
    blended = tuple(to_pixels(_fit(_decode(data), size)) for data in request.blended)
    upscale_factor = max(size[0] / image.width, size[1] / image.height)
    if params.colourise and isinstance(params.source, Upload):
        image = Image.fromarray(as_grey(lightness_of(np.asarray(image))))
    original = image
    if upscaler is not None and upscale_factor > MIN_UPSCALER_FACTOR:
        image = to_images(upscaler.upscale(to_pixels(image)))[0]
    mask = _mask_image(request)
    source = SourceImage(
        to_pixels(_fit(image, size)), None if mask is None else _mask_tensor(mask), False, upscale_factor, blended
    )
    return _with_lightness_kept(source, original, params)


def _with_lightness_kept(source: SourceImage, image: Image.Image, params: Params) -> SourceImage:
    """Return a source with the lightness of its image at the final size, if the params keep it."""
    if not params.colourise:
        return source
    factor = HIRES_FACTOR if has_hires_pass(params) else 1
    size = factor * params.width, factor * params.height
    return replace(source, lightness=lightness_of(np.asarray(_fit(image, size))))


def read_image(data: bytes) -> Image.Image:
    """Decode an image; raises UserError for an unreadable file."""
    return _decode(data)


def read_fitted(data: bytes, size: tuple[int, int]) -> Image.Image:
    """Decode an image, cropped to this size; raises UserError for an unreadable file."""
    return _fit(_decode(data), size)


def read_style(data: bytes, size: tuple[int, int]) -> Tensor:
    """Decode a style reference, cropped to this size; raises UserError for an unreadable file."""
    return to_pixels(read_fitted(data, size))


def _outpaint_source(image: Image.Image, frame: Frame, size: tuple[int, int], mask: Image.Image | None) -> SourceImage:
    """Place an image on a canvas, and fill the area around it and the mask's white smoothly from its colours."""
    canvas, around = Image.new("RGB", size), Image.new("L", size, 255)
    place = (frame.left, frame.top)
    canvas.paste(_resize(image, (frame.width, frame.height)), place)
    around.paste(0, (*place, frame.left + frame.width, frame.top + frame.height))
    inpaint_mask = _mask_tensor(around if mask is None else ImageChops.lighter(around, mask))
    if not inpaint_mask.any():
        raise UserError(Text("The mask is all black, so nothing would change. Paint the part to redraw white."))
    return SourceImage(fill_smooth(to_pixels(canvas), 1 - inpaint_mask), inpaint_mask, is_prefilled=True)


def _mask_image(request: Generate) -> Image.Image | None:
    """Return the mask, white where the image is regenerated: the uploaded one, or the cells of the region picker."""
    size = (request.params.width, request.params.height)
    if request.mask is not None:
        return _fit(_decode(request.mask).convert("L"), size)
    return _region_mask(request.params.region, size) if request.params.region else None


def _mask_tensor(mask: Image.Image) -> Tensor:
    return torch.from_numpy(np.asarray(mask) >= 128).float()[None, None]


def _region_mask(region: tuple[int, ...], size: tuple[int, int]) -> Image.Image:
    """Return the cells of a 3×3 grid in white on black; they are numbered by rows, from 0."""
    mask = Image.new("L", size)
    columns, rows = ([round(place * side / 3) for place in range(4)] for side in size)
    for cell in region:
        row, column = divmod(cell, 3)
        mask.paste(255, (columns[column], rows[row], columns[column + 1], rows[row + 1]))
    return mask


def to_pixels(image: Image.Image) -> Tensor:
    """Return an RGB image as 1×3×H×W in −1…1."""
    values = np.asarray(image, dtype=np.float32) / 255
    return torch.from_numpy(values * 2 - 1).permute(2, 0, 1)[None]


def to_images(pixels: Tensor) -> list[Image.Image]:
    """Return N×3×H×W in −1…1 as RGB images."""
    return from_bytes(to_bytes(pixels).cpu())


def to_bytes(pixels: Tensor) -> Tensor:
    """Return N×3×H×W in −1…1 as N×H×W×3 in 0…255, on their device."""
    values = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    return values.permute(0, 2, 3, 1)


def from_bytes(values: Tensor) -> list[Image.Image]:
    """Return N×H×W×3 in 0…255, on the CPU, as RGB images."""
    return [Image.fromarray(image) for image in values.numpy()]


def _decode(data: bytes) -> Image.Image:
    try:
        with Image.open(io.BytesIO(data)) as image:
            upright = ImageOps.exif_transpose(image)
            return _flatten_alpha(upright) if upright.has_transparency_data else upright.convert("RGB")
    except Exception as error:  # Pillow's decoders raise errors of all kinds for broken files
        raise UserError(Text("The source picture cannot be read: is it a PNG, JPEG or WebP file?")) from error


def _flatten_alpha(image: Image.Image) -> Image.Image:
    with_alpha = image.convert("RGBA")
    white = Image.new("RGBA", with_alpha.size, "white")
    return Image.alpha_composite(white, with_alpha).convert("RGB")


def _resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def _fit(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else ImageOps.fit(image, size, Image.Resampling.LANCZOS)
