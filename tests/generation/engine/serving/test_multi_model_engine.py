"""Several models in one process, with fake engines and models, and loads that a test can block."""

from __future__ import annotations

import gc
import threading
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from generation.engine.serving.multi_model_engine import MultiModelEngine
from generation.errors import UserError
from generation.messages import Failed, FailureReason, Finished, Generate, Grid, Loaded, Loading, Progress, Unloaded
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.params import Params, PromptPart
from tests.support.timing import TIMEOUT_S

GRID = Grid((), b"", "png", 0.0)
MODEL_NAMES = ("A", "B", "C", "D")
REGISTRY = ModelRegistry(tuple(Model(name=name, ref=name) for name in MODEL_NAMES))


@pytest.fixture(autouse=True, scope="module")
def small_heap():
    """Exclude torch's objects from the garbage collection that follows every eviction."""
    gc.freeze()


class CountingEngine:
    """An engine that runs each job for its number of steps, and records whose steps were made."""

    def __init__(self, networks, emit, evict_idle_model):
        self.model, self._emit, self._steps = networks.model, emit, networks.steps
        self.evict_idle_model = evict_idle_model
        self.jobs = {}
        self.is_closed = False

    @property
    def busy(self):
        return bool(self.jobs)

    def add(self, request):
        assert not self.is_closed
        self.jobs[request.job_id] = request.params.num_inference_steps

    def cancel(self, job_id):
        if self.jobs.pop(job_id, None):
            self._emit(Failed(job_id, FailureReason.CANCELLED, "cancelled"))

    def step(self):
        self._steps.append(self.model.name)
        for job_id in list(self.jobs):
            self.jobs[job_id] -= 1
            self._emit(Progress(job_id, 1, 1))
            if self.jobs[job_id] == 0:
                del self.jobs[job_id]
                self._emit(Finished(job_id, GRID))

    def close(self):
        assert not self.jobs, "a busy model was evicted"
        self.is_closed = True


class FakeLoadedModel:
    def __init__(self, model, size, steps, places):
        self.model, self.size, self.steps, self._places = model, size, steps, places
        places[model.name].append("device")

    def create_engine(self, emit, evict_idle_model):
        return CountingEngine(self, emit, evict_idle_model)

    def move(self, device):
        self._places[self.model.name].append("RAM" if device.type == "cpu" else "device")


class FakeModelLoader:
    """Loads immediately, unless a model is in `blocked`; `errors` are raised, each once."""

    device = torch.device("meta")

    def __init__(self, sizes):
        self.sizes, self.steps, self.places = sizes, [], {name: [] for name in MODEL_NAMES}
        self.errors, self.blocked = {}, {}
        self.loads = Counter()

    def block(self, name):
        self.blocked[name] = threading.Event()
        return self.blocked[name]

    def expected_size(self, model):
        return self.sizes[model.name]

    def load(self, model, report):
        self.loads[model.name] += 1
        report(Loading("unet", 0, 1))
        if blocked := self.blocked.get(model.name):
            assert blocked.wait(TIMEOUT_S)
        if error := self.errors.pop(model.name, None):
            raise error
        return FakeLoadedModel(model, self.sizes[model.name], self.steps, self.places)


class MultiModelHarness:
    """An engine with `memory` bytes on the device and `spare` bytes in RAM, and its events."""

    def __init__(self, memory=100, spare=0, registry=REGISTRY, **sizes):
        self.loader = FakeModelLoader(dict.fromkeys(MODEL_NAMES, 10) | sizes)
        self.events = []
        self.engine = MultiModelEngine(registry, self.loader, self.events.append, memory, spare)
        self.orders = iter(range(1000))

    def submit(self, model, steps=3, job_id=None, order=None):
        order = next(self.orders) if order is None else order
        params = Params(
            parts=(PromptPart("x"),),
            width=8,
            height=8,
            seed=1,
            num_inference_steps=steps,
            guidance_scale=1.0,
            model=model,
        )
        request = Generate(job_id or f"{model}{order}", params, order, 0)
        self.engine.add(request)
        return request.job_id

    def generate(self, *models, steps=3):
        """Generate a job with each model, one after the other."""
        for model in models:
            job_id = self.submit(model, steps)
            self.run_until_idle()
            assert self.end_of(job_id) == Finished(job_id, GRID)

    def run_until_idle(self):
        """Step as the GPU process does, until there is nothing to do."""
        self.run_until(lambda: not self.engine.busy)

    def run_until(self, condition):
        for _ in range(2000):
            if condition():
                return
            self.engine.step()
        raise AssertionError("the condition was never met")

    def end_of(self, job_id):
        ends = [event for event in self.events if isinstance(event, Finished | Failed) and event.job_id == job_id]
        assert len(ends) <= 1
        return ends[0] if ends else None

    def events_of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def evicted(self):
        return [event.model for event in self.events_of(Unloaded)]

    @property
    def loaded(self):
        names = set()
        for event in self.events:
            if isinstance(event, Loaded):
                names.add(event.model.name)
            elif isinstance(event, Unloaded):
                names.discard(event.model)
        return names


def test_the_default_model_is_loaded_at_start_and_used_without_a_name():
    harness = MultiModelHarness()
    assert harness.engine.model.name == "A"
    assert not harness.engine.busy
    harness.generate("A", "")
    assert harness.loader.steps == ["A"] * 6
    assert harness.loaded == {"A"}


def test_another_model_is_loaded_on_request_and_stays():
    harness = MultiModelHarness()
    harness.generate("B", "A", "B")
    assert harness.loader.loads == {"A": 1, "B": 1}
    assert harness.events_of(Loading)[-1] == Loading("unet", 0, 1, "B")
    assert [event.model.name for event in harness.events_of(Loaded)] == ["A", "B"]
    assert harness.events_of(Loaded)[-1].seconds >= 0


def test_an_error_of_the_default_model_is_raised_to_the_caller():
    with pytest.raises(UserError, match="no such family"):
        loader = FakeModelLoader(dict.fromkeys(MODEL_NAMES, 10))
        loader.errors["A"] = UserError("no such family")
        MultiModelEngine(REGISTRY, loader, lambda _: None, 100)


def test_an_unknown_model_is_a_user_error():
    harness = MultiModelHarness()
    job_id = harness.submit("Z")
    assert harness.end_of(job_id).reason is FailureReason.USER_ERROR
    assert "Z" in harness.end_of(job_id).text
    assert not harness.engine.busy


def test_steps_of_one_model_continue_while_another_is_loaded():
    harness = MultiModelHarness()
    unblocked = harness.loader.block("B")
    ours, theirs = harness.submit("A", 30), harness.submit("B")
    harness.run_until(lambda: harness.end_of(ours))
    assert len(harness.loader.steps) == 30
    assert harness.end_of(theirs) is None
    assert harness.engine.busy
    unblocked.set()
    harness.run_until_idle()
    assert harness.end_of(theirs) == Finished(theirs, GRID)


@pytest.mark.parametrize(
    ("requested", "evicted"),
    [
        (["B", "C"], ["A"]),
        (["B", "A", "C"], ["B"]),
        (["B", "C", "A"], ["A", "B"]),
        (["B", "C", "D", "B"], ["A", "B", "C"]),
    ],
)
def test_the_least_recently_used_model_is_evicted(requested, evicted):
    harness = MultiModelHarness(memory=20)
    harness.generate(*requested)
    assert harness.evicted == evicted


@pytest.mark.parametrize(
    ("memory", "sizes", "loaded"),
    [
        (30, {}, {"A", "B", "C"}),
        (29, {}, {"B", "C"}),
        (30, {"C": 20}, {"B", "C"}),
        (30, {"C": 21}, {"C"}),
        (30, {"C": 500}, {"C"}),
        (1, {}, {"C"}),
    ],
)
def test_no_more_models_are_loaded_than_fit_but_always_one(memory, sizes, loaded):
    harness = MultiModelHarness(memory, **sizes)
    harness.generate("B", "C")
    assert harness.loaded == loaded


def test_a_models_measured_size_replaces_the_expected_one():
    harness = MultiModelHarness(memory=30)
    harness.loader.expected_size = lambda model: 1
    harness.generate("B", "C", "D")
    assert harness.loaded == {"A", "B", "C", "D"} - set(harness.evicted)
    assert harness.evicted == ["A"]


def test_a_busy_model_is_not_evicted_and_the_load_waits():
    harness = MultiModelHarness(memory=10)
    ours, theirs = harness.submit("A", 5), harness.submit("B")
    harness.run_until(lambda: harness.end_of(ours))
    assert harness.loader.loads == {"A": 1}
    harness.run_until_idle()
    assert harness.end_of(theirs) == Finished(theirs, GRID)
    assert harness.evicted == ["A"]


def test_later_jobs_do_not_hold_up_a_model_that_waits_for_memory():
    harness = MultiModelHarness(memory=10)
    harness.submit("A", 5)
    harness.engine.step()
    theirs = harness.submit("B")
    harness.engine.step()
    late = [harness.submit("A", 5) for _ in range(3)]
    harness.run_until(lambda: harness.end_of(theirs))
    assert not any(harness.end_of(job_id) for job_id in late)
    harness.run_until_idle()
    assert all(harness.end_of(job_id) == Finished(job_id, GRID) for job_id in late)
    assert harness.evicted == ["A", "B"]


def test_models_are_loaded_in_the_queues_order():
    harness = MultiModelHarness()
    unblocked = harness.loader.block("D")
    harness.submit("D", order=50)
    harness.engine.step()
    harness.submit("C", order=70)
    harness.submit("B", order=60)
    unblocked.set()
    harness.run_until_idle()
    assert [event.model.name for event in harness.events_of(Loaded)] == ["A", "D", "B", "C"]


def test_every_fourth_step_goes_to_the_model_of_the_second_job():
    harness = MultiModelHarness()
    harness.generate("B")
    del harness.loader.steps[:]
    first, second = harness.submit("B", 12), harness.submit("A", 12)
    harness.run_until(lambda: harness.end_of(first))
    assert Counter(harness.loader.steps) in ({"B": 12, "A": 3}, {"B": 12, "A": 4})
    assert harness.end_of(second) is None
    harness.run_until_idle()
    assert harness.loader.steps[-8:] == ["A"] * 8


def test_waiting_and_running_jobs_can_be_cancelled():
    harness = MultiModelHarness()
    unblocked = harness.loader.block("B")
    waiting, drawing = harness.submit("B"), harness.submit("A")
    harness.engine.step()
    for job_id in (waiting, drawing, "unknown"):
        harness.engine.cancel(job_id)
    assert harness.end_of(waiting).reason is harness.end_of(drawing).reason is FailureReason.CANCELLED
    unblocked.set()
    harness.run_until_idle()
    assert harness.loaded == {"A", "B"}
    assert "B" not in harness.loader.steps
    again = harness.submit("B", job_id=waiting)
    harness.events.clear()
    harness.run_until_idle()
    assert harness.end_of(again) == Finished(again, GRID)


def test_a_model_that_no_job_waits_for_any_more_is_not_loaded():
    harness = MultiModelHarness(memory=10)
    harness.submit("A", 5)
    harness.engine.step()
    harness.engine.cancel(harness.submit("B"))
    harness.run_until_idle()
    assert harness.loader.loads == {"A": 1}


@pytest.mark.parametrize(
    ("error", "reason", "text"),
    [
        (UserError("secret/path is pickled"), FailureReason.USER_ERROR, "B cannot be loaded at the moment"),
        (OSError("secret/path: no such file"), FailureReason.USER_ERROR, "B cannot be loaded at the moment"),
        (AttributeError("module diffusers has no attribute Secret"), FailureReason.USER_ERROR, "B cannot be loaded"),
        (RuntimeError("secret size mismatch"), FailureReason.USER_ERROR, "B cannot be loaded at the moment"),
        (torch.OutOfMemoryError("CUDA out of memory"), FailureReason.OUT_OF_MEMORY, "not enough memory to load B"),
    ],
)
def test_a_model_that_cannot_be_loaded_fails_only_the_jobs_waiting_for_it(error, reason, text, caplog):
    harness = MultiModelHarness()
    harness.engine.step()
    harness.loader.errors["B"] = error
    if reason is FailureReason.OUT_OF_MEMORY:  # then it is tried without the others
        harness.loader.load = fail_with_oom(harness.loader, "B", times=2)
    ours, theirs = harness.submit("A", 20), [harness.submit("B"), harness.submit("B")]
    harness.run_until_idle()
    assert harness.end_of(ours) == Finished(ours, GRID)
    for job_id in theirs:
        assert harness.end_of(job_id).reason is reason
        assert text in harness.end_of(job_id).text
        assert "secret" not in harness.end_of(job_id).text
    assert "B" in harness.evicted
    assert "B" in caplog.text
    harness.generate("B", "A")


def fail_with_oom(loader, name, times):
    """Make a model run out of memory `times` times."""
    load, left = loader.load, [times]

    def refuse(model, report):
        if model.name == name and left[0]:
            left[0] -= 1
            raise torch.OutOfMemoryError("CUDA out of memory")
        loader.errors.pop(name, None)
        return load(model, report)

    return refuse


def test_a_model_that_ran_out_of_memory_is_retried_once_with_all_of_it():
    harness = MultiModelHarness()
    harness.generate("C")
    harness.loader.load = fail_with_oom(harness.loader, "B", times=1)
    ours, theirs = harness.submit("A", 5), harness.submit("B")
    harness.run_until_idle()
    assert harness.end_of(ours) == Finished(ours, GRID)
    assert harness.end_of(theirs) == Finished(theirs, GRID)
    assert harness.loaded == {"B"}
    harness.generate("A")
    assert harness.loaded == {"A", "B"}


def test_a_model_no_job_waits_for_is_not_retried_after_out_of_memory():
    harness = MultiModelHarness()
    harness.loader.load = fail_with_oom(harness.loader, "B", times=1)
    job_id = harness.submit("B")
    harness.engine.step()
    harness.engine.cancel(job_id)
    harness.run_until_idle()
    assert harness.evicted == ["B"]
    assert not harness.engine.busy


def test_a_device_error_during_loading_is_raised_by_a_step():
    harness = MultiModelHarness()
    harness.loader.errors["B"] = RuntimeError("CUDA error: an illegal memory access")
    harness.submit("B")
    with pytest.raises(RuntimeError, match="illegal memory access"):
        harness.run_until_idle()


def test_an_evicted_model_is_offloaded_to_ram_while_it_fits_and_restored():
    harness = MultiModelHarness(memory=10, spare=20)
    harness.generate("B", "C", "D", "C", "A")
    assert harness.loader.loads == {"A": 2, "B": 1, "C": 1, "D": 1}
    assert harness.loader.places["C"] == ["device", "RAM", "device", "RAM"]
    assert harness.loader.places["A"] == ["device", "RAM", "device"]
    assert Loading("from RAM", 0, 1, "C") in harness.events


def test_a_model_too_large_for_ram_is_loaded_from_its_files():
    harness = MultiModelHarness(memory=10, spare=9)
    harness.generate("B", "A")
    assert harness.loader.loads == {"A": 2, "B": 1}
    assert "RAM" not in harness.loader.places["A"]


def test_running_out_of_memory_in_a_step_evicts_idle_models():
    harness = MultiModelHarness(spare=10)
    harness.generate("B", "C")
    ours = harness.submit("A", 5)
    harness.engine.step()
    engine = harness.engine._loaded["A"].engine
    assert [engine.evict_idle_model() for _ in range(3)] == [True, True, False]
    assert harness.evicted == ["B", "C"]
    assert harness.loader.places["C"] == ["device", "RAM"]
    harness.run_until_idle()
    assert harness.end_of(ours) == Finished(ours, GRID)
    harness.generate("B", "C")
    assert harness.loaded == {"A", "B", "C"}


def test_a_step_evicts_no_model_while_another_is_loaded():
    harness = MultiModelHarness()
    harness.generate("B")
    unblocked = harness.loader.block("C")
    harness.submit("A", 5)
    harness.submit("C")
    harness.engine.step()
    assert not harness.engine._loaded["A"].engine.evict_idle_model()
    unblocked.set()
    harness.run_until_idle()


def test_closing_ends_every_engine_even_of_a_model_just_loaded():
    harness = MultiModelHarness()
    harness.generate("B")
    unblocked = harness.loader.block("C")
    harness.submit("C")
    harness.engine.step()
    harness.engine.cancel("C1")
    engines = [cached.engine for cached in harness.engine._loaded.values()]
    unblocked.set()
    harness.engine.close()
    assert all(engine.is_closed for engine in engines)
    assert harness.loader.loads["C"] == 1


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(MODEL_NAMES), st.integers(1, 4)),
        st.tuples(st.sampled_from(["cancel", "step", "fail"]), st.integers(0, 9)),
    ),
    max_size=25,
)


@settings(max_examples=60)
@given(ACTIONS, st.integers(5, 45), st.integers(0, 30))
def test_every_job_ends_once_and_no_memory_budget_is_exceeded(actions, memory, spare):
    harness = MultiModelHarness(memory, spare)
    job_ids = []
    for action, number in actions:
        match action:
            case "step":
                harness.engine.step()
            case "cancel" if job_ids:
                harness.engine.cancel(job_ids[number % len(job_ids)])
            case "fail":
                harness.loader.errors[MODEL_NAMES[1 + number % 3]] = OSError("gone")
            case "A" | "B" | "C" | "D":
                job_ids.append(harness.submit(action, number))
        assert 10 * len(harness.loaded) <= max(memory, 10)
    harness.run_until_idle()
    assert all(harness.end_of(job_id) for job_id in job_ids)
    assert 10 * len(harness.loaded) <= max(memory, 10)
