"""Several models in one process: engines and networks are plain values here, and loading waits until a test lets it."""

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

GRID = Grid((), b"", "png", 0.0)
PATIENCE = 20.0
NAMES = ("A", "B", "C", "D")
REPERTOIRE = ModelRegistry(tuple(Model(name=name, ref=name) for name in NAMES))


@pytest.fixture(autouse=True, scope="module")
def small_heap():
    """Spare the collector, who is called when a model has left, all of torch's objects."""
    gc.freeze()
    yield
    gc.unfreeze()


class Painter:
    """An engine that draws each job in as many steps as it asks for, and writes down whose steps were made."""

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
        assert not self.jobs, "a model has left that still draws"
        self.is_closed = True


class Networks:
    def __init__(self, model, size, steps, places):
        self.model, self.size, self.steps, self._places = model, size, steps, places
        places[model.name].append("device")

    def create_engine(self, emit, evict_idle_model):
        return Painter(self, emit, evict_idle_model)

    def move(self, device):
        self._places[self.model.name].append("RAM" if device.type == "cpu" else "device")


class Maker:
    """Loads at once, unless a model is in `held_up`; `errors` are raised, each once."""

    device = torch.device("meta")

    def __init__(self, sizes):
        self.sizes, self.steps, self.places = sizes, [], {name: [] for name in NAMES}
        self.errors, self.held_up = {}, {}
        self.loads = Counter()

    def hold_up(self, name):
        self.held_up[name] = threading.Event()
        return self.held_up[name]

    def expected_size(self, model):
        return self.sizes[model.name]

    def load(self, model, report):
        self.loads[model.name] += 1
        report(Loading("unet", 0, 1))
        if held_up := self.held_up.get(model.name):
            assert held_up.wait(PATIENCE)
        if error := self.errors.pop(model.name, None):
            raise error
        return Networks(model, self.sizes[model.name], self.steps, self.places)


class Stage:
    """An ensemble with memory for `memory` bytes, and what it told."""

    def __init__(self, memory=100, spare=0, repertoire=REPERTOIRE, **sizes):
        self.maker = Maker(dict.fromkeys(NAMES, 10) | sizes)
        self.events = []
        self.ensemble = MultiModelEngine(repertoire, self.maker, self.events.append, memory, spare)
        self.orders = iter(range(1000))

    def ask(self, model, steps=3, job_id=None, order=None):
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
        self.ensemble.add(request)
        return request.job_id

    def draw(self, *models, steps=3):
        """Draw a job of each model, one after the other."""
        for model in models:
            job_id = self.ask(model, steps)
            self.rest()
            assert self.end_of(job_id) == Finished(job_id, GRID)

    def rest(self):
        """Step as the child process does, until there is nothing to do."""
        self.until(lambda: not self.ensemble.busy)

    def until(self, condition):
        for _ in range(2000):
            if condition():
                return
            self.ensemble.step()
        raise AssertionError("it never came to that")

    def end_of(self, job_id):
        ends = [event for event in self.events if isinstance(event, Finished | Failed) and event.job_id == job_id]
        assert len(ends) <= 1
        return ends[0] if ends else None

    def told(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def left(self):
        return [event.model for event in self.told(Unloaded)]

    @property
    def held(self):
        names = set()
        for event in self.events:
            if isinstance(event, Loaded):
                names.add(event.model.name)
            elif isinstance(event, Unloaded):
                names.discard(event.model)
        return names


def test_the_default_model_is_there_from_the_start_and_draws_where_nothing_is_said():
    stage = Stage()
    assert stage.ensemble.model.name == "A"
    assert not stage.ensemble.busy
    stage.draw("A", "")
    assert stage.maker.steps == ["A"] * 6
    assert stage.held == {"A"}


def test_another_model_is_loaded_when_somebody_asks_for_it_and_stays():
    stage = Stage()
    stage.draw("B", "A", "B")
    assert stage.maker.loads == {"A": 1, "B": 1}
    assert stage.told(Loading)[-1] == Loading("unet", 0, 1, "B")
    assert [event.model.name for event in stage.told(Loaded)] == ["A", "B"]
    assert stage.told(Loaded)[-1].seconds >= 0


def test_an_error_of_the_default_model_is_the_callers():
    with pytest.raises(UserError, match="no such family"):
        maker = Maker(dict.fromkeys(NAMES, 10))
        maker.errors["A"] = UserError("no such family")
        MultiModelEngine(REPERTOIRE, maker, lambda _: None, 100)


def test_a_model_that_is_not_here_is_a_complaint():
    stage = Stage()
    job_id = stage.ask("Z")
    assert stage.end_of(job_id).reason is FailureReason.USER_ERROR
    assert "Z" in stage.end_of(job_id).text
    assert not stage.ensemble.busy


def test_steps_of_one_model_go_on_while_another_is_loaded():
    stage = Stage()
    lets_go = stage.maker.hold_up("B")
    ours, theirs = stage.ask("A", 30), stage.ask("B")
    stage.until(lambda: stage.end_of(ours))
    assert len(stage.maker.steps) == 30
    assert stage.end_of(theirs) is None
    assert stage.ensemble.busy
    lets_go.set()
    stage.rest()
    assert stage.end_of(theirs) == Finished(theirs, GRID)


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        (["B", "C"], ["A"]),
        (["B", "A", "C"], ["B"]),
        (["B", "C", "A"], ["A", "B"]),
        (["B", "C", "D", "B"], ["A", "B", "C"]),
    ],
)
def test_the_model_least_recently_used_makes_room(asked, left):
    stage = Stage(memory=20)
    stage.draw(*asked)
    assert stage.left == left


@pytest.mark.parametrize(
    ("memory", "sizes", "held"),
    [
        (30, {}, {"A", "B", "C"}),
        (29, {}, {"B", "C"}),
        (30, {"C": 20}, {"B", "C"}),
        (30, {"C": 21}, {"C"}),
        (30, {"C": 500}, {"C"}),
        (1, {}, {"C"}),
    ],
)
def test_no_more_are_held_than_fit_but_one_is_always(memory, sizes, held):
    stage = Stage(memory, **sizes)
    stage.draw("B", "C")
    assert stage.held == held


def test_what_a_model_really_takes_counts_once_it_is_known():
    stage = Stage(memory=30)
    stage.maker.expected_size = lambda model: 1
    stage.draw("B", "C", "D")
    assert stage.held == {"A", "B", "C", "D"} - set(stage.left)
    assert stage.left == ["A"]


def test_a_model_that_draws_does_not_leave_and_the_load_waits_for_room():
    stage = Stage(memory=10)
    ours, theirs = stage.ask("A", 5), stage.ask("B")
    stage.until(lambda: stage.end_of(ours))
    assert stage.maker.loads == {"A": 1}
    stage.rest()
    assert stage.end_of(theirs) == Finished(theirs, GRID)
    assert stage.left == ["A"]


def test_who_comes_later_does_not_keep_a_model_from_getting_room():
    stage = Stage(memory=10)
    stage.ask("A", 5)
    stage.ensemble.step()
    theirs = stage.ask("B")
    stage.ensemble.step()
    late = [stage.ask("A", 5) for _ in range(3)]
    stage.until(lambda: stage.end_of(theirs))
    assert not any(stage.end_of(job_id) for job_id in late)
    stage.rest()
    assert all(stage.end_of(job_id) == Finished(job_id, GRID) for job_id in late)
    assert stage.left == ["A", "B"]


def test_the_model_of_the_first_job_in_the_queues_order_comes_first():
    stage = Stage()
    lets_go = stage.maker.hold_up("D")
    stage.ask("D", order=50)
    stage.ensemble.step()
    stage.ask("C", order=70)
    stage.ask("B", order=60)
    lets_go.set()
    stage.rest()
    assert [event.model.name for event in stage.told(Loaded)] == ["A", "D", "B", "C"]


def test_most_steps_are_made_with_the_model_of_the_first_job_and_every_fourth_with_the_other():
    stage = Stage()
    stage.draw("B")
    del stage.maker.steps[:]
    first, second = stage.ask("B", 12), stage.ask("A", 12)
    stage.until(lambda: stage.end_of(first))
    assert Counter(stage.maker.steps) in ({"B": 12, "A": 3}, {"B": 12, "A": 4})
    assert stage.end_of(second) is None
    stage.rest()
    assert stage.maker.steps[-8:] == ["A"] * 8


def test_a_cancelled_job_is_let_go_wherever_it_is():
    stage = Stage()
    lets_go = stage.maker.hold_up("B")
    waiting, drawing = stage.ask("B"), stage.ask("A")
    stage.ensemble.step()
    for job_id in (waiting, drawing, "unknown"):
        stage.ensemble.cancel(job_id)
    assert stage.end_of(waiting).reason is stage.end_of(drawing).reason is FailureReason.CANCELLED
    lets_go.set()
    stage.rest()
    assert stage.held == {"A", "B"}
    assert "B" not in stage.maker.steps
    again = stage.ask("B", job_id=waiting)
    stage.events.clear()
    stage.rest()
    assert stage.end_of(again) == Finished(again, GRID)


def test_a_model_that_nobody_waits_for_any_more_is_not_loaded():
    stage = Stage(memory=10)
    stage.ask("A", 5)
    stage.ensemble.step()
    stage.ensemble.cancel(stage.ask("B"))
    stage.rest()
    assert stage.maker.loads == {"A": 1}


@pytest.mark.parametrize(
    ("error", "reason", "words"),
    [
        (UserError("secret/path is pickled"), FailureReason.USER_ERROR, "B cannot be loaded at the moment"),
        (OSError("secret/path: no such file"), FailureReason.USER_ERROR, "B cannot be loaded at the moment"),
        (AttributeError("module diffusers has no attribute Secret"), FailureReason.USER_ERROR, "B cannot be loaded"),
        (RuntimeError("secret size mismatch"), FailureReason.USER_ERROR, "B cannot be loaded at the moment"),
        (torch.OutOfMemoryError("CUDA out of memory"), FailureReason.OUT_OF_MEMORY, "not enough memory to draw with B"),
    ],
)
def test_a_model_that_cannot_be_loaded_fails_who_waits_for_it_and_nobody_else(error, reason, words, caplog):
    stage = Stage()
    stage.ensemble.step()
    stage.maker.errors["B"] = error
    if reason is FailureReason.OUT_OF_MEMORY:  # then it is tried without the others
        stage.maker.load = running_out(stage.maker, "B", times=2)
    ours, theirs = stage.ask("A", 20), [stage.ask("B"), stage.ask("B")]
    stage.rest()
    assert stage.end_of(ours) == Finished(ours, GRID)
    for job_id in theirs:
        assert stage.end_of(job_id).reason is reason
        assert words in stage.end_of(job_id).text
        assert "secret" not in stage.end_of(job_id).text
    assert "B" in stage.left
    assert "B" in caplog.text
    stage.draw("B", "A")


def running_out(maker, name, times):
    """Let a model run out of memory so often."""
    load, left = maker.load, [times]

    def refuse(model, report):
        if model.name == name and left[0]:
            left[0] -= 1
            raise torch.OutOfMemoryError("CUDA out of memory")
        maker.errors.pop(name, None)
        return load(model, report)

    return refuse


def test_a_model_for_which_memory_ran_out_is_tried_once_more_when_it_can_have_all():
    stage = Stage()
    stage.draw("C")
    stage.maker.load = running_out(stage.maker, "B", times=1)
    ours, theirs = stage.ask("A", 5), stage.ask("B")
    stage.rest()
    assert stage.end_of(ours) == Finished(ours, GRID)
    assert stage.end_of(theirs) == Finished(theirs, GRID)
    assert stage.held == {"B"}
    stage.draw("A")
    assert stage.held == {"A", "B"}


def test_a_model_that_nobody_waits_for_when_memory_runs_out_is_not_on_its_way_any_more():
    stage = Stage()
    stage.maker.load = running_out(stage.maker, "B", times=1)
    job_id = stage.ask("B")
    stage.ensemble.step()
    stage.ensemble.cancel(job_id)
    stage.rest()
    assert stage.left == ["B"]
    assert not stage.ensemble.busy


def test_a_device_that_fails_while_a_model_is_loaded_comes_out_of_a_step():
    stage = Stage()
    stage.maker.errors["B"] = RuntimeError("CUDA error: an illegal memory access")
    stage.ask("B")
    with pytest.raises(RuntimeError, match="illegal memory access"):
        stage.rest()


def test_a_model_that_leaves_goes_to_ram_as_long_as_it_fits_and_comes_back_from_there():
    stage = Stage(memory=10, spare=20)
    stage.draw("B", "C", "D", "C", "A")
    assert stage.maker.loads == {"A": 2, "B": 1, "C": 1, "D": 1}
    assert stage.maker.places["C"] == ["device", "RAM", "device", "RAM"]
    assert stage.maker.places["A"] == ["device", "RAM", "device"]
    assert Loading("from RAM", 0, 1, "C") in stage.events


def test_a_model_too_large_for_ram_is_loaded_anew():
    stage = Stage(memory=10, spare=9)
    stage.draw("B", "A")
    assert stage.maker.loads == {"A": 2, "B": 1}
    assert "RAM" not in stage.maker.places["A"]


def test_where_memory_runs_out_in_a_step_those_leave_that_draw_nothing():
    stage = Stage(spare=10)
    stage.draw("B", "C")
    ours = stage.ask("A", 5)
    stage.ensemble.step()
    engine = stage.ensemble._loaded["A"].engine
    assert [engine.evict_idle_model() for _ in range(3)] == [True, True, False]
    assert stage.left == ["B", "C"]
    assert stage.maker.places["C"] == ["device", "RAM"]
    stage.rest()
    assert stage.end_of(ours) == Finished(ours, GRID)
    stage.draw("B", "C")
    assert stage.held == {"A", "B", "C"}


def test_nobody_else_leaves_while_a_model_is_on_its_way():
    stage = Stage()
    stage.draw("B")
    lets_go = stage.maker.hold_up("C")
    stage.ask("A", 5)
    stage.ask("C")
    stage.ensemble.step()
    assert not stage.ensemble._loaded["A"].engine.evict_idle_model()
    lets_go.set()
    stage.rest()


def test_closing_ends_every_engine_also_of_a_model_that_has_just_come():
    stage = Stage()
    stage.draw("B")
    lets_go = stage.maker.hold_up("C")
    stage.ask("C")
    stage.ensemble.step()
    stage.ensemble.cancel("C1")
    engines = [held.engine for held in stage.ensemble._loaded.values()]
    lets_go.set()
    stage.ensemble.close()
    assert all(engine.is_closed for engine in engines)
    assert stage.maker.loads["C"] == 1


ACTS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(NAMES), st.integers(1, 4)),
        st.tuples(st.sampled_from(["cancel", "step", "fail"]), st.integers(0, 9)),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=60)
@given(ACTS, st.integers(5, 45), st.integers(0, 30))
def test_whatever_is_asked_every_job_ends_once_and_no_memory_is_overdrawn(acts, memory, spare):
    stage = Stage(memory, spare)
    asked = []
    for act, number in acts:
        match act:
            case "step":
                stage.ensemble.step()
            case "cancel" if asked:
                stage.ensemble.cancel(asked[number % len(asked)])
            case "fail":
                stage.maker.errors[NAMES[1 + number % 3]] = OSError("gone")
            case "A" | "B" | "C" | "D":
                asked.append(stage.ask(act, number))
        assert 10 * len(stage.held) <= max(memory, 10)
    stage.rest()
    assert all(stage.end_of(job_id) for job_id in asked)
    assert 10 * len(stage.held) <= max(memory, 10)
