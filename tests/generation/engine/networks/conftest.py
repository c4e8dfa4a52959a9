"""Models in one file, and the same in folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.ldm_file import build_folder_and_checkpoint, build_xl_folder_and_checkpoint


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the folder and the file of a model of the first generation; nothing may change them."""
    return build_folder_and_checkpoint(tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the folder and the file of a model of the second generation; nothing may change them."""
    return build_folder_and_checkpoint(tmp_path_factory.mktemp("second"), second=True)


@pytest.fixture(scope="session")
def third(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the folder and the file of a model of SDXL's kind; nothing may change them."""
    return build_xl_folder_and_checkpoint(tmp_path_factory.mktemp("third"))
