"""A new database with today's tables, copied: to make each would take ten times as long."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from db.connection import DATABASE_FILE, Connection

MakeDatabase = Callable[[Path], Path]


@pytest.fixture(scope="session")
def make_database(tmp_path_factory: pytest.TempPathFactory) -> MakeDatabase:
    """Return a function that makes a new database at a path where there is none, and returns the path."""
    template = tmp_path_factory.mktemp("database") / DATABASE_FILE
    asyncio.run(_create(template))

    def make_database(path: Path) -> Path:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(template, path)
        return path

    return make_database


async def _create(path: Path) -> None:
    async with Connection.open(path):
        pass
