"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a tiny pipeline with random weights, and keep torch to one thread.

    Two torch threads on a busy two-core machine are five times slower than one.
    """
    import torch  # here, so that tests without a model need not wait for it

    from tests.generation.tiny_model import build_tiny_model

    torch.set_num_threads(1)
    return build_tiny_model(tmp_path_factory.mktemp("tiny"))
