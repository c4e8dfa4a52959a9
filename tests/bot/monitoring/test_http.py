"""Metrics and health over HTTP."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import aiohttp
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bot.config import ConfigError
from bot.monitoring import http
from bot.monitoring.http import serve_monitoring
from generation.messages import Ready
from generation.models.registry import ModelRegistry
from generation.worker.fleet import Fleet
from generation.worker.worker import Broken, Restarting
from tests.support.bot_harness import BotHarness, eventually


@pytest.fixture
def port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class MonitoringClient:
    """A client of the monitoring endpoints."""

    def __init__(self, port: int, services, session: aiohttp.ClientSession) -> None:
        self.url, self.services, self.session = f"http://127.0.0.1:{port}", services, session

    async def health(self) -> tuple[int, list[str]]:
        async with self.session.get(f"{self.url}/health") as response:
            return response.status, (await response.json())["troubles"]

    async def health_body(self) -> dict[str, Any]:
        async with self.session.get(f"{self.url}/health") as response:
            return await response.json()

    async def text(self) -> str:
        async with self.session.get(f"{self.url}/metrics") as response:
            assert response.status == 200
            return await response.text()

    async def samples(self) -> dict[str, float]:
        families = text_string_to_metric_families(await self.text())
        return {_name(sample): sample.value for family in families for sample in family.samples}


def _name(sample) -> str:
    return sample.name + "".join(f"[{value}]" for _, value in sorted(sample.labels.items()))


@pytest.fixture
def monitored_bot(harness: BotHarness, port: int):
    @asynccontextmanager
    async def monitored_bot(**settings: Any) -> Iterator[MonitoringClient]:
        async with (
            harness.bot(metrics_port=port, **settings) as services,
            serve_monitoring(services, lambda: harness.client),
            aiohttp.ClientSession() as session,
        ):
            await eventually(lambda: harness.client and harness.client.is_ready())
            yield MonitoringClient(port, services, session)

    return monitored_bot


async def test_jobs_are_counted_and_timed(harness, monitored_bot):
    async with monitored_bot() as client:
        await harness.imagine("a fox")
        grid = await harness.result()
        await harness.person(harness.ben).press(grid, "🔄")
        await harness.imagine("huge fox")
        await harness.server.wait_until(lambda: len(harness.results()) == 2)
        await eventually(lambda: not harness.tasks)
        found, text = await client.samples(), await client.text()
    assert found["atelier_jobs_total[imagine][waiting]"] == 2
    assert found["atelier_jobs_total[imagine][answered]"] == 1
    assert found["atelier_jobs_total[imagine][failed]"] == 1
    assert found["atelier_jobs_total[reroll][answered]"] == 1
    assert found["atelier_waiting_seconds_count"] == 3
    assert found["atelier_drawing_seconds_count"] == 2
    assert 0 < found["atelier_drawing_seconds_sum"] < 20
    assert found["atelier_errors_total[OutOfMemory]"] >= 1
    assert found["atelier_discord_latency_seconds"] >= 0
    assert found["atelier_database_bytes"] > 4096
    assert found["atelier_disk_free_bytes"] > 0
    assert found["process_resident_memory_bytes"] > 0
    for private in ("fox", "ada", str(harness.ada.id), str(harness.guild.id), str(harness.channel.id)):
        assert private not in text


async def test_unfinished_jobs_are_measured(harness, monitored_bot):
    async with monitored_bot(jobs_at_once=1) as client:
        await harness.imagine("slow fox")
        await harness.status_message("(25%)")
        for user in (harness.ada, harness.ben, harness.ben):
            await (await harness.imagine("owl", user)).message()
        found = await client.samples()
        assert found["atelier_jobs_present[running]"] == 1
        assert found["atelier_jobs_present[waiting]"] == 3
        assert found["atelier_people_present[waiting]"] == 2
        assert found["atelier_worker_state[ready]"] == 1
        assert found["atelier_worker_state[loading]"] == 0
        assert found["atelier_model_held[Painter]"] == 1
        harness.release_slow_jobs()
        await harness.server.wait_until(lambda: len(harness.results()) == 4)
        assert (await client.samples())["atelier_jobs_present[waiting]"] == 0


async def test_restarts_of_the_worker_are_counted(harness, monitored_bot):
    async with monitored_bot() as client:
        assert (await client.samples())["atelier_worker_restarts_total"] == 0
        await harness.imagine("death of a fox")
        await harness.status_message("gave up")
        assert (await client.samples())["atelier_worker_restarts_total"] == 2


async def test_the_bot_is_unhealthy_until_it_reconnects(harness, monitored_bot, monkeypatch):
    monkeypatch.setattr("bot.app.RECONNECT_PAUSES", (0.01,))
    async with monitored_bot() as client:
        held = harness.server.faults.hold("GET", "/gateway*", times=100)
        await harness.server.gateway.drop(4012)
        await eventually(lambda: held.hits)
        status, problems = await client.health()
        assert (status, problems) == (503, ["not connected to Discord"])
        held.release()
        await eventually(lambda: harness.client.is_ready())
        assert await client.health() == (200, [])


async def test_a_worker_that_loads_too_long_or_is_broken_is_unhealthy(harness, monitored_bot, monkeypatch):
    async with monitored_bot() as client:
        (worker,) = client.services.fleet.workers
        worker._set_state(Restarting("it fell over"))
        assert await client.health() == (200, [])
        monkeypatch.setattr(http, "LOADING_TIMEOUT_S", 0.0)
        assert await client.health() == (503, ["the model takes too long to load"])
        worker._set_state(Broken("no file named unet"))
        assert await client.health() == (503, ["the model cannot be loaded: no file named unet"])


async def test_several_workers_are_measured_each_and_one_that_is_broken_is_no_problem(harness, monitored_bot):
    async with monitored_bot(device="cpu,cpu") as client:
        one, two = client.services.fleet.workers
        await eventually(lambda: isinstance(one.state, Ready) and isinstance(two.state, Ready))
        await harness.imagine("slow fox")
        await harness.status_message("(25%)")
        two._set_state(Broken("no file named unet"))
        found, body = await client.samples(), await client.health_body()
        assert found["atelier_worker_state[ready]"] == 1
        assert found["atelier_worker_restarts_total"] == 1
        assert found["atelier_device_state[ready][cpu-1]"] == found["atelier_device_state[broken][cpu-2]"] == 1
        assert found["atelier_device_state[ready][cpu-2]"] == 0
        assert found["atelier_device_jobs[cpu-1]"] == 1
        assert found["atelier_device_jobs[cpu-2]"] == 0
        assert found["atelier_device_model_held[Painter][cpu-1]"] == 1
        assert found["atelier_device_restarts_total[cpu-1]"] == 0
        assert found["atelier_device_restarts_total[cpu-2]"] == 1
        assert body == {
            "healthy": True,
            "troubles": [],
            "workers": {"cpu-1": "ready", "cpu-2": "broken: no file named unet"},
        }
        one._set_state(Broken("no file named vae"))
        assert await client.health() == (503, ["the model cannot be loaded: no file named vae"])


async def test_a_bot_whose_machines_are_all_away_says_so_and_a_refused_one_is_named(monkeypatch):
    fleet = Fleet([], ModelRegistry.from_refs(["somebody/scripted"]))
    cluster = SimpleNamespace(problem="the head of the cluster does not answer", refused={"old": "it has Ray 2.59.0"})
    health = http.Health(SimpleNamespace(fleet=fleet, cluster=cluster), lambda: None)
    assert health.by_worker() == {"workers": {}}
    assert health.of_cluster() == {"cluster": {"head": cluster.problem, "old": "it has Ray 2.59.0"}}
    assert health._worker_problem(fleet.state) is None
    monkeypatch.setattr(http, "MACHINE_TIMEOUT_S", 0.0)
    assert health._worker_problem(fleet.state) == "no machine of the cluster is there"
    cluster.problem, cluster.refused = None, {}
    assert health.of_cluster() == {"cluster": {}}


async def test_a_database_that_is_unwritable_or_cannot_grow_is_unhealthy(harness, monitored_bot, monkeypatch):
    async with monitored_bot() as client:
        await client.services.db.jobs._connection.fetch_all("PRAGMA query_only = ON")
        assert await client.health() == (503, ["the database cannot be written to"])
        await client.services.db.jobs._connection.fetch_all("PRAGMA query_only = OFF")
        assert await client.health() == (200, [])
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20))
        assert await client.health() == (503, ["only 1 MiB of disk space left"])


async def test_a_database_that_does_not_answer_times_out(harness, monitored_bot, monkeypatch):
    monkeypatch.setattr(http, "DATABASE_TIMEOUT_S", 0.05)
    async with monitored_bot() as client:
        connection, free = client.services.db.jobs._connection, threading.Event()
        await connection._sqlite.create_function("wait", 0, free.wait)
        busy = asyncio.create_task(connection.fetch_all("SELECT wait()"))
        await asyncio.sleep(0)
        assert await client.health() == (503, ["the database does not answer"])
        free.set()
        await busy


async def test_it_listens_on_loopback_only_and_not_at_all_by_default(harness, monitored_bot, port):
    async with monitored_bot():
        assert set(_is_listening(port)) == {"127.0.0.1"}
    async with harness.bot() as services:
        subscribers = list(services.db.jobs._subscribers)
        async with serve_monitoring(services, lambda: harness.client):
            assert not _is_listening(port)
            assert services.db.jobs._subscribers == subscribers


def _is_listening(port: int) -> list[str]:
    return [each.laddr.ip for each in psutil.Process().net_connections() if each.laddr.port == port and not each.raddr]


async def test_a_port_in_use_is_named(harness, port):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(ConfigError, match=f"METRICS_PORT {port}"):
            async with harness.bot(metrics_port=port) as services, serve_monitoring(services, lambda: harness.client):
                pass


async def test_the_root_links_to_what_there_is(monitored_bot, port):
    async with monitored_bot(), aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as page:
        assert page.status == 200
        assert re.findall(r'href="([^"]+)"', await page.text()) == ["/health", "/metrics"]
