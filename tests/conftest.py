"""Fixtures and settings for all tests."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.timing import TEST_TIMEOUT_S

# Set before torch is imported, and inherited by the processes that tests start. Beside other tests on two cores, two
# threads of torch are many times slower than one.
os.environ["OMP_NUM_THREADS"] = "1"
# Processes are started by the hundred: without compiled files each would compile the same modules again.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Without it, each process that `multiprocessing` starts would import pytest, as the main module of its parent.
vars(sys.modules["__main__"]).pop("__file__", None)
os.environ.setdefault("PYTEST_TIMEOUT", str(TEST_TIMEOUT_S))
# SQLite and the image store wait for the disk at every write. No test cuts the power, so memory serves as well.
RAM_DISK, RAM_DISK_BYTES = Path("/dev/shm"), 4 << 30
if os.access(RAM_DISK, os.W_OK) and shutil.disk_usage(RAM_DISK).free >= RAM_DISK_BYTES:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(RAM_DISK))
# How long an example takes says more about the machine than about the code.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for no garbage in what the tests import, now or later: it stays, and there are millions of objects."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)  # the bot and the engine make few cycles, and many objects
        gc.enable()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a tiny pipeline with random weights."""
    # Imported here, so that tests without a model do not wait for torch.
    from tests.support.tiny_model import build_tiny_model

    return build_tiny_model(tmp_path_factory.mktemp("tiny"))
