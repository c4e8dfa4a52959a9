"""Decode the trail of a finished job into the sheets of a video, a tile at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import torch
from PIL import Image
from torch import Tensor

from generation.engine.device.oom import OOM_MESSAGE, is_out_of_memory
from generation.engine.device.side_stream import SideStream
from generation.engine.device.transfer import to_device
from generation.engine.images.io import from_bytes, to_bytes
from generation.engine.networks.vae import Vae
from generation.engine.output.files import OutputWriter, encode_video_sheet
from generation.engine.output.trail import unpack_trail
from generation.messages import Event, Failed, FailureReason, Finished, Generate, Grid, Progress
from generation.params import Params


class TrailDecoder:
    """Decodes trails with the VAE; `unet_lock` is held while the UNet runs."""

    def __init__(self, vae: Vae, writer: OutputWriter, stream: SideStream, unet_lock: threading.Lock) -> None:
        self._vae, self._writer, self._stream, self._unet_lock = vae, writer, stream, unet_lock

    def decode(self, request: Generate) -> Iterator[Event | None]:
        """Decode a trail; yield after each tile, or an event after each sheet, and at last Finished or Failed."""
        try:
            yield from self._decode(request)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            yield Failed(request.job_id, FailureReason.OUT_OF_MEMORY, OOM_MESSAGE)

    def _decode(self, request: Generate) -> Iterator[Event | None]:
        started, sheets, is_sensitive = time.monotonic(), list[bytes](), False
        trail = unpack_trail(request.trail)
        for number, latents in enumerate(trail):
            tiles = list[Image.Image]()
            for tile in torch.split(latents, 1):
                tiles += self._images(tile, request.params)
                yield None
            is_sensitive |= self._writer.is_sensitive(tiles)
            sheets.append(encode_video_sheet(tiles, request.params))
            yield Progress(request.job_id, number + 1, len(trail))
        seconds = time.monotonic() - started
        yield Finished(request.job_id, Grid(tuple(sheets), b"", "jpg", seconds, is_sensitive))

    @torch.inference_mode()
    def _images(self, latents: Tensor, params: Params) -> list[Image.Image]:
        vae = self._vae.suited(params)
        with self._stream.after(None):
            decoded = vae.decode_low_memory(self._unet_lock, to_device(latents.float(), self._vae.device))
            return from_bytes(self._stream.fetch([to_bytes(decoded)])[0])
