"""Take workers out of use without losing a job: `main.py drain` writes their names to a file, which the bot follows."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path

from generation.queue.queue import Queue
from generation.worker.fleet import Fleet
from generation.worker.worker import Worker

FILE = "draining"  # in DATA_DIR; the names, one a line, so a drained worker stays so when the bot is started again
KNOWN_FILE = "workers"  # in DATA_DIR; the names of the workers that the bot saw last, one a line
INTERVAL_S = 2.0

log = logging.getLogger(__name__)


def read_draining(data_dir: Path) -> list[str]:
    """Return the names of the workers and machines that are drained."""
    return _read_names(data_dir / FILE) or []


def describe_unknown(data_dir: Path, name: str) -> str:
    """Return a sentence if the bot saw no worker or machine of this name when it last looked, else nothing."""
    known = _read_names(data_dir / KNOWN_FILE)
    if known is None or any(_is_called(each, name) for each in known):
        return ""
    return f"The bot sees no {name} now, and drains it when it comes. It sees: {', '.join(known) or 'none with a name'}"


def set_draining(data_dir: Path, name: str, *, drained: bool) -> list[str]:
    """Drain a worker or a machine, or use it again; return all that are drained now."""
    names = [each for each in read_draining(data_dir) if each != name] + ([name] if drained else [])
    data_dir.mkdir(parents=True, exist_ok=True)
    _write_names(data_dir / FILE, names)
    return names


def _read_names(path: Path) -> list[str] | None:
    try:
        return path.read_text(encoding="utf-8").split("\n")[:-1]
    except FileNotFoundError:
        return None


def _write_names(path: Path, names: list[str]) -> None:
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_text("".join(f"{each}\n" for each in names), encoding="utf-8")
    temporary.replace(path)


class Draining:
    """Gives drained workers no more jobs, and stops each when its last job has ended."""

    def __init__(self, fleet: Fleet, queue: Queue, data_dir: Path) -> None:
        self._fleet, self._queue, self._data_dir = fleet, queue, data_dir
        self._stopped: set[Worker] = set()
        self._unknown: frozenset[str] = frozenset()
        self._known: list[str] | None = None

    async def follow(self) -> None:
        """Look at the file again and again, until cancelled."""
        while True:
            try:
                await self.apply(read_draining(self._data_dir))
                self._tell_known()
            except OSError:
                log.exception("the names of the workers cannot be read or written")
            await asyncio.sleep(INTERVAL_S)

    async def apply(self, names: list[str]) -> None:
        """Drain the workers of these names, and use all others."""
        self._stopped &= set(self._fleet.workers)
        self._warn_of_unknown(names)
        for worker in self._fleet.workers:
            wanted = any(_is_called(worker.name, name) for name in names)
            if wanted and not worker.draining:
                worker.draining = True
                self._fleet.wake()
                log.info("%s gets no more jobs", worker.name)
            if wanted and worker not in self._stopped and not self._queue.running_on(worker):
                self._stopped.add(worker)
                await worker.close()
                log.info("%s is drained and stopped", worker.name)
            elif not wanted and worker.draining:
                await self._use_again(worker)

    async def _use_again(self, worker: Worker) -> None:
        worker.draining = False
        log.info("%s is used again", worker.name)
        if worker in self._stopped:
            self._stopped.remove(worker)
            await worker.start()
        self._queue.wake()

    def _names(self) -> list[str]:
        return [worker.name for worker in self._fleet.workers if worker.name]

    def _tell_known(self) -> None:
        """Write down which workers there are, for who types `main.py drain`."""
        if (known := self._names()) != self._known:
            self._known = known  # before writing, so that a full disk is logged once
            _write_names(self._data_dir / KNOWN_FILE, known)

    def _warn_of_unknown(self, names: list[str]) -> None:
        known = self._names()
        unknown = frozenset(name for name in names if not any(_is_called(each, name) for each in known))
        for name in sorted(unknown - self._unknown):
            log.warning(
                "there is no worker %s to drain now; there are: %s", name, ", ".join(known) or "none with a name"
            )
        self._unknown = unknown


def _is_called(worker: str, name: str) -> bool:
    """Return whether `name` is that of the worker, or of its machine, whose devices are numbered."""
    return worker == name or re.fullmatch(rf"{re.escape(name)}-\d+", worker) is not None
