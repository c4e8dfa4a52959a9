"""What the tests of generation share. Torch is imported late: tests without a model need not wait for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from generation.engine.networks.pipeline_loader import Pipeline
    from tests.support.embedded_model import EmbeddedModelHarness
    from tests.support.engine_harness import EngineHarness


@pytest.fixture(scope="session")
def pipeline(tiny_model: Path) -> Pipeline:
    """Give the tiny pipeline, in the precision in which it is compared with stock ones."""
    import torch

    from generation.engine.networks.pipeline_loader import load_pipeline

    return load_pipeline(str(tiny_model), "cpu", lambda _: None, torch.float32)


@pytest.fixture
def harness(pipeline: Pipeline) -> Iterator[EngineHarness]:
    """Give an engine with the tiny pipeline, under observation."""
    from tests.support.engine_harness import EngineHarness

    harness = EngineHarness(pipeline)
    yield harness
    harness.close()


@pytest.fixture(scope="session")
def embedded_model() -> Iterator[EmbeddedModelHarness]:
    """Give an engine with the embedded model that draws what is typed."""
    import torch

    from generation.engine.networks.pipeline_loader import load_pipeline
    from generation.models.model import EMBEDDED
    from tests.support.embedded_model import EmbeddedModelHarness

    torch.set_num_threads(1)
    embedded_model = EmbeddedModelHarness(load_pipeline(EMBEDDED, "cpu", lambda _: None))
    yield embedded_model
    embedded_model.harness.close()
