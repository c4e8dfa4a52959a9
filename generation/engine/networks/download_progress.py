"""Report how much of a model has been downloaded from the hub while it is loaded."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.file_download import repo_folder_name

from generation.messages import Loading
from generation.models.model import Model

REPORT_INTERVAL_S = 5.0  # seconds

Report = Callable[[Loading], None]


@contextmanager
def report_downloads(model: Model, report: Report) -> Iterator[Report]:
    """Yield a function that passes each part to `report`, and adds the megabytes downloaded while there are more.

    huggingface_hub reports them on a terminal only, so its cache is measured. Without these reports a large file on a
    slow line would look like a load that hangs.
    """
    logging.getLogger("huggingface_hub").handlers.clear()  # its own writes each line of the log a second time
    folders = [_blob_folder(ref) for ref in (model.ref, model.base, model.partner) if ref and not Path(ref).exists()]
    monitor = _DownloadMonitor(folders, report)
    thread = threading.Thread(target=monitor.poll, name=f"downloads of {model.name}", daemon=True)
    thread.start()
    try:
        yield monitor.report
    finally:
        monitor.stopped.set()
        thread.join()


class _DownloadMonitor:
    def __init__(self, folders: list[Path], report: Report) -> None:
        self._folders, self._report = folders, report
        self._latest: Loading | None = None
        self._initial_size = self._size()
        self.stopped = threading.Event()

    def report(self, loading: Loading) -> None:
        self._latest = loading
        self._report(loading)

    def poll(self) -> None:
        before = self._initial_size
        while not self.stopped.wait(REPORT_INTERVAL_S):
            size, latest = self._size(), self._latest
            if size > before and latest is not None:
                self._report(replace(latest, part=f"{latest.part}, {(size - self._initial_size) / 10**6:.0f} MB"))
            before = max(before, size)

    def _size(self) -> int:
        return sum(map(_size, (file for folder in self._folders if folder.is_dir() for file in folder.iterdir())))


def _blob_folder(hub_id: str) -> Path:
    """Return the cache folder into which a model's files are downloaded."""
    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=hub_id, repo_type="model") / "blobs"


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # its download has just ended, and renamed it
        return 0
