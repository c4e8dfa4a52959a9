"""The whole bot over real processes of Ray: whatever is lost, each job is drawn, and answered once."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from functools import partial
from sqlite3 import connect

import pytest

import bot.services
from bot.machines import make_cluster
from bot.services import Services
from generation.messages import Ready
from generation.models.model import EMBEDDED
from preview import World
from tests.cogs.test_queue_command import run_queue
from tests.support import fake_engine
from tests.support.bot_harness import BotHarness, is_result, open_image
from tests.support.cluster_machines import HEAD_HOST, Machine, Machines, cluster_on_loopback
from tests.support.timing import LOAD_TIMEOUT_S, SCALE, TIMEOUT_S
from tests.test_main import bot as running_program
from tests.test_main import fake_discord

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason='Ray is not installed: pip install ".[cluster]"'
)
NODES = {"alpha": "127.0.0.3", "beta": "127.0.0.4"}


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """Yield a head and two nodes that draw one job at a time; the tests leave them as they found them."""
    folder = tmp_path_factory.mktemp("ray")
    shutil.copytree(EMBEDDED, folder / "model")  # its files are checked, but the engine is the tests' own
    with cluster_on_loopback(folder) as found:
        found.start_head()
        for name in NODES:
            start_node(found, name)
        yield found


def start_node(machines: Machines, name: str) -> None:
    machines.start_node(NODES[name], name, MODEL=str(machines.folder / "model"), JOBS_AT_ONCE="1")


class Studio:
    """A bot whose jobs are drawn by the machines of a cluster."""

    def __init__(self, harness: BotHarness, machines: Machines) -> None:
        self.harness, self.machines = harness, machines
        self.services: Services

    @asynccontextmanager
    async def bot(self, device: str = "none") -> AsyncIterator[None]:
        """Run the bot, with all machines ready."""
        cluster = {"cluster": str(self.machines.head_address), "cluster_files": self.machines.files.folder}
        limits = {"running_per_person": 9, "jobs_at_once": 1}
        async with self.harness.bot(device=device, cluster_here=HEAD_HOST, **cluster, **limits) as services:
            self.services = services
            await self.until_all_ready()
            yield

    async def until_all_ready(self) -> None:
        await until(lambda: NODES.keys() <= {each.name for each in self.workers if isinstance(each.state, Ready)})

    @property
    def workers(self):
        return self.services.fleet.workers

    def machine_of(self, prompt: str) -> Machine | None:
        """Return the machine that draws a job, once it has got it."""
        for worker in self.workers:
            if any(job.sent and prompt in job.request.params.parts[0].text for job in worker._jobs.values()):
                return next((each for each in self.machines.all if each.folder.name == worker.name), None)
        return None

    async def drawing(self, prompt: str) -> Machine:
        await until(lambda: self.machine_of(prompt))
        machine = self.machine_of(prompt)
        assert machine is not None
        return machine

    async def answered(self, number: int) -> None:
        self.harness.release_slow_jobs()
        await until(lambda: len(self.harness.results()) >= number)
        await until(lambda: not self.harness.status_messages())
        assert len(self.harness.results()) == number

    async def until_attempts(self, *expected: int) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while sorted(record.attempts for record in await self.services.db.jobs.open_records()) != [*expected]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@pytest.fixture
def studio(harness: BotHarness, machines: Machines, monkeypatch: pytest.MonkeyPatch) -> Studio:
    harness.model = machines.folder / "model"
    (harness.model / "go").unlink(missing_ok=True)
    monkeypatch.setattr(bot.services, "make_cluster", partial(make_cluster, load=fake_engine.load))
    return Studio(harness, machines)


async def until(test) -> None:
    async with asyncio.timeout(LOAD_TIMEOUT_S):
        while not test():  # noqa: ASYNC110 (other processes tell it)
            await asyncio.sleep(0.02)


async def test_a_job_whose_actor_is_killed_is_drawn_by_another_from_its_seed(studio):
    async with studio.bot():
        await studio.harness.imagine("slow fox --seed 7")
        first = await studio.drawing("fox")
        since = time.monotonic()
        first.kill("ray::Drawer")
        await until(lambda: studio.machine_of("fox") not in (None, first))
        assert time.monotonic() - since < 1 * SCALE
        await studio.answered(1)
        await studio.until_all_ready()
        await studio.harness.imagine("quick fox --seed 7")
        await studio.answered(2)
    drawn, undisturbed = (open_image(studio.harness.server, each).tobytes() for each in studio.harness.results())
    assert drawn == undisturbed


async def test_people_see_that_the_drawing_begins_again_where_no_other_can_draw(studio):
    async with studio.bot():
        for machine in studio.machines.all:
            if machine.folder.name in NODES:
                machine.stop()
        await until(lambda: not studio.workers)
        await studio.harness.imagine("slow fox")
        await studio.harness.status_message("being started again")
        assert "No machine that draws is connected" in await run_queue(studio.harness)
        for name in NODES:
            start_node(studio.machines, name)
        await studio.answered(1)
        await studio.until_all_ready()


async def test_a_lost_machines_job_gets_its_old_place_back_uncounted(studio):
    async with studio.bot():
        for prompt in ("slow fox", "slow owl", "slow cat"):
            await studio.harness.imagine(prompt)
        lost, _ = await studio.drawing("fox"), await studio.drawing("owl")
        since = time.monotonic()
        lost.kill("raylet/raylet")
        await until(
            lambda: [job.params.parts[0].text for job in studio.services.queue.waiting] == ["slow fox", "slow cat"]
        )
        assert time.monotonic() - since < 10 * SCALE
        await studio.until_attempts(0, 0, 1)
        await studio.harness.status_message("next in line")
        await studio.answered(3)
        await studio.until_all_ready()


async def test_nothing_of_a_machine_arrives_whose_line_heals_too_late(studio):
    async with studio.bot():
        await studio.harness.imagine("slow fox")
        cut_off = await studio.drawing("fox")
        since = time.monotonic()
        with cut_off.frozen():
            await until(lambda: studio.machine_of("fox") not in (None, cut_off))
            assert time.monotonic() - since < 10 * SCALE
            studio.harness.release_slow_jobs()
        await studio.answered(1)
        await studio.until_all_ready()
        await studio.harness.imagine("quick owl")
        await studio.answered(2)


async def test_without_the_head_local_jobs_go_on_and_take_the_remote_ones(studio):
    async with studio.bot(device="cpu"):
        for prompt in ("slow fox", "slow owl", "slow cat"):
            await studio.harness.imagine(prompt)
        await until(lambda: len(studio.services.queue.running) == 3)
        local = studio.workers[0]
        (untouched,) = studio.services.queue.running_on(local)
        since = time.monotonic()
        studio.machines.head.kill_everything()
        await until(lambda: studio.services.queue.running == [untouched])
        assert time.monotonic() - since < 20 * SCALE
        assert len(studio.services.queue.waiting) == 2
        await studio.answered(3)
        await until(lambda: studio.workers == (local,))
        studio.machines.start_head()
        await studio.until_all_ready()


async def test_a_killed_bot_frees_the_gpus_and_its_jobs_are_answered_once(machines, tiny_model, tmp_path):
    gamma = machines.start_node("127.0.0.5", "gamma", MODEL=str(tiny_model))
    cluster = {"CLUSTER": str(machines.head_address), "CLUSTER_FILES": str(machines.files.folder)}
    settings = {"fresh": True, "DEVICE": "none", "CLUSTER_HERE": HEAD_HOST, **cluster}
    try:
        async with fake_discord(World()) as server:
            ada = server.world.add_user("ada")
            channel = server.world.add_channel(server.world.add_guild("Studio", ada))
            async with running_program(server, tmp_path, tiny_model, **settings) as first:
                for number in range(3):
                    await server.person(ada).command("imagine", channel, prompt=f"a boat --steps 60 --seed {number}")
                await until(lambda: count(tmp_path, "drawing"))
                assert gamma.processes("ray::Drawer")
                first.kill()
            await until(lambda: not gamma.processes("ray::Drawer"))
            async with running_program(server, tmp_path, tiny_model, **settings):
                await until(lambda: count(tmp_path, "answered") == 3)
            assert sum(map(is_result, server.world.channel_messages(channel))) == 3
    finally:
        gamma.stop()
        machines.all.remove(gamma)


def count(folder, state: str) -> int:
    with closing(connect(folder / "data" / "atelier.sqlite3", timeout=10)) as database:
        return int(database.execute("SELECT count(*) FROM jobs WHERE state = ?", (state,)).fetchone()[0])
