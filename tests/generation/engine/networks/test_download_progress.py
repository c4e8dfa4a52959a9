"""What is told of a download, as the library's cache shows it."""

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
def test_the_megabytes_that_have_come_are_told_while_they_come(blobs, model):
    told = queue.SimpleQueue()
    with download_progress.report_downloads(model, told.put) as report:
        report(UNET)
        assert told.get(timeout=TIMEOUT_S) == UNET
        coming = blobs / "abc.incomplete"
        coming.touch()
        os.truncate(coming, 2_000_000)
        assert told.get(timeout=TIMEOUT_S) == Loading("unet, 2 MB", 2, 5, "Dreams")
        os.truncate(coming, 3_000_000)
        assert told.get(timeout=TIMEOUT_S) == Loading("unet, 3 MB", 2, 5, "Dreams")
        coming.rename(blobs / "abc")
        report(Loading("vae", 3, 5, "Dreams"))
        assert told.get(timeout=TIMEOUT_S) == Loading("vae", 3, 5, "Dreams")
    assert told.empty()


def test_nothing_is_told_of_a_model_that_is_here(blobs, tmp_path):
    told = queue.SimpleQueue()
    with download_progress.report_downloads(Model(name="Mine", ref=str(tmp_path)), told.put) as report:
        report(UNET)
        (tmp_path / "blobs").write_bytes(bytes(2_000_000))
    assert told.get(timeout=TIMEOUT_S) == UNET
    assert told.empty()


def test_the_watch_ends_with_the_load_also_with_one_that_fails(blobs):
    with pytest.raises(OSError, match="gone"), download_progress.report_downloads(MODEL, lambda _: None):
        raise OSError("gone")
