"""What the tests of generation share. Torch is imported late: tests without a model need not wait for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from generation.engine.networks.pipeline_loader import Pipeline
    from tests.generation.gallery import Gallery
    from tests.generation.studio import Studio


@pytest.fixture(scope="session")
def pipeline(tiny_model: Path) -> Pipeline:
    """Give the tiny pipeline, in the precision in which it is compared with stock ones."""
    import torch

    from generation.engine.networks.pipeline_loader import load_pipeline

    return load_pipeline(str(tiny_model), "cpu", lambda _: None, torch.float32)


@pytest.fixture
def studio(pipeline: Pipeline) -> Iterator[Studio]:
    """Give an engine with the tiny pipeline, under observation."""
    from tests.generation.studio import Studio

    studio = Studio(pipeline)
    yield studio
    studio.close()


@pytest.fixture(scope="session")
def gallery() -> Iterator[Gallery]:
    """Give an engine with the embedded model that draws what is typed."""
    import torch

    from generation.engine.networks.pipeline_loader import load_pipeline
    from generation.models.model import EMBEDDED
    from tests.generation.gallery import Gallery

    torch.set_num_threads(1)
    gallery = Gallery(load_pipeline(EMBEDDED, "cpu", lambda _: None))
    yield gallery
    gallery.studio.close()
