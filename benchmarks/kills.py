"""Kill the bot at random moments, and count what its users got: `python -m benchmarks.kills --kills 500`.

The fake Discord waits a random time before and after it handles a request, so that a kill finds requests that Discord
has handled and the bot knows nothing of. The scripted engine of the tests draws. After every few kills the bot may
finish; then every job must have one result or one reason, and nothing else may be left. With `--workers`, the bot has
several, which are killed one at a time too, while it goes on; no job may be refused for that.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from benchmarks.harness import BotProcess, gpu_processes, start_bot
from bot.ui.reading_text import DESCRIBE_AGAIN
from preview import Channel, FakeDiscord, Interaction, Message, User, World
from preview.users.options import UploadedFile, UserActionError
from tests.support.bot_harness import is_result, make_model, red_png

SCRIPTED_BOT = ("-m", "benchmarks.scripted_bot")  # as a module, so that it finds the project's packages
KILLS_PER_ROUND = 6
LIFETIME_S = (0.0, 3.0)  # from the connection to the kill
WORKER_LIFETIME_S = (0.2, 1.5)  # between the kills of workers
WORKER_KILLS = 5  # while the bot may finish
ACTION_PAUSE_S = (0.03, 0.25)
REQUEST_DELAY_S = 0.12  # the longest, before and after a request is handled
FETCH_DELAY_S = 2.5
SETTLE_TIMEOUT_S = 300.0
STEPS = 80  # of a job, which makes it take about half a second
ENVELOPE = "✉️"


@dataclass
class Count:
    """What was done and what was found."""

    kills: int = 0
    worker_kills: int = 0
    actions: Counter[str] = field(default_factory=Counter)
    results: int = 0
    direct_messages: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    stops: list[float] = field(default_factory=list)
    _seen: set[tuple[str, str]] = field(default_factory=set)

    def report(self, kind: str, example: str) -> None:
        """Count something that is wrong, once: every round checks all jobs again."""
        if (kind, example) in self._seen:
            return
        self._seen.add((kind, example))
        self.wrong[kind] += 1
        self.examples.append(f"kill {self.kills}: {kind}: {example}")
        print(self.examples[-1], flush=True)


class Guild:
    """The users, and what they do."""

    def __init__(self, server: FakeDiscord, dice: random.Random, count: Count) -> None:
        self.server, self.dice, self.count = server, dice, count
        world = server.world
        self.users = [world.add_user(name) for name in ("ada", "ben", "cora")]
        self.copied = self.users[2]  # wants a copy of every result
        guild = world.add_guild("Studio", *self.users)
        self.channels = [world.add_channel(guild, name) for name in ("one", "two")]
        self.interactions: list[Interaction] = []
        self.sent_by_dm: set[tuple[int, str]] = set()
        self._picture = red_png(64, 64)
        self._number = 0

    def actions(self) -> list[Callable[[User], Awaitable[Interaction | None]]]:
        """Return what users do."""
        return [
            self.imagine,
            self.imagine_privately,
            self.imagine_with_picture,
            self.imagine_with_link,
            self.imagine_by_dm,
            self.imagine_several,
            self.press_result,
            self.press_result,
            self.press_result,
            self.cancel,
            self.send_images,
            self.send_images_by_menu,
        ]

    async def act(self) -> None:
        """Let users do something at random, until cancelled."""
        actions = self.actions()
        while True:
            await asyncio.sleep(self.dice.uniform(*ACTION_PAUSE_S))
            action, user = self.dice.choice(actions), self.dice.choice(self.users)
            with contextlib.suppress(UserActionError):
                if interaction := await action(user):
                    self.interactions.append(interaction)
                    self.count.actions[action.__name__] += 1

    async def imagine(self, user: User, channel: Channel | None = None, more: str = "", **fields: Any) -> Interaction:
        """Ask for a picture in a channel."""
        self._number += 1
        prompt = f"{more}fox {self._number} --steps {STEPS}"
        place = channel or self.dice.choice(self.channels)
        return await self.server.person(user).command("imagine", place, prompt=prompt, **fields)

    async def imagine_privately(self, user: User) -> Interaction:
        """Ask for a private picture."""
        self._number += 1
        prompt = f"fox {self._number} --steps {STEPS} --stealth"
        return await self.server.person(user).command("imagine", self.dice.choice(self.channels), prompt=prompt)

    async def imagine_with_picture(self, user: User) -> Interaction:
        """Attach a picture."""
        return await self.imagine(user, image=UploadedFile("red.png", self._picture))

    async def imagine_with_link(self, user: User) -> Interaction:
        """Link a picture, which is fetched slowly."""
        posted = await self.server.person(user).send(self.channels[0], "", UploadedFile("red.png", self._picture))
        posted.deleted = True
        return await self.imagine(user, more=f"{self.server.core.base_url}{_path_of(posted)} ")

    async def imagine_by_dm(self, user: User) -> Interaction:
        """Ask in direct messages."""
        return await self.imagine(user, self.server.world.dm_channel(user))

    async def imagine_several(self, user: User) -> Interaction | None:
        """Ask for two pictures at once, and confirm it when asked."""
        questions = [each for each in self._messages(user) if "Draw all" in each.labels]
        if questions:
            return await self.server.person(user).press(questions[-1], "Draw all")
        return await self.imagine(user, more="{red, blue} ")

    async def press_result(self, user: User) -> Interaction | None:
        """Press U1 or V1 below a result."""
        results = [each for each in self._messages(user) if "U1" in each.labels]
        if not results:
            return None
        label = self.dice.choice(("U1", "U2", "V1"))
        return await self.server.person(user).press(self.dice.choice(results[-8:]), label)

    async def cancel(self, user: User) -> Interaction | None:
        """Cancel a job now and then."""
        waiting = [each for each in self._messages(user) if _cancel_button(each)]
        if not waiting or self.dice.random() < 0.7:
            return None
        return await self.server.person(user).press(self.dice.choice(waiting), "Cancel")

    async def send_images(self, user: User) -> None:
        """React with an envelope to a grid."""
        if grid := self._grid_to_send(user):
            await self.server.person(user).react(grid, ENVELOPE)
            self.count.actions["send_images"] += 1

    async def send_images_by_menu(self, user: User) -> Interaction | None:
        """Choose *DM results* from the menu of a grid."""
        grid = self._grid_to_send(user)
        return await self.server.person(user).context_menu("DM results", grid) if grid else None

    def _grid_to_send(self, user: User) -> Message | None:
        """Return a grid that this user has not asked to be sent: its images then come once, or the request was lost."""
        for message in reversed(self._messages(user)):
            key = (user.id, job_id_of(message))
            is_own = f"<@{user.id}>" in message.content
            if "U1" in message.labels and is_own and key not in self.sent_by_dm and not message.ephemeral:
                self.sent_by_dm.add(key)
                return message
        return None

    def _messages(self, user: User) -> list[Message]:
        found = [message for channel in self.channels for message in self.server.messages(channel)]
        bot = self.server.world.bot.id
        return [each for each in found if each.author_id == bot and each.visible_to in (None, user.id)]

    def all_messages(self) -> list[Message]:
        """Return every message of the bot that still exists."""
        bot = self.server.world.bot.id
        return [each for each in self.server.world.messages.values() if each.author_id == bot and not each.deleted]


def job_id_of(message: Message) -> str:
    """Return the job whose result a message is; empty if it is none."""
    for button in message.buttons:
        kind, _, rest = (button.get("custom_id") or "").partition(":")
        if "-" in rest:
            return rest.partition("-")[0]
        if kind == DESCRIBE_AGAIN:
            return rest
    return ""


def _is_end(message: Message) -> bool:
    """Return whether a message shows pictures, or what a picture was described as."""
    return is_result(message) or any(
        (button.get("custom_id") or "").startswith(DESCRIBE_AGAIN) for button in message.buttons
    )


def _path_of(message: Message) -> str:
    (attachment,) = message.attachments
    return f"/attachments/{message.channel_id}/{attachment.id}/{attachment.filename}"


def _cancel_button(message: Message) -> str:
    ids = (button.get("custom_id") or "" for button in message.buttons)
    return next((each for each in ids if each.startswith("cancel:")), "")


class Run:
    """One fake Discord and the bot that is killed again and again."""

    def __init__(
        self,
        server: FakeDiscord,
        folder: Path,
        kills: int,
        seed: int,
        workers: int,
        guild: type[Guild] = Guild,
    ) -> None:
        self.server, self.folder, self.kills, self.workers = server, folder, kills, workers
        self.count, self.dice = Count(), random.Random(seed)
        self.guild = guild(server, self.dice, self.count)
        self.settings: dict[str, object] = {
            "data_dir": folder / "data",
            "model": make_model(folder / "model", name="Painter", native_size=64),
            "waiting_per_person": 100,
            "waiting_in_all": 400,
            "log_level": "WARNING",
            "device": ",".join(["cpu"] * workers),
        }

    async def run(self) -> Count:
        """Kill until there were enough kills, and check after every round."""
        await self._let_finish()
        self._want_copies()
        while self.count.kills < self.kills:
            for _ in range(KILLS_PER_ROUND):
                await self._run_and_kill()
            await self._let_finish()
            self.check()
            self.server.core.interactions.clear()
            self.guild.interactions.clear()
            print(f"{self.count.kills} kills, {sum(self.count.wrong.values())} wrong", flush=True)
        return self.count

    async def _run_and_kill(self) -> None:
        bot = await start_bot(SCRIPTED_BOT, self.server, self.folder, self.settings)
        acting = asyncio.create_task(self.guild.act())
        killing = asyncio.create_task(self._kill_workers(bot))
        try:
            if self.dice.random() < 0.1:  # while it starts
                await asyncio.sleep(self.dice.uniform(0.5, 3.0))
            else:
                await self._wait_connected(bot)
                await asyncio.sleep(self.dice.uniform(*LIFETIME_S))
        finally:
            acting.cancel()
            killing.cancel()
            await bot.kill()
            self.count.kills += 1
            await asyncio.wait({acting, killing})

    async def _kill_workers(self, bot: BotProcess) -> None:
        """Kill some of several workers, one at a time, while the bot goes on."""
        for _ in range(WORKER_KILLS if self.workers > 1 else 0):
            await asyncio.sleep(self.dice.uniform(*WORKER_LIFETIME_S))
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # it has just ended by itself
                if processes := gpu_processes(bot.pid):
                    os.kill(self.dice.choice(processes), signal.SIGKILL)
                    self.count.worker_kills += 1

    async def _wait_connected(self, bot: BotProcess) -> None:
        before = len(self.server.gateway.identifies)
        deadline = time.monotonic() + SETTLE_TIMEOUT_S
        while len(self.server.gateway.identifies) == before:
            if bot.exited or time.monotonic() > deadline:
                raise RuntimeError("the bot does not connect:\n" + "\n".join(bot.lines))
            await asyncio.sleep(0.02)

    async def _let_finish(self) -> None:
        bot = await start_bot(SCRIPTED_BOT, self.server, self.folder, self.settings)
        await self._wait_connected(bot)
        await self.server.wait_commands()
        await self._kill_workers(bot)
        quiet_since, deadline = time.monotonic(), time.monotonic() + SETTLE_TIMEOUT_S
        while time.monotonic() < deadline and time.monotonic() < quiet_since + 1.5:
            if self._is_busy():
                quiet_since = time.monotonic()
            await asyncio.sleep(0.1)
        started = time.monotonic()
        await bot.stop()
        self.count.stops.append(time.monotonic() - started)
        self.log = bot.lines

    def _is_busy(self) -> bool:
        recent = [each for each in self.server.requests[-20:] if each.at > self.server.world.clock.time() - 1.5]
        return bool(recent) or bool(self._rows("SELECT 1 FROM jobs WHERE state IN ('waiting', 'drawing', 'drawn')"))

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.folder / "data" / "atelier.sqlite3", timeout=10)) as database:
            return database.execute(sql).fetchall()

    def _want_copies(self) -> None:
        with contextlib.closing(sqlite3.connect(self.folder / "data" / "atelier.sqlite3")) as database, database:
            database.execute("INSERT INTO preferences VALUES (?, '{\"auto_dm\": true}')", (self.guild.copied.id,))

    def check(self) -> None:
        """Compare the jobs in the store with the messages at Discord."""
        messages, wrong = self.guild.all_messages(), self.count.report
        for message in messages:
            if message.loading:
                wrong("thinking… is left", f"{message.id}")
            elif button := _cancel_button(message):
                wrong("a status message is left", f"{button} {message.content!r}")
        self._check_results(messages)
        self._check_direct_messages(messages)
        self._check_answers()
        for table in ("deferrals", "direct_messages"):
            for row in self._rows(f"SELECT * FROM {table}"):
                wrong(f"a row of {table} is left", f"{row}")
        for job_id, reason in self._rows("SELECT id, ending FROM jobs WHERE ending LIKE '%drawing process%'"):
            wrong("a job is refused for a lost worker", f"{job_id}: {reason}")
        for line in self.log:
            if "Traceback" in line:
                wrong("a traceback", "in the log of a start that finished")

    def _check_results(self, messages: list[Message]) -> None:
        direct = {self.server.world.dm_channel(user).id for user in self.guild.users}
        results, copies = Counter[str](), Counter[str]()
        for message in filter(_is_end, messages):
            (copies if message.channel_id in direct else results)[job_id_of(message)] += 1
        jobs = self._rows("SELECT id, state, asker_id, guild_id, json_extract(params, '$.reading') FROM jobs")
        self.count.results = sum(state == "answered" for _, state, *_ in jobs)
        for job_id, state, person_id, guild_id, reading in jobs:
            if guild_id is None:  # asked for in direct messages
                results[job_id] = copies.pop(job_id, 0)
            # A private job whose first response was never sent is answered by direct message, and needs no copy.
            has_copy = guild_id is not None and person_id == self.guild.copied.id and results[job_id] > 0
            has_copy = has_copy and reading is None  # words are not copied
            expected = 1 + has_copy if state == "answered" else 0
            self._compare("result", job_id, results[job_id] + copies[job_id], expected, state)
            if state not in ("answered", "failed", "cancelled"):
                self.count.report("a job has not ended", f"{job_id} {state}")

    def _compare(self, what: str, job_id: str, found: int, expected: int, state: str) -> None:
        if found != expected:
            kind = f"a {what} too many" if found > expected else f"a {what} too few"
            self.count.report(kind, f"{job_id} ({state}): {found}")

    def _check_direct_messages(self, messages: list[Message]) -> None:
        sent = Counter[tuple[int, str]]()
        for message in messages:
            for attachment in message.attachments if not message.buttons else ():
                tile = attachment.filename.rpartition("_")[2].partition(".")[0]
                if "-" in tile and not message.ephemeral:
                    sent[message.channel_id, tile] += 1
        for (channel_id, tile), number in sent.items():
            if number > 1:
                self.count.report("an image too many by direct message", f"{tile}: {number}")
            job_id = tile.partition("-")[0]
            if tile.endswith("-0") and sum(sent[channel_id, f"{job_id}-{index}"] > 0 for index in range(4)) < 4:
                self.count.report("an image too few by direct message", f"{job_id}")
        self.count.direct_messages = sum(sent.values())

    def _check_answers(self) -> None:
        tokens = {token for (token,) in self._rows("SELECT token FROM jobs")}
        for interaction in self.guild.interactions:
            answer = interaction.answer
            if answer is None or interaction.token in tokens or answer.type not in (4, 5):
                continue
            if not [each for each in interaction.messages if not each.loading]:
                self.count.report("an answer too few", f"{interaction} type {answer.type}")


@web.middleware
async def delay(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Any:
    """Wait before and after a request is handled."""
    is_gateway, is_file = request.path.startswith("/gateway"), request.path.startswith("/attachments/")
    if is_gateway:
        return await handler(request)
    longest = FETCH_DELAY_S if is_file else REQUEST_DELAY_S
    await asyncio.sleep(random.uniform(0, longest))
    response = await handler(request)
    await asyncio.sleep(random.uniform(0, REQUEST_DELAY_S))
    return response


MakeRun = Callable[[FakeDiscord, Path, int, int, int], Run]


async def kill_often(make_run: MakeRun, kills: int, seed: int, workers: int) -> Count:
    """Run the fake Discord and the bot until there were enough kills."""
    with tempfile.TemporaryDirectory(prefix="atelier-kills-") as name:
        server = FakeDiscord(World(), limits=())
        server.app.middlewares.insert(0, delay)
        async with server:
            count = await make_run(server, Path(name), kills, seed, workers).run()
        if server.violations or server.crashes:
            raise RuntimeError(f"the fake Discord reports errors: {server.violations[:3]} {server.crashes[:3]}")
    return count


@contextlib.contextmanager
def _timed() -> Iterator[None]:
    start = time.monotonic()
    yield
    print(f"took {time.monotonic() - start:.0f} s")


def main(description: str | None = __doc__, kills: int = 500, make_run: MakeRun = Run) -> int:
    """Parse the command line, kill, print the counts, and return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--kills", type=int, default=kills)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # a kill aborts requests
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with _timed():
        count = asyncio.run(kill_often(make_run, args.kills, args.seed, args.workers))
    print(f"{count.kills} kills, {count.worker_kills} of single workers; {dict(count.actions)}")
    print(f"{count.results} results and {count.direct_messages} images by direct message")
    print(f"the slowest clean stop took {max(count.stops):.1f} s")
    print(f"wrong: {dict(count.wrong) or 'nothing'}")
    return 1 if count.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
