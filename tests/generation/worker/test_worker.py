"""The worker with a real child process and an engine that follows a script."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from generation.errors import JobCancelled, UserError, WorkerCrashed
from generation.messages import Generate, Loading, Progress, Ready
from generation.models.registry import ModelRegistry
from generation.params import Params, PromptPart
from generation.worker import process
from generation.worker.process import describe_exit
from generation.worker.worker import Broken, LocalWorker, Restarting
from tests.support import scripted_engine
from tests.support.fork_servers import forked_workers
from tests.support.scripted_engine import FOREVER
from tests.support.timing import TIMEOUT_S

ROOT = Path(__file__).parents[3]
numbers = count()
SCRIPTED_REGISTRY = ModelRegistry.from_refs(["somebody/scripted"])


def request(word, steps=3, source=None, job_id=None):
    params = Params(
        parts=(PromptPart(word),), width=64, height=64, seed=1, num_inference_steps=steps, guidance_scale=1.0
    )
    return Generate(job_id or f"{next(numbers):012x}", params, order=0, upload_limit=10**7, source=source)


def make_worker(load=scripted_engine.load, retry_after=(0.0, 0.0, 30.0), **settings):
    return LocalWorker(SCRIPTED_REGISTRY, "cpu", 1, load=load, retry_after=retry_after, **settings)


@asynccontextmanager
async def running(worker):
    await worker.start()
    try:
        yield worker
    finally:
        await worker.close()
        assert not multiprocessing.active_children()


@pytest.fixture(scope="module", autouse=True)
def _forked_processes():
    with forked_workers([scripted_engine.__name__]):
        yield


@pytest.fixture
async def worker():
    async with running(make_worker()) as worker:
        yield worker


def ignore(_):
    pass


async def wait_for_state(worker, condition):
    reached = asyncio.Event()

    def check():
        if condition(worker.state):
            reached.set()

    worker.subscribe(check)
    check()
    await asyncio.wait_for(reached.wait(), TIMEOUT_S)


class Started:
    """An `on_progress` callback that records steps, and lets a test wait for the first one."""

    def __init__(self):
        self.steps = []
        self.first = asyncio.Event()

    def __call__(self, progress):
        self.steps.append(progress.step)
        self.first.set()


async def start_job(worker, word, **settings):
    """Start a job and return once it has made a step."""
    started = Started()
    task = asyncio.create_task(worker.generate(request(word, FOREVER, **settings), started))
    await asyncio.wait_for(started.first.wait(), TIMEOUT_S)
    return task, started


def child_pid():
    [child] = multiprocessing.active_children()
    return child.pid


async def can_generate(worker):
    return (await worker.generate(request("fine"), ignore)).tiles == (b"fine",)


async def test_a_job_returns_its_grid_and_reports_progress_in_order(worker):
    seen = []
    job = request("a fox", steps=5)
    grid = await worker.generate(job, seen.append)
    assert grid.tiles == (b"a fox",)
    assert seen == [Progress(job.job_id, step, 5, b"preview") for step in range(1, 6)]


async def test_several_jobs_run_at_once_and_each_gets_its_own_grid(worker):
    long, started = await start_job(worker, "long")
    grids = await asyncio.gather(*(worker.generate(request(word, steps=4), ignore) for word in ("a", "b", "c")))
    assert [grid.tiles[0] for grid in grids] == [b"a", b"b", b"c"]
    assert not long.done()
    assert started.steps == sorted(started.steps)
    long.cancel()
    await asyncio.wait({long})


async def test_the_loaded_models_settings_replace_the_described_ones(worker):
    assert worker.registry.default.native_size == 512
    await wait_for_state(worker, lambda state: isinstance(state, Ready))
    assert worker.registry.default.native_size == 64
    assert worker.state.device == "cpu:1"


@pytest.mark.parametrize(("device", "wanted", "given"), [("cuda", 0, 6), ("cpu", 0, 2), ("else", 0, 1), ("cuda", 3, 3)])
async def test_the_capacity_depends_on_the_device_unless_configured(device, wanted, given):
    async with running(LocalWorker(SCRIPTED_REGISTRY, device, load=scripted_engine.load, capacity=wanted)) as worker:
        await wait_for_state(worker, lambda state: isinstance(state, Ready))
        assert worker.capacity == given


async def test_loading_is_reported_part_by_part():
    worker = make_worker()
    states = []
    worker.subscribe(lambda: states.append(worker.state))
    async with running(worker):
        assert await can_generate(worker)
    assert states[:2] == [Loading("text_encoder", 0, 2, "scripted"), Loading("unet", 1, 2, "scripted")]
    assert isinstance(states[2], Ready)


@pytest.mark.parametrize(
    ("word", "error", "text"),
    [
        ("complain", UserError, "it is complaint"),
        ("out of memory", UserError, "it is out of memory"),
        ("drop", JobCancelled, "it is cancelled"),
        ("fail", RuntimeError, "it is internal"),
    ],
)
async def test_a_failed_job_raises_the_engines_error_and_the_process_goes_on(worker, word, error, text):
    neighbour, _ = await start_job(worker, "neighbour")
    pid = child_pid()
    with pytest.raises(error, match=text):
        await worker.generate(request(word), ignore)
    assert await can_generate(worker)
    assert child_pid() == pid
    assert not neighbour.done()
    neighbour.cancel()
    await asyncio.wait({neighbour})


async def test_a_job_cancelled_before_the_model_is_loaded_is_never_sent(worker):
    task = asyncio.create_task(worker.generate(request("crash", FOREVER), ignore))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await can_generate(worker)


async def test_a_running_job_that_is_cancelled_reports_nothing_more(worker):
    task, started = await start_job(worker, "stubborn")
    task.cancel()
    reported = len(started.steps)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await can_generate(worker)
    assert len(started.steps) == reported


async def test_a_cancelled_job_holds_its_slot_until_the_engine_releases_it(worker):
    neighbour, witness = await start_job(worker, "witness")
    task, started = await start_job(worker, "stubborn")
    earlier = witness.steps[-1] - started.steps[-1]  # steps that the neighbour made before; now both make the same
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert witness.steps[-1] - earlier > 15  # it was stubborn for 20 steps, which its neighbour has counted
    neighbour.cancel()
    await asyncio.wait({neighbour})


async def test_a_job_cancelled_just_as_its_image_finishes_is_still_cancelled(worker):
    task = None

    def cancel_at_the_end(progress):
        if progress.step == progress.total:
            task.cancel()

    task = asyncio.create_task(worker.generate(request("fine"), cancel_at_the_end))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await can_generate(worker)


async def test_the_same_job_can_be_submitted_again_after_it_was_cancelled(worker):
    task, _ = await start_job(worker, "long", job_id="0" * 12)
    task.cancel()
    await asyncio.wait({task})
    assert (await worker.generate(request("fine", job_id="0" * 12), ignore)).tiles == (b"fine",)


async def test_kill_9_mid_job_is_reported_to_waiters_and_the_process_restarts(worker, caplog):
    tasks = [(await start_job(worker, word))[0] for word in ("one", "two")]
    os.kill(child_pid(), signal.SIGKILL)
    for task in tasks:
        with pytest.raises(WorkerCrashed, match="SIGKILL"):
            await asyncio.wait_for(task, TIMEOUT_S)
    assert isinstance(worker.state, Restarting)
    assert await can_generate(worker)
    assert "the GPU process was killed by SIGKILL" in caplog.text


async def test_a_job_cancelled_as_the_process_dies_is_cancelled(worker):
    task, _ = await start_job(worker, "stubborn")
    os.kill(child_pid(), signal.SIGKILL)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, TIMEOUT_S)
    assert await can_generate(worker)


@pytest.mark.parametrize("word", ["crash", "crash in a thread"])
async def test_an_unexpected_error_ends_the_process_and_logs_the_traceback(caplog, capfd, monkeypatch, word):
    monkeypatch.setattr(process, "multiprocessing", multiprocessing)  # a forked process writes where its server does
    async with running(make_worker()) as worker:
        with pytest.raises(WorkerCrashed, match=r"ValueError: CUDA error: an illegal memory access$"):
            await worker.generate(request(word, FOREVER), ignore)
        assert await can_generate(worker)
    assert "the GPU process ended with exit code 1: ValueError: CUDA error: an illegal memory access" in caplog.text
    written = capfd.readouterr().err
    assert "Traceback (most recent call last)" in written
    assert "in _crash" in written


async def test_a_hung_step_is_killed_even_while_other_jobs_keep_arriving():
    async with running(make_worker()) as worker:
        assert await can_generate(worker)
        worker._step_watchdog._limit = 1.0
        hung = asyncio.create_task(worker.generate(request("hang"), ignore))
        others = []
        while not hung.done() and len(others) < 100:
            others.append(asyncio.create_task(worker.generate(request("fine"), ignore)))
            await asyncio.wait({hung}, timeout=0.1)
        assert len(others) < 100
        with pytest.raises(WorkerCrashed, match=r"no response for 1 s"):
            await hung
        worker._step_watchdog._limit = TIMEOUT_S
        assert await can_generate(worker)
        ends = await asyncio.gather(*others, return_exceptions=True)
        assert {type(end) for end in ends[:3]} == {WorkerCrashed}


async def test_an_idle_process_may_be_silent_forever():
    async with running(make_worker()) as worker:
        assert await can_generate(worker)
        pid = child_pid()
        worker._step_watchdog._limit = 0.1
        await asyncio.sleep(0.3)
        worker._step_watchdog._limit = TIMEOUT_S
        assert child_pid() == pid
        assert await can_generate(worker)


HERE, OTHER = ModelRegistry.from_refs(["somebody/scripted", "somebody/other"]).models
MULTI_MODEL_REGISTRY = ModelRegistry((HERE, OTHER))


def make_multi_model_worker(**settings):
    """Return a worker whose process has two models, one of which is not loaded yet."""
    return LocalWorker(
        MULTI_MODEL_REGISTRY, "cpu", 1, load=scripted_engine.load_multi_model, retry_after=(0.0,), **settings
    )


def request_other(word, steps=3):
    wanted = request(word, steps)
    return replace(wanted, params=replace(wanted.params, model=OTHER.name))


async def test_a_model_loaded_later_reports_each_part_and_then_its_real_values():
    async with running(make_multi_model_worker()) as worker:
        assert await can_generate(worker)
        assert worker.loaded_models == {"scripted"}
        seen = []
        worker.subscribe(lambda: seen.append((worker.state, worker.loading, worker.loaded_models)))
        assert (await worker.generate(request_other("fine"), ignore)).tiles == (b"fine",)
        assert [loading for _, loading, _ in seen] == [Loading("unet", 0, FOREVER, "other"), None]
        assert {type(state) for state, *_ in seen} == {Ready}
        assert worker.loaded_models == {"scripted", "other"}
        assert worker.load_seconds == {"other": 1.5}
        assert [model.native_size for model in worker.registry.models] == [64, 128]
        os.kill(child_pid(), signal.SIGKILL)
        await wait_for_state(worker, lambda state: isinstance(state, Restarting))
        assert worker.loaded_models == frozenset()


async def test_a_model_that_cannot_be_loaded_does_not_affect_the_others():
    async with running(make_multi_model_worker()) as worker:
        with pytest.raises(UserError, match="it cannot be loaded"):
            await worker.generate(request_other("fail to load"), ignore)
        assert worker.loading is None
        assert worker.loaded_models == {"scripted"}
        assert await can_generate(worker)


async def test_a_job_of_an_unknown_model_is_refused(worker):
    with pytest.raises(UserError, match="other, which is no longer installed"):
        await worker.generate(request_other("fine"), ignore)


async def test_loading_may_take_longer_than_a_step():
    async with running(make_multi_model_worker()) as worker:
        assert await can_generate(worker)
        pid = child_pid()
        worker._step_watchdog._limit = 1.0

        def loaded() -> None:
            if len(worker.loaded_models) == 2:
                worker._step_watchdog._limit = TIMEOUT_S

        worker.subscribe(loaded)
        assert (await worker.generate(request_other("load slowly"), ignore)).tiles == (b"load slowly",)
        assert child_pid() == pid


@pytest.mark.parametrize(
    ("ours", "theirs", "limits"),
    [
        ("long", "hang while loading", {"load_timeout": 1.0}),
        ("hang", "load forever", {"step_timeout": 1.0}),
    ],
)
async def test_step_progress_does_not_hide_a_hung_load_nor_the_reverse(ours, theirs, limits):
    async with running(make_multi_model_worker()) as worker:
        assert await can_generate(worker)
        worker._load_watchdog._limit = limits.get("load_timeout", 60.0)
        worker._step_watchdog._limit = limits.get("step_timeout", 60.0)
        tasks = [
            asyncio.create_task(worker.generate(request(ours, FOREVER), ignore)),
            asyncio.create_task(worker.generate(request_other(theirs), ignore)),
        ]
        for task in tasks:
            with pytest.raises(WorkerCrashed, match="no response for 1 s"):
                await asyncio.wait_for(task, TIMEOUT_S)


async def test_a_load_that_hangs_is_killed_and_retried(monkeypatch):
    monkeypatch.setattr("generation.worker.worker.EXIT_GRACE", 0.1)
    worker = make_worker(scripted_engine.load_forever, load_timeout=1.0)
    async with running(worker):
        await wait_for_state(worker, lambda state: state == Restarting("no response for 1 s"))
        worker._load_watchdog._limit = TIMEOUT_S
        await wait_for_state(worker, lambda state: isinstance(state, Loading))


async def test_jobs_wait_while_the_model_fails_to_load_at_first(tmp_path):
    async with running(make_worker(partial(scripted_engine.load_with_failures, tmp_path, range(2)))) as worker:
        assert await can_generate(worker)
    assert len(list(tmp_path.iterdir())) == 3


async def test_a_model_that_cannot_be_loaded_is_not_retried_without_end(tmp_path, caplog):
    load = partial(scripted_engine.load_with_failures, tmp_path, range(1000))
    async with running(make_worker(load)) as worker:
        with pytest.raises(UserError, match="the model cannot be loaded"):
            await worker.generate(request("fine"), ignore)
        assert worker.state == Broken("OSError: no such model: attempt 2")
        with pytest.raises(UserError, match="the model cannot be loaded"):
            await worker.generate(request("fine"), ignore)
    assert len(list(tmp_path.iterdir())) == 3
    assert "scripted could not be loaded; next try in 30 s" in caplog.text


async def test_a_broken_worker_recovers_when_the_model_can_be_loaded(tmp_path):
    load = partial(scripted_engine.load_with_failures, tmp_path, range(2))
    worker = make_worker(load, retry_after=(0.0,))
    states = []
    worker.subscribe(lambda: states.append(type(worker.state)))
    async with running(worker):
        with pytest.raises(UserError):
            await worker.generate(request("fine"), ignore)
        await wait_for_state(worker, lambda state: isinstance(state, Ready))
        assert await can_generate(worker)
    assert states == [Broken, Broken, Ready]


async def test_only_failed_loads_in_a_row_make_a_worker_broken(tmp_path):
    load = partial(scripted_engine.load_with_failures, tmp_path, {0, 2})
    async with running(make_worker(load, retry_after=(0.0, 30.0))) as worker:
        assert await can_generate(worker)
        os.kill(child_pid(), signal.SIGKILL)
        await wait_for_state(worker, lambda state: isinstance(state, Restarting))
        assert await can_generate(worker)
    assert len(list(tmp_path.iterdir())) == 4


async def test_a_worker_that_crashes_without_finishing_a_job_waits_before_it_restarts():
    async with running(make_worker(retry_after=(30.0, 60.0))) as worker:
        for _ in range(2):
            with pytest.raises(WorkerCrashed):
                await worker.generate(request("crash"), ignore)
            assert await can_generate(worker), "the first crash after a finished job costs no time"
        for _ in range(2):
            await wait_for_state(worker, lambda state: isinstance(state, Ready))
            with pytest.raises(WorkerCrashed):
                await worker.generate(request("crash"), ignore)
        await asyncio.sleep(0.1)
        assert isinstance(worker.state, Restarting)
        assert not multiprocessing.active_children()


async def test_a_model_that_is_refused_is_not_retried():
    async with running(make_worker(scripted_engine.load_another_family)) as worker:
        with pytest.raises(UserError, match="the model cannot be loaded"):
            await worker.generate(request("fine"), ignore)
        assert worker.state == Broken("scripted is of another family")
        await asyncio.sleep(0)
        assert not multiprocessing.active_children()


async def test_a_refusal_of_what_has_worked_before_is_retried(tmp_path):
    load = partial(scripted_engine.load_with_refusals, tmp_path, {1, 2})
    async with running(make_worker(load, retry_after=(0.0, 0.0, 30.0))) as worker:
        assert await can_generate(worker)
        os.kill(child_pid(), signal.SIGKILL)
        await wait_for_state(worker, lambda state: state == Restarting("there is no such GPU"))
        assert await can_generate(worker)
    assert len(list(tmp_path.iterdir())) == 4


async def test_a_message_that_cannot_be_read_ends_the_process(caplog):
    worker = make_worker(scripted_engine.load_unpicklable)
    async with running(worker):
        await wait_for_state(worker, lambda state: isinstance(state, Broken))
    assert "cannot be read" in caplog.text


def test_a_path_without_a_model_is_reported_immediately():
    with pytest.raises(FileNotFoundError, match="no model folder at /nowhere"):
        ModelRegistry.from_refs(["/nowhere"])


async def test_closing_ends_waiting_and_running_jobs_and_accepts_no_more():
    worker = make_worker()
    async with running(worker):
        task, _ = await start_job(worker, "long")
        await worker.close()
        with pytest.raises(WorkerCrashed):
            await task
        await worker.close()
    with pytest.raises(WorkerCrashed):
        await can_generate(worker)


async def test_closing_a_worker_that_still_loads_or_never_started_leaves_nothing(monkeypatch):
    monkeypatch.setattr("generation.worker.worker.EXIT_GRACE", 0.1)
    await make_worker().close()
    worker = make_worker(scripted_engine.load_forever)
    async with running(worker):
        waiting = asyncio.create_task(can_generate(worker))
        await wait_for_state(worker, lambda state: state == Loading("unet", 0, 1))
        await worker.close()
        with pytest.raises(WorkerCrashed):
            await waiting


async def test_closing_kills_a_process_that_hangs(worker, monkeypatch):
    monkeypatch.setattr("generation.worker.worker.EXIT_GRACE", 0.1)
    task, _ = await start_job(worker, "hang")
    await worker.close()
    with pytest.raises(WorkerCrashed):
        await task


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_process_ignores_the_signals_of_the_terminal(worker, number):
    task, started = await start_job(worker, "long")
    pid = child_pid()
    os.kill(pid, number)
    started.first.clear()
    await asyncio.wait_for(started.first.wait(), TIMEOUT_S)
    assert await can_generate(worker)
    assert child_pid() == pid
    task.cancel()
    await asyncio.wait({task})


class LoopCounter:
    """Counts the iterations of the event loop; `at` is the count at the last progress report."""

    def __init__(self):
        self.count = self.at = 0
        self.task = asyncio.create_task(self._count_loops())

    async def _count_loops(self):
        while True:
            await asyncio.sleep(0)
            self.count += 1

    def __call__(self, progress):
        self.at = self.count


async def test_the_event_loop_runs_while_a_big_message_is_sent_or_received():
    async with running(make_worker()) as worker:
        source = bytes(30_000_000)
        hangs = asyncio.Event()
        hung = asyncio.create_task(
            worker.generate(request("hang"), lambda progress: hangs.set() if progress.step == 2 else None)
        )
        await asyncio.wait_for(hangs.wait(), TIMEOUT_S)  # from now on the process does not read the pipe
        big = asyncio.create_task(worker.generate(request("echo", source=source), ignore))
        behind = asyncio.create_task(worker.generate(request("fine"), ignore))
        for _ in range(1000):
            await asyncio.sleep(0)
        assert not worker._process._outbox.empty()  # the message behind the big one has not been sent
        os.kill(child_pid(), signal.SIGKILL)
        for task in (hung, big, behind):
            with pytest.raises(WorkerCrashed):
                await task
        assert await can_generate(worker)
        counter = LoopCounter()
        grid = await worker.generate(request("echo", source=source), counter)
        assert grid.tiles == (source,)
        assert counter.count - counter.at > 10
        counter.task.cancel()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "ended with exit code 0"),
        (1, "ended with exit code 1"),
        (-9, "was killed by SIGKILL (it may have run out of memory)"),
        (-11, "was killed by SIGSEGV"),
        (-99, "was killed by signal 99"),
    ],
)
def test_the_end_of_a_process_is_described(code, words):
    assert describe_exit(code) == words


BOT_SCRIPT = """
import asyncio, multiprocessing, sys
from generation.models.registry import ModelRegistry
from generation.worker.worker import LocalWorker
from generation.messages import Ready
from tests.support import scripted_engine
from tests.generation.worker.test_worker import request

async def main():
    worker = LocalWorker(ModelRegistry.from_refs(["somebody/scripted"]), load=scripted_engine.{load})
    def report(what):
        print(what, multiprocessing.active_children()[0].pid, flush=True)
    worker.subscribe(lambda: report(type(worker.state).__name__))
    await worker.start()
    work = worker.generate(request("{word}", scripted_engine.FOREVER), lambda _: report("Running"))
    job = asyncio.create_task(work)
    {then}

if __name__ == "__main__":
    asyncio.run(main())
"""


@contextmanager
def started_bot(folder, load="load", word="long", then="await asyncio.Event().wait()"):
    script = folder / "bot.py"
    script.write_text(BOT_SCRIPT.format(load=load, word=word, then=then))
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    ) as bot:
        try:
            yield bot
        finally:
            bot.kill()


def read_pid(bot, state):
    for line in bot.stdout:
        name, pid = line.split()
        if name == state:
            return int(pid)
    raise AssertionError("the bot has ended")


def wait_for_end(pid):
    """Wait for a process that is not our child to end; fails if it survives."""
    deadline = time.monotonic() + TIMEOUT_S
    while Path(f"/proc/{pid}").exists() and "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text():
        assert time.monotonic() < deadline, "the GPU process outlived the bot"
        time.sleep(0.01)


needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks at /proc")


@needs_proc
@pytest.mark.parametrize(
    ("load", "word", "state"),
    [("load", "long", "Running"), ("load", "hang", "Running"), ("load_forever", "fine", "Loading")],
    ids=["running", "hung", "loading"],
)
def test_kill_9_of_the_bot_ends_the_process_too(tmp_path, load, word, state):
    with started_bot(tmp_path, load, word) as bot:
        pid = read_pid(bot, state)
        bot.kill()
        wait_for_end(pid)


@needs_proc
def test_a_bot_that_does_not_close_its_worker_still_exits_cleanly(tmp_path):
    with started_bot(tmp_path, "load_forever", then="sys.exit(3)") as bot:
        assert bot.wait(TIMEOUT_S) == 3
    assert str(tmp_path) not in subprocess.run(["ps", "-ef"], capture_output=True, text=True, check=True).stdout


def test_the_bots_process_imports_neither_torch_nor_diffusers():
    code = """
        import importlib, pkgutil, sys
        import bot, cogs, db, generation.worker.worker, generation.queue.queue
        for package in (bot, cogs, db):
            for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
                importlib.import_module(module.name)
        heavy = {"torch", "diffusers", "transformers"} & set(sys.modules)
        assert not heavy, heavy
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, check=True)


async def test_a_broken_listener_is_logged_and_the_job_continues(worker, caplog):
    def fail(_):
        raise KeyError("listener")

    with caplog.at_level(logging.ERROR):
        grid = await worker.generate(request("fine"), fail)
    assert grid.tiles == (b"fine",)
    assert "KeyError" in caplog.text
