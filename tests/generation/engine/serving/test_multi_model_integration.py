"""Several real models in one process: each generates as it does alone, and eviction frees its memory."""

from __future__ import annotations

import gc
import io
import json
import queue
import shutil
import threading
import weakref
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageChops

from generation.engine.denoising import post_processor
from generation.engine.denoising.engine import DenoisingEngine
from generation.engine.device.dtype_guard import StepGate, guard_default_dtype
from generation.engine.networks.model_size import expected_size
from generation.engine.serving.model_loader import ModelLoader
from generation.engine.serving.multi_model_engine import MultiModelEngine
from generation.messages import Failed, Finished, Loaded, Unloaded
from generation.models.catalogue import GIB, find_entry
from generation.models.model import Model, describe_model
from generation.models.registry import ModelRegistry
from tests.support.engine_harness import fit_previewer, make_params, make_request
from tests.support.timing import TIMEOUT_S
from tests.support.tiny_model import build_tiny_model

MEMORY_BYTES = 2**40
TINY, OTHER = "tiny", "other"


@pytest.fixture(scope="module")
def folders(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the folders of two models with different weights."""
    other = build_tiny_model(tmp_path_factory.mktemp("other"), text_in_time=True)
    settings = json.loads((other / "atelier.json").read_text()) | {"name": OTHER}
    (other / "atelier.json").write_text(json.dumps(settings))
    return [tiny_model, other]


@pytest.fixture(autouse=True, scope="module")
def small_heap():
    """Exclude torch's objects from the garbage collection that follows every eviction."""
    gc.freeze()


@pytest.fixture(autouse=True)
def fitted_previewers(monkeypatch):
    """Fit the previews of both models once."""
    monkeypatch.setattr(post_processor, "LatentPreviewer", fit_previewer)


class TwoModelHarness:
    """An engine for both models with the real loader, and its events."""

    def __init__(self, folders, memory=MEMORY_BYTES):
        self.events = []
        self._received = threading.Condition()
        self.loader = ModelLoader("cpu")
        self.engine = MultiModelEngine(ModelRegistry.from_refs(map(str, folders)), self.loader, self._on_event, memory)

    def _on_event(self, event):
        with self._received:
            self.events.append(event)
            self._received.notify_all()

    def generate(self, *requests):
        for request in requests:
            self.engine.add(request)
        while self.engine.busy:
            self.engine.step()
        return [self.wait_for_end(request.job_id) for request in requests]

    def wait_for_end(self, job_id):
        def ends():
            return [event for event in self.events if isinstance(event, Finished | Failed) and event.job_id == job_id]

        with self._received:
            assert self._received.wait_for(ends, TIMEOUT_S)
        return ends()[0]

    def unet(self, name):
        return weakref.ref(self.engine._loaded[name].loaded_model.modules[1])


@pytest.fixture
def harness(folders):
    harness = TwoModelHarness(folders)
    yield harness
    harness.engine.close()


def generate_alone(folder, *requests):
    """Generate jobs one after the other with an engine that has only this model."""
    ends = queue.SimpleQueue()
    engine = DenoisingEngine.load(
        str(folder), "cpu", lambda event: ends.put(event) if isinstance(event, Finished | Failed) else None
    )
    generated = []
    for request in requests:
        engine.add(request)
        while engine.busy:
            engine.step()
        generated.append(ends.get(timeout=TIMEOUT_S))
    engine.close()
    return generated


def same_images(one, other):
    pairs = zip(one.grid.tiles, other.grid.tiles, strict=True)
    images = [[Image.open(io.BytesIO(png)) for png in pair] for pair in pairs]
    return all(high <= 1 for pair in images for _, high in ImageChops.difference(*pair).getextrema())


def test_each_model_generates_as_it_does_alone(harness, folders):
    requests = [
        make_request(f"{name}{seed}", make_params(model=name, seed=seed, num_inference_steps=6))
        for name in (TINY, OTHER)
        for seed in (1, 2)
    ]
    ends = harness.generate(*requests[::2], *requests[1::2])
    alone = [*generate_alone(folders[0], *requests[:2]), *generate_alone(folders[1], *requests[2:])]
    assert all(map(same_images, ends, alone[::2] + alone[1::2]))
    assert not same_images(*ends[:2])
    loaded = [event.model for event in harness.events if isinstance(event, Loaded)]
    assert [model.name for model in loaded] == [TINY, OTHER]
    assert b"Model: other" in ends[1].grid.tiles[0]


def test_an_evicted_model_frees_its_memory_and_its_threads(folders):
    harness = TwoModelHarness(folders, memory=1)
    before = {thread.ident for thread in threading.enumerate()}
    unet = harness.unet(TINY)
    harness.generate(make_request("a", make_params(model=TINY)))
    harness.generate(make_request("b", make_params(model=OTHER)))
    assert [event.model for event in harness.events if isinstance(event, Unloaded)] == [TINY]
    gc.collect()
    assert unet() is None
    kept = unet, harness.unet(OTHER)
    harness.generate(make_request("c", make_params(model=TINY)))
    harness.engine.close()
    gc.collect()
    assert [each() for each in kept] == [None, None]
    assert not {thread.name for thread in threading.enumerate() if thread.ident not in before}


def test_damaged_weights_fail_only_their_jobs(folders, tmp_path):
    damaged = shutil.copytree(folders[1], tmp_path / "damaged")
    harness = TwoModelHarness([folders[0], damaged])
    weights = damaged / "unet" / "diffusion_pytorch_model.safetensors"
    whole = weights.read_bytes()
    for content in (whole[: len(whole) // 2], b"not weights", None):
        weights.unlink()
        if content is not None:
            weights.write_bytes(content)
        fine, failed = harness.generate(make_request("a", make_params()), make_request("b", make_params(model=OTHER)))
        assert isinstance(fine, Finished)
        assert "other cannot be loaded at the moment" in failed.text
        harness.events.clear()
        weights.touch()
    weights.write_bytes(whole)
    assert isinstance(harness.generate(make_request("c", make_params(model=OTHER)))[0], Finished)
    harness.engine.close()


def test_the_expected_size_is_close_to_the_measured_one(harness, folders):
    harness.generate(make_request("a", make_params(model=OTHER)))
    for folder in folders:
        model = describe_model(str(folder))
        measured = harness.engine._loaded[model.name].loaded_model.size
        expected = expected_size(model, harness.loader._precision.itemsize)
        assert measured / 2 <= expected <= measured * 1.1  # text encoders run in full precision


@pytest.mark.parametrize(
    ("ref", "bytes_per_weight", "size"),
    [
        ("openjourney", 2, find_entry("open journey").memory),
        ("prompthero/openjourney", 4, 2 * find_entry("open journey").memory),
    ],
)
def test_before_a_download_the_size_comes_from_the_catalogue(ref, bytes_per_weight, size, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert expected_size(describe_model(ref), bytes_per_weight) == size


def test_the_size_of_an_unknown_model_is_estimated(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert GIB < expected_size(Model(name="x", ref="somebody/x"), 2) < 4 * GIB


def test_files_in_another_precision_are_not_counted_twice(folders, tmp_path):
    copy = shutil.copytree(folders[0], tmp_path / "copy")
    before = expected_size(describe_model(str(copy)), 4)
    shutil.copy(
        copy / "vae" / "diffusion_pytorch_model.safetensors", copy / "vae" / "diffusion_pytorch_model.fp16.safetensors"
    )
    (copy / "safety_checker").mkdir()
    shutil.copy(copy / "vae" / "diffusion_pytorch_model.safetensors", copy / "safety_checker" / "model.safetensors")
    assert expected_size(describe_model(str(copy)), 4) == before


def test_no_step_is_made_while_loading_has_changed_the_default_dtype():
    gate, seen = StepGate(), []
    switched, may_end = threading.Event(), threading.Event()

    def load():
        with guard_default_dtype(gate):
            torch.set_default_dtype(torch.float16)
            switched.set()
            may_end.wait(TIMEOUT_S)
            torch.set_default_dtype(torch.float32)

    def make_a_step():
        with gate.step():
            seen.append(torch.get_default_dtype())

    loading, later = threading.Thread(target=load), threading.Thread(target=make_a_step)
    with gate.step():
        loading.start()
        assert not switched.wait(0.05)
        assert torch.get_default_dtype() is torch.float32
    assert switched.wait(TIMEOUT_S)
    later.start()
    later.join(0.05)
    assert not seen
    may_end.set()
    loading.join()
    later.join()
    assert seen == [torch.float32]


def test_loading_continues_between_two_steps_of_a_running_pipeline():
    gate, switched = StepGate(), threading.Event()

    def load():
        with guard_default_dtype(gate):
            torch.set_default_dtype(torch.float16)
            torch.set_default_dtype(torch.float32)
            switched.set()

    loading = threading.Thread(target=load)
    with gate.step():
        loading.start()
        while not switched.is_set():
            gate.yield_point()
            assert torch.get_default_dtype() is torch.float32
    loading.join()


def test_a_load_that_fails_restores_the_default_dtype():
    gate, usual = StepGate(), torch.set_default_dtype
    with pytest.raises(OSError, match="gone"), guard_default_dtype(gate):
        torch.set_default_dtype(torch.float16)
        raise OSError("gone")
    assert torch.get_default_dtype() is torch.float32
    assert torch.set_default_dtype is usual
    with gate.step():
        pass
