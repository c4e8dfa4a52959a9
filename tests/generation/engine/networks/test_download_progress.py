"""Reports of a download, as measured in the hub's cache."""

from __future__ import annotations

import os
import queue
from dataclasses import replace

import pytest

from generation.engine.networks import download_progress
from generation.messages import Loading
from generation.models.model import Model
from tests.support.timing import TIMEOUT_S

UNET = Loading("unet", 2, 5, "Dreams")
MODEL = Model(name="Dreams", ref="somebody/dreams")


@pytest.fixture
def blobs(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(download_progress, "REPORT_INTERVAL_S", 0.005)
    folder = tmp_path / "models--somebody--dreams" / "blobs"
    folder.mkdir(parents=True)
    (folder / "here already").write_bytes(bytes(5_000_000))
    return folder


@pytest.mark.parametrize("model", [MODEL, replace(MODEL, ref="somebody/decoder", partner="somebody/dreams")])
def test_downloaded_megabytes_are_reported_while_they_grow(blobs, model):
    reports = queue.SimpleQueue()
    with download_progress.report_downloads(model, reports.put) as report:
        report(UNET)
        assert reports.get(timeout=TIMEOUT_S) == UNET
        partial = blobs / "abc.incomplete"
        partial.touch()
        os.truncate(partial, 2_000_000)
        assert reports.get(timeout=TIMEOUT_S) == Loading("unet, 2 MB", 2, 5, "Dreams")
        os.truncate(partial, 3_000_000)
        assert reports.get(timeout=TIMEOUT_S) == Loading("unet, 3 MB", 2, 5, "Dreams")
        partial.rename(blobs / "abc")
        report(Loading("vae", 3, 5, "Dreams"))
        assert reports.get(timeout=TIMEOUT_S) == Loading("vae", 3, 5, "Dreams")
    assert reports.empty()


def test_nothing_is_reported_of_a_local_model(blobs, tmp_path):
    reports = queue.SimpleQueue()
    with download_progress.report_downloads(Model(name="Mine", ref=str(tmp_path)), reports.put) as report:
        report(UNET)
        (tmp_path / "blobs").write_bytes(bytes(2_000_000))
    assert reports.get(timeout=TIMEOUT_S) == UNET
    assert reports.empty()


def test_the_monitor_ends_with_the_load_even_if_it_fails(blobs):
    with pytest.raises(OSError, match="gone"), download_progress.report_downloads(MODEL, lambda _: None):
        raise OSError("gone")
