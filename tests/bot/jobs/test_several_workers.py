"""The bot with several workers: jobs run on all of them, and a worker that ends takes none with it."""

from __future__ import annotations

import os
import signal

import pytest

from generation.messages import Ready
from tests.cogs.test_queue_command import run_queue
from tests.support.bot_harness import eventually


def jobs_of(services):
    return [[job.params.parts[0].text for job in services.queue.running_on(each)] for each in services.fleet.workers]


def kill(worker):
    os.kill(worker._process._process.pid, signal.SIGKILL)


async def all_ready(services):
    await eventually(lambda: all(isinstance(worker.state, Ready) for worker in services.fleet.workers))


async def answered(harness, number):
    await harness.server.wait_until(lambda: len(harness.results()) == number)
    await harness.server.wait_until(lambda: not harness.status_messages())


async def test_jobs_run_on_both_workers_and_each_takes_its_capacity(harness):
    async with harness.bot(device="cpu,cpu", jobs_at_once=1, running_per_person=9) as services:
        await all_ready(services)
        for prompt in ("slow fox", "slow owl", "slow cat"):
            await harness.imagine(prompt)
        await eventually(lambda: jobs_of(services) == [["slow fox"], ["slow owl"]])
        assert len(services.queue.waiting) == 1
        await eventually(lambda: [len(worker._jobs) for worker in services.fleet.workers] == [1, 1])
        harness.release_slow_jobs()
        await answered(harness, 3)


async def test_while_all_workers_are_drained_no_wait_is_promised(harness):
    async with harness.bot(device="cpu,cpu") as services:
        await all_ready(services)
        for worker in services.fleet.workers:
            worker.draining = True
        assert (await run_queue(harness)).startswith("The queue is empty.\n")
        status = await (await harness.imagine("a fox")).message()
        assert "no GPU is in use at the moment" in status.content
        assert "seconds" not in status.content
        assert "seconds" not in await run_queue(harness)
        for worker in services.fleet.workers:
            worker.draining = False
        services.queue.wake()
        await answered(harness, 1)


async def test_a_killed_workers_job_moves_to_the_other_and_is_answered_once(harness):
    async with harness.bot(device="cpu,cpu", running_per_person=9) as services:
        await all_ready(services)
        first, _ = services.fleet.workers
        await harness.imagine("slow fox")
        await harness.imagine("slow owl", harness.ben)
        await eventually(lambda: jobs_of(services) == [["slow fox"], ["slow owl"]])
        (harness.model / "hold").touch()
        kill(first)
        await eventually(lambda: jobs_of(services) == [[], ["slow owl", "slow fox"]])
        harness.release_slow_jobs()
        await answered(harness, 2)
        assert not isinstance(first.state, Ready)
        (harness.model / "hold").unlink()
        await all_ready(services)
        assert not services.queue.running
    assert sorted(ping.user_id for ping in harness.server.pings) == sorted([harness.ada.id, harness.ben.id])


async def test_a_job_whose_workers_are_killed_again_and_again_is_not_refused(harness):
    async with harness.bot(device="cpu,cpu") as services:
        await all_ready(services)
        await harness.imagine("slow fox")
        for _ in range(5):
            await eventually(lambda: any(jobs_of(services)))
            (busy,) = [each for each in services.fleet.workers if services.queue.running_on(each)]
            await eventually(lambda worker=busy: any(job.sent for job in worker._jobs.values()))
            lost = {id(job): job for job in busy._jobs.values()}
            kill(busy)
            # The process may be back, with the job anew, before anybody looks.
            await eventually(lambda worker=busy, lost=lost: lost.keys().isdisjoint(map(id, worker._jobs.values())))
        await eventually(lambda: any(jobs_of(services)))
        (record,) = await services.db.jobs.open_records()
        assert record.attempts <= 1
        harness.release_slow_jobs()
        await answered(harness, 1)


async def test_a_job_that_ends_every_process_is_given_up(harness, monkeypatch):
    monkeypatch.setattr("bot.jobs.runner.MAX_LOSSES", 2)
    async with harness.bot(device="cpu,cpu") as services:
        await harness.imagine("death of a fox")
        await harness.status_message("ended 4 times while it drew this")
        await harness.imagine("an owl")
        await harness.result(text="owl")
        assert not services.queue.waiting


async def test_cancelling_a_job_ends_it_on_its_worker_only(harness):
    async with harness.bot(device="cpu,cpu") as services:
        await all_ready(services)
        await harness.imagine("slow fox")
        fox = await harness.status_message("(25%)")
        await harness.imagine("slow owl", harness.ben)
        await eventually(lambda: jobs_of(services) == [["slow fox"], ["slow owl"]])
        await harness.person(harness.ada).press(fox, "Cancel")
        await harness.server.wait_until(lambda: "Cancelled" in fox.content)
        await eventually(lambda: jobs_of(services) == [[], ["slow owl"]])
        harness.release_slow_jobs()
        await harness.result(text="owl")


async def test_jobs_on_all_workers_resume_after_a_stop(harness):
    async with harness.bot(device="cpu,cpu") as services:
        await all_ready(services)
        await harness.imagine("slow fox")
        await harness.imagine("slow owl", harness.ben)
        await eventually(lambda: all(jobs_of(services)))
    harness.release_slow_jobs()
    async with harness.bot():
        await answered(harness, 2)


async def test_a_job_whose_worker_ends_before_it_is_sent_goes_to_the_other(harness, monkeypatch):
    async with harness.bot(device="cpu,cpu") as services:
        await all_ready(services)
        runner, first = harness.client.jobs.runner, services.fleet.workers[0]
        build = runner._build_request

        async def build_while_it_breaks(job, order):
            first._mark_broken("its model is gone")
            return await build(job, order)

        monkeypatch.setattr(runner, "_build_request", build_while_it_breaks)
        await harness.imagine("a fox")
        await harness.result(text="fox")


async def test_a_job_does_not_wait_for_its_dead_worker_when_the_other_comes_back_first(harness, monkeypatch):
    async with harness.bot(device="cpu,cpu") as services:
        await all_ready(services)
        runner, (first, second) = harness.client.jobs.runner, services.fleet.workers
        build, tries = runner._build_request, []

        async def build_while_both_end(job, order):
            tries.append(order)
            if len(tries) == 1:
                (harness.model / "hold").touch()
                kill(first)
                kill(second)
                await eventually(lambda: not any(isinstance(each.state, Ready) for each in (first, second)))
            return await build(job, order)

        monkeypatch.setattr(runner, "_build_request", build_while_both_end)
        await harness.imagine("a fox")
        await eventually(lambda: bool(tries and services.queue.waiting))
        await eventually(lambda: first._process is not None)
        first._mark_broken("its GPU is gone")
        (harness.model / "hold").unlink()
        await harness.result(text="fox")


async def test_the_queue_shows_what_each_worker_does(harness):
    async with harness.bot(device="cpu,cpu", jobs_at_once=2) as services:
        await all_ready(services)
        assert (await run_queue(harness)).splitlines()[1:] == ["-# cpu-1 is free · cpu-2 is free"]
        await harness.imagine("slow fox")
        await harness.status_message("(25%)")
        (harness.model / "hold").touch()
        kill(services.fleet.workers[1])
        await eventually(lambda: not isinstance(services.fleet.workers[1].state, Ready))
        assert (await run_queue(harness)).splitlines()[-1] == "-# cpu-1 draws 1 · cpu-2 is being started again"
        services.fleet.workers[1]._mark_broken("no model")
        assert (await run_queue(harness)).splitlines()[-1] == "-# cpu-1 draws 1 · cpu-2 is out of order"
        (harness.model / "hold").unlink()
        harness.release_slow_jobs()
        await answered(harness, 1)


async def test_the_queue_of_many_workers_shows_first_those_that_do_not_work(harness):
    async with harness.bot(device=",".join(["cpu"] * 10)) as services:
        await all_ready(services)
        services.fleet.workers[9]._mark_broken("no model")
        line = (await run_queue(harness)).splitlines()[-1]
    assert line.startswith("-# cpu-10 is out of order · cpu-1 is free")
    assert line.endswith("cpu-7 is free · and 2 more")


@pytest.mark.parametrize("device", ["auto", "cpu"])
async def test_with_one_worker_the_queue_does_not_name_it(harness, device):
    async with harness.bot(device=device):
        assert await run_queue(harness) == "The queue is empty: your next job starts at once."
