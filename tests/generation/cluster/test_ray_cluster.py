"""A bot and machines of a cluster in real processes of Ray on loopback, and everything that can end one of them."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import psutil
import pytest

from bot.config import Config
from generation.errors import MachineLost, WorkerCrashed
from generation.messages import Generate, Progress
from generation.models.model import EMBEDDED
from generation.models.registry import ModelRegistry
from generation.params import ReadingKind
from generation.prompt import parse_prompt
from generation.worker.worker import LocalWorker
from tests.generation.worker.test_worker import request
from tests.support.bot_harness import red_png
from tests.support.cluster_bot import SCRIPTED, cluster_bot
from tests.support.cluster_machines import HEAD_HOST, ROOT, Machines, cluster_on_loopback, wait_until
from tests.support.timing import LOAD_TIMEOUT_S, SCALE, TIMEOUT_S
from tests.support.tiny_captioner import WORDS, build_tiny_blip

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason='Ray is not installed: pip install ".[cluster]"'
)
ALPHA = "127.0.0.3"
FOREVER = 10**6


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """Yield a cluster with a head and the node `alpha`, which the tests share and leave as they found it."""
    with cluster_on_loopback(tmp_path_factory.mktemp("ray")) as found:
        found.start_head()
        start_alpha(found)
        yield found


def start_alpha(machines: Machines) -> None:
    machines.start_node(ALPHA, "alpha", MODEL=f"{SCRIPTED}, {EMBEDDED}", DISCORD_TOKEN="secret")


def config_of(machines: Machines, **settings: object) -> Config:
    cluster = Config(
        cluster=str(machines.head_address),
        cluster_here=HEAD_HOST,
        cluster_files=machines.files.folder,
        device="none",
        models=(SCRIPTED,),
    )
    return replace(cluster, **settings)  # type: ignore[arg-type]


def alpha_of(machines: Machines):
    return next(machine for machine in machines.all if machine.folder.name == "alpha")


async def begin(worker, script: str, steps: int = FOREVER):
    """Start a job and return its task once the node has made a step of it."""
    began = asyncio.Event()
    task = asyncio.create_task(worker.generate(request(script, steps), lambda _: began.set()))
    done = asyncio.create_task(began.wait())
    await asyncio.wait({task, done}, return_when=asyncio.FIRST_COMPLETED, timeout=TIMEOUT_S)
    assert began.is_set()
    return task


async def until(test) -> None:
    async with asyncio.timeout(3 * TIMEOUT_S):
        while not test():  # noqa: ASYNC110 (other processes tell it)
            await asyncio.sleep(0.05)


async def test_the_bytes_are_those_of_a_local_worker_and_ray_stays_outside(machines):
    config = config_of(machines, models=(EMBEDDED,))
    registry = ModelRegistry.from_refs(config.models)
    params = [parse_prompt(f"a red boat on the sea --seed {seed} --draft", registry).params for seed in (1, 2)]
    requests = [Generate(f"{number:012x}", each, number, 10**7) for number, each in enumerate(params)]
    async with cluster_bot(config, load=None) as bot:
        remote = await bot.worker("alpha")
        seen: list[Progress] = []
        found = await asyncio.gather(*(remote.generate(each, seen.append) for each in requests))
    assert remote.capacity == 3  # JOBS_AT_ONCE of the node
    assert {progress.job_id for progress in seen} == {each.job_id for each in requests}
    local = LocalWorker(registry, "cpu", 1)
    await local.start()
    try:
        expected = await asyncio.gather(*(local.generate(each, lambda _: None) for each in requests))
    finally:
        await local.close()
    assert [(each.tiles, each.image, each.suffix) for each in found] == [
        (each.tiles, each.image, each.suffix) for each in expected
    ]
    assert "ray" not in sys.modules


async def test_a_cancelled_job_ends_at_once_and_its_neighbour_goes_on(machines):
    async with cluster_bot(config_of(machines)) as bot:
        worker = await bot.worker("alpha")
        cancelled, neighbour = await begin(worker, "fine"), await begin(worker, "also fine", steps=4000)
        since = time.monotonic()
        cancelled.cancel()
        await asyncio.wait({cancelled}, timeout=TIMEOUT_S)
        assert time.monotonic() - since < 1 * SCALE
        assert (await neighbour).tiles == (b"also fine",)


async def test_a_cancelled_job_makes_no_more_than_the_step_it_is_at(machines):
    config = config_of(machines, models=(EMBEDDED,))
    params = parse_prompt("a red boat on the sea --steps 50", ModelRegistry.from_refs(config.models)).params
    async with cluster_bot(config, load=None) as bot:
        worker, seen = await bot.worker("alpha"), list[int]()
        task = asyncio.create_task(
            worker.generate(Generate("0" * 12, params, 1, 10**7), lambda at: seen.append(at.step))
        )
        await until(lambda: len(seen) > 2)
        task.cancel()
        reached = seen[-1]
        await asyncio.wait({task}, timeout=TIMEOUT_S)
        assert task.cancelled()
    assert seen[-1] <= reached + 2  # its progress is told five times a second, so it may have been a step ahead


async def test_nothing_of_the_bots_secrets_is_in_a_nodes_environment(machines, monkeypatch):
    monkeypatch.setenv("DISCORD_TOKEN", "secret")
    monkeypatch.setenv("SIGNING_KEY", "/srv/keys/key.pem")
    async with cluster_bot(config_of(machines)) as bot:
        worker = await bot.worker("alpha")
        grid = await worker.generate(request("environment"), lambda _: None)
    names = grid.tiles[0].decode().split()
    assert "RAY_AUTH_TOKEN_PATH" in names
    assert not {"DISCORD_TOKEN", "SIGNING_KEY"} & set(names)


async def test_a_result_larger_than_the_object_store_arrives(machines):
    async with cluster_bot(config_of(machines)) as bot:
        worker = await bot.worker("alpha")
        large = os.urandom(100 << 20)  # the store has 80 MB
        grid = await worker.generate(request("echo", source=large), lambda _: None)
    assert grid.tiles[0] == large


async def test_a_killed_actor_crashes_its_jobs_within_a_second_and_is_ready_again(machines):
    async with cluster_bot(config_of(machines)) as bot:
        worker = await bot.worker("alpha")
        task = await begin(worker, "fine")
        since = time.monotonic()
        alpha_of(machines).kill("ray::Drawer")
        with pytest.raises(WorkerCrashed) as crash:
            await task
        assert time.monotonic() - since < 2 * SCALE
        assert not isinstance(crash.value, MachineLost)  # the job may be what ended it, so it gets one more try
        assert (await (await bot.worker("alpha")).generate(request("fine"), lambda _: None)).tiles == (b"fine",)


async def test_an_error_of_the_engine_crashes_its_jobs_and_is_named(machines, caplog):
    async with cluster_bot(config_of(machines)) as bot:
        worker = await bot.worker("alpha")
        with pytest.raises(WorkerCrashed, match="ValueError: CUDA error: an illegal memory access") as crash:
            await worker.generate(request("crash", steps=9), lambda _: None)
        assert not isinstance(crash.value, MachineLost)
        await bot.worker("alpha")


async def test_a_hung_step_is_ended_on_the_node_too(machines):
    async with cluster_bot(config_of(machines, step_timeout=2)) as bot:
        worker = await bot.worker("alpha")
        hung = alpha_of(machines).processes("ray::Drawer")
        with pytest.raises(WorkerCrashed, match="no response for 2 s"):
            await worker.generate(request("hang", steps=9), lambda _: None)
        await until(lambda: not any(process.is_running() for process in hung))


async def test_a_closed_bot_leaves_no_actor(machines):
    async with cluster_bot(config_of(machines)) as bot:
        await bot.worker("alpha")
        assert alpha_of(machines).processes("ray::Drawer")
    await until(lambda: not alpha_of(machines).processes("ray::Drawer"))


async def test_a_killed_bot_leaves_no_actor(machines):
    command = [sys.executable, "-m", "tests.support.cluster_bot"]
    arguments = [str(machines.head_address), HEAD_HOST, str(machines.files.folder)]
    bot = subprocess.Popen([*command, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
    with bot:
        try:
            assert bot.stdout is not None
            assert await asyncio.to_thread(bot.stdout.readline) == "ready on alpha\n"
            assert alpha_of(machines).processes("ray::Drawer")
        finally:
            bot.kill()
    await until(lambda: not alpha_of(machines).processes("ray::Drawer"))


async def test_a_lost_node_loses_its_jobs_blamelessly_and_joins_again(machines, capfd):
    async with cluster_bot(config_of(machines)) as bot:
        worker = await bot.worker("alpha")
        task = await begin(worker, "fine")
        since = time.monotonic()
        alpha_of(machines).kill("raylet/raylet")
        with pytest.raises(MachineLost):
            await task
        assert time.monotonic() - since < 10 * SCALE
        await until(lambda: worker not in bot.fleet.workers)  # the node joins again by itself, as another
        again = await bot.worker("alpha")
        assert (await again.generate(request("fine"), lambda _: None)).tiles == (b"fine",)
    assert "Traceback" not in capfd.readouterr().err  # it is expected, and one line of the log


async def test_a_node_without_power_is_parted_and_comes_back(machines):
    async with cluster_bot(config_of(machines)) as bot:
        worker = await bot.worker("alpha")
        task = await begin(worker, "fine")
        alpha_of(machines).kill_everything()
        with pytest.raises(MachineLost):
            await task
        await until(lambda: not bot.fleet.workers)
        start_alpha(machines)
        await bot.worker("alpha")


async def test_a_lost_head_loses_the_jobs_not_the_bot_and_all_comes_back(machines):
    async with cluster_bot(config_of(machines)) as bot:
        worker = await bot.worker("alpha")
        task = await begin(worker, "fine")
        since = time.monotonic()
        machines.head.kill_everything()
        with pytest.raises(MachineLost):
            await task
        assert time.monotonic() - since < 20 * SCALE
        await until(lambda: not bot.fleet.workers)
        assert "the head of the cluster does not answer" in (bot.cluster.problem or "")
        machines.start_head()
        again = await bot.worker("alpha")
        assert bot.cluster.problem is None
        assert (await again.generate(request("fine"), lambda _: None)).tiles == (b"fine",)
    assert "ray" not in sys.modules


async def test_a_node_with_other_weights_under_the_same_name_is_refused(machines, tmp_path):
    other = tmp_path / "models" / "storybook"
    shutil.copytree(EMBEDDED, other)
    weights = next(other.rglob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-4] + b"\x01\x02\x03\x04")
    node = machines.start_node("127.0.0.4", "beta", MODEL=str(other))
    try:
        async with cluster_bot(config_of(machines, models=(EMBEDDED,)), load=None) as bot:
            await until(lambda: any(each.name == "beta" for each in bot.fleet.workers))
            beta = next(each for each in bot.fleet.workers if each.name == "beta")
            await until(lambda: "has none of the bot's models" in getattr(beta.state, "reason", ""))
            await bot.worker("alpha")
    finally:
        node.stop()
        machines.all.remove(node)


async def test_a_node_draws_only_what_it_has(machines):
    node = machines.start_node("127.0.0.4", "gamma", MODEL=EMBEDDED)
    try:
        async with cluster_bot(config_of(machines, models=(SCRIPTED, EMBEDDED))) as bot:
            gamma, alpha = await bot.worker("gamma"), await bot.worker("alpha")
            params = request("fine").params
            assert [alpha.can_draw(params), gamma.can_draw(params)] == [True, False]
            assert gamma.can_draw(replace(params, model="storybook"))
    finally:
        node.stop()
        machines.all.remove(node)


async def test_a_node_with_the_bots_captioner_describes_pictures_for_it(machines, tmp_path):
    blip = build_tiny_blip(tmp_path / "blip")
    node = machines.start_node("127.0.0.4", "delta", MODEL=EMBEDDED, DESCRIBER=str(blip))
    try:
        async with cluster_bot(config_of(machines, models=(EMBEDDED,), describer=str(blip)), load=None) as bot:
            params = replace(request("").params, model="storybook", count=0, reading=ReadingKind.DESCRIBE)
            asked = Generate("0" * 12, params, 0, 10**7, source=red_png(64, 64))
            found = await (await bot.worker("delta")).read(asked, lambda _: None)
    finally:
        node.stop()
        machines.all.remove(node)
    assert found.texts
    assert {word for text in found.texts for word in text.split()} <= {*WORDS}


def test_a_stranger_is_refused_before_ray_is_asked(machines, tmp_path):
    join = partial(machines.add(ALPHA, "stranger").call, "join")
    stranger = machines.all.pop()
    missing = join(CLUSTER_FILES=str(tmp_path / "nothing"))
    assert missing.returncode == 2
    assert "cluster init` on the bot's machine" in missing.stderr
    stranger.call("init", CLUSTER_FILES=str(tmp_path / "other"))
    other = join(CLUSTER_FILES=str(tmp_path / "other"))
    assert other.returncode == 2
    assert "is of another cluster" in other.stderr
    copied = tmp_path / "copied"
    shutil.copytree(machines.files.folder, copied, ignore=shutil.ignore_patterns("ray"))
    (copied / "token").write_text("0" * 64)
    wrong = join(CLUSTER_FILES=str(copied))
    assert wrong.returncode == 2
    assert "does not know this token" in wrong.stderr


def test_a_machine_with_other_code_is_told_what_to_do_before_it_joins(machines, tmp_path):
    for entry in ("bot", "db", "models", "pyproject.toml"):
        (tmp_path / entry).symlink_to(ROOT / entry)
    shutil.copy(ROOT / "main.py", tmp_path)
    shutil.copytree(ROOT / "generation", tmp_path / "generation", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "generation" / "newer.py").touch()
    machine = machines.add("127.0.0.4", "other")
    machine.program = tmp_path / "main.py"
    joined = machines.all.pop().call("join")
    assert joined.returncode == 2
    assert "update both with `scripts/update`" in joined.stderr


def test_a_killed_command_leaves_no_process_of_ray(machines):
    node = machines.start_node("127.0.0.4", "delta", MODEL=SCRIPTED)
    try:
        wait_until(lambda: node.processes("raylet/raylet"), LOAD_TIMEOUT_S)
        processes = node.processes("")
        node.process.kill()
        wait_until(lambda: not any(map(psutil.Process.is_running, processes)), LOAD_TIMEOUT_S)
    finally:
        node.stop()
        machines.all.remove(node)


def test_show_lists_the_machines(machines):
    wait_until(lambda: "alpha" in machines.head.call("show").stdout)
    shown = machines.head.call("show")
    assert shown.returncode == 0
    assert shown.stdout.split() == ["alpha", ALPHA, "devices:", "1", "fits"]
