"""Import the fake engine and encode a picture: a fork server imports this, so that no forked process has to begin."""

from __future__ import annotations

from PIL import Image

import generation.films.__main__
import generation.worker.gpu_main  # noqa: F401
from generation.files.grid_image import encode_to_limit, make_grid
from generation.files.thumbnail import encode_thumbnail
from tests.support import fake_engine

PAINTED = Image.new("RGB", (64, 64))
fake_engine._png(PAINTED)
fake_engine._jpeg(PAINTED)
encode_thumbnail(PAINTED)
encode_to_limit(make_grid([PAINTED] * 4), 10**7, "")
