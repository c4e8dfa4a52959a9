"""Fixtures for the tests of generation. Torch is imported late, so that tests without a model do not wait for it."""

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
    """Return the tiny pipeline in float32, in which it is compared with stock pipelines."""
    import torch

    from generation.engine.networks.pipeline_loader import load_pipeline

    return load_pipeline(str(tiny_model), "cpu", lambda _: None, torch.float32)


@pytest.fixture(scope="session")
def tiny_xl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a tiny SDXL pipeline with random weights."""
    from tests.support.tiny_xl import build_tiny_xl

    return build_tiny_xl(tmp_path_factory.mktemp("xl"))


@pytest.fixture(scope="session")
def xl_pipeline(tiny_xl: Path) -> Pipeline:
    """Return the tiny SDXL pipeline in float32."""
    import torch

    from generation.engine.networks.pipeline_loader import load_pipeline

    return load_pipeline(str(tiny_xl), "cpu", lambda _: None, torch.float32)


@pytest.fixture
def harness(pipeline: Pipeline) -> Iterator[EngineHarness]:
    """Yield an engine harness with the tiny pipeline."""
    from tests.support.engine_harness import EngineHarness

    harness = EngineHarness(pipeline)
    yield harness
    harness.close()


@pytest.fixture(scope="session")
def embedded_model() -> Iterator[EmbeddedModelHarness]:
    """Yield a harness that generates typed prompts with the embedded model."""
    import torch

    from generation.engine.networks.pipeline_loader import load_pipeline
    from generation.models.model import EMBEDDED
    from tests.support.embedded_model import EmbeddedModelHarness

    torch.set_num_threads(1)
    embedded_model = EmbeddedModelHarness(load_pipeline(EMBEDDED, "cpu", lambda _: None))
    yield embedded_model
    embedded_model.harness.close()
