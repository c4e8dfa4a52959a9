"""Kill the bot again and again while sessions take their steps: `python -m benchmarks.session_kills --kills 200`.

After each kill the step is due at once, so that the next start takes it and is killed at a random moment of it. Then
every round of a jam must have one job and one message, and no round may be missing. With `--contest`, every phase of
every contest must have one message, one contest must follow the other, and its places must follow from its votes. With
`--telephone`, every turn and every picture of every game must have one message, and every game one last message. With
`--canvas`, three people paint: no placed pixel may change, a canvas has one message, and a finished one is posted once.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import logging
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.harness import BotProcess, start_bot
from benchmarks.kills import SCRIPTED_BOT, delay
from db.together.telephones import Player
from preview import FakeDiscord, Message, User, World
from preview.state.interactions import InteractionFailed
from preview.users import painters
from preview.users.options import UserActionError
from tests.support.bot_harness import make_model

LIFETIME_S = (0.0, 4.0)  # from the connection to the kill
PAINTING_S = (0.0, 10.0)  # the same where people go from the first press to a placed piece
ROUNDS = 12
SETTLE_TIMEOUT_S = 60.0
STEP_S = 0.05


class SessionKills:
    """Runs one session after another and kills the bot in them."""

    at_rest = "('voting', 'extended', 'asleep', 'ended')"

    def __init__(self, server: FakeDiscord, folder: Path, kills: int, seed: int) -> None:
        self.server, self.folder, self.kills, self.dice = server, folder, kills, random.Random(seed)
        world = server.world
        self.users = [world.add_user(name) for name in ("ada", "ben", "cora")]
        self.channel = world.add_channel(world.add_guild("Studio", *self.users))
        self.database = folder / "data" / "atelier.sqlite3"
        self.settings: dict[str, object] = {
            "data_dir": folder / "data",
            "model": make_model(folder / "model", name="Painter", native_size=64),
            "log_level": "WARNING",
        }
        self.wrong: list[str] = []

    async def run(self) -> None:
        """Kill the bot `kills` times, then let it finish and compare."""
        killed = 0
        while killed < self.kills:
            await self._live(lifetime=None)
            while killed < self.kills and self._active():
                self._take_part_and_make_due()
                killed += 1
                await self._live(lifetime=self.dice.uniform(*LIFETIME_S))
            print(f"{killed} kills", flush=True)
        await self._let_it_finish()
        self._compare()

    async def _let_it_finish(self) -> None:
        self._take_part_and_make_due()
        await self._live(lifetime=None)

    async def _live(self, lifetime: float | None) -> None:
        """Start the bot and kill it after `lifetime` seconds; without one, once a round can be voted on."""
        bot = await start_bot(SCRIPTED_BOT, self.server, self.folder, self.settings)
        try:
            await self._wait_connected(bot)
            if lifetime is not None:
                await asyncio.sleep(lifetime)
                return
            await self.server.wait_commands()
            if not self._active():
                await self._start()
                async with asyncio.timeout(SETTLE_TIMEOUT_S):
                    while not self._active():  # noqa: ASYNC110 (nothing tells of it)
                        await asyncio.sleep(STEP_S)
            await self._settle()
        finally:
            await bot.kill()

    async def _start(self) -> None:
        options: dict[str, Any] = {"prompt": "a castle --steps 4", "where": "here", "rounds": ROUNDS}
        await self.server.person(self.users[0]).command("jam start", self.channel, **options)

    async def _wait_connected(self, bot: BotProcess) -> None:
        before, deadline = len(self.server.gateway.identifies), time.monotonic() + SETTLE_TIMEOUT_S
        while len(self.server.gateway.identifies) == before:
            if bot.exited or time.monotonic() > deadline:
                raise RuntimeError("the bot does not connect:\n" + "\n".join(bot.lines))
            await asyncio.sleep(STEP_S)

    async def _settle(self) -> None:
        async with asyncio.timeout(SETTLE_TIMEOUT_S):
            while self._is_moving():  # noqa: ASYNC110 (nothing tells of it)
                await asyncio.sleep(STEP_S)

    def _is_moving(self) -> bool:
        phases = self._rows(f"SELECT phase NOT IN {self.at_rest} OR due_at <= {time.time()} FROM collab_sessions")
        return not phases or any(moves for (moves,) in phases)

    def _active(self) -> bool:
        return self.database.exists() and bool(self._rows("SELECT 1 FROM collab_sessions WHERE ended_at IS NULL"))

    def _take_part_and_make_due(self) -> None:
        """Let two people vote in the present round, and make its end due."""
        for number, user in enumerate(self.users[1:]):
            self._rows(
                f"""INSERT INTO ballots SELECT id, round, {user.id}, 'tile', '{self.dice.randrange(4)}', {number}
                    FROM collab_sessions WHERE phase IN ('voting', 'extended') ON CONFLICT DO NOTHING"""
            )
        self._rows(f"UPDATE collab_sessions SET due_at = {time.time() - 1} WHERE phase IN ('voting', 'extended')")

    def _rows(self, sql: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self.database, timeout=10)) as database, database:
            return database.execute(sql).fetchall()

    def _compare(self) -> None:
        messages = [each for each in self.server.messages(self.channel) if each.attachments and not each.ephemeral]
        posted = Counter[str]()
        for message in messages:
            ids = {part.get("custom_id", "").split(":")[-1].partition("-")[0] for part in message.buttons}
            posted.update(ids)
        rounds = self._rows("SELECT session, round, job_id FROM collab_rounds ORDER BY session, round")
        states = dict(self._rows("SELECT id, state FROM jobs"))
        for session, number, job_id in rounds:
            if posted[job_id] != 1 or states.get(job_id) != "answered":
                self.wrong.append(f"{session} round {number}: {posted[job_id]} messages, job {states.get(job_id)}")
        if len(states) != len(rounds):
            self.wrong.append(f"{len(states)} jobs for {len(rounds)} rounds")
        print(f"{len(rounds)} rounds, {len(messages)} pictures")


class ContestKills(SessionKills):
    """Runs one contest after another; entries and votes are written between two lives."""

    at_rest = "('theme', 'second_theme', 'entries', 'more_entries', 'voting', 'more_voting', 'asleep', 'ended')"

    def _is_moving(self) -> bool:
        unposted = self._rows(
            """SELECT 1 FROM collab_sessions JOIN collab_rounds USING (round)
               WHERE collab_rounds.session = collab_sessions.id AND ended_at IS NULL
                 AND collab_rounds.message_id IS NULL AND instr(facts, 'silent') = 0"""
        )
        return super()._is_moving() or bool(unposted) or not self._active()  # one contest follows the other

    async def _start(self) -> None:
        """Draw pictures that can be entered, and begin the show."""
        for user in self.users:
            person = self.server.person(user)
            await person.command("imagine", self.channel, prompt=f"{user.name}s castle --steps 4")
            grid = await self.server.wait_for(
                self.channel, lambda message, user=user: user.name in message.content and "U1" in message.labels
            )
            await person.press(grid, "U1")
            await self.server.wait_for(
                self.channel, lambda message, user=user: user.name in message.content and "Details" in message.labels
            )
        options: dict[str, Any] = {"channel": self.channel, "theme_by": "winner"}
        await self.server.person(self.users[0]).command("config contest", self.channel, **options)

    def _take_part_and_make_due(self) -> None:
        """Enter each person's picture, or compare two at random, and make the end of the phase due."""
        for user in self.users:
            self._rows(
                f"""INSERT OR IGNORE INTO contest_entries (session, person, job_id, tile_index, at)
                    SELECT collab_sessions.id, {user.id}, jobs.id, 0, 0 FROM collab_sessions, jobs
                    WHERE phase IN ('entries', 'more_entries') AND jobs.asker_id = {user.id} AND jobs.action = 'pick'
                      AND jobs.state = 'answered' LIMIT 1"""
            )
            self._rows(
                f"""INSERT OR IGNORE INTO ballots
                    SELECT session, round, {user.id}, min(contest_entries.id) || '-' || max(contest_entries.id),
                           {self.dice.choice(("min", "max"))}(contest_entries.id), 0
                    FROM contest_entries JOIN collab_sessions ON collab_sessions.id = session
                    WHERE phase IN ('voting', 'more_voting') AND person <> {user.id} GROUP BY session"""
            )
        self._rows(f"UPDATE collab_sessions SET due_at = {time.time() - 1} WHERE ended_at IS NULL AND due_at > 0")

    def _compare(self) -> None:
        messages = [each for each in self.server.messages(self.channel) if not each.ephemeral]
        posted = Counter(
            part["custom_id"].removeprefix("contest:help:")
            for message in messages
            for part in message.buttons
            if part.get("custom_id", "").startswith("contest:help:")
        )
        rounds = self._rows("SELECT session, round, facts FROM collab_rounds ORDER BY session, round")
        for session, number, facts in rounds:
            wanted = 0 if "silent" in facts else 1
            if posted[f"{session}:{number}"] != wanted:
                self.wrong.append(f"{session} phase {number}: {posted[f'{session}:{number}']} messages")
        sessions = self._rows("SELECT settings, ended_at IS NOT NULL FROM collab_sessions ORDER BY made_at")
        numbers = [json.loads(settings)["number"] for settings, _ in sessions]
        if numbers != list(range(1, len(sessions) + 1)) or [ended for _, ended in sessions].count(0) != 1:
            self.wrong.append(f"contests {numbers}, ended {[ended for _, ended in sessions]}")
        unplaced = self._rows(
            """SELECT session FROM contest_entries JOIN collab_sessions ON collab_sessions.id = session
               WHERE ended_at IS NOT NULL AND place IS NULL"""
        )
        self.wrong += [f"{session}: an entry without a place" for (session,) in unplaced]
        print(f"{len(sessions)} contests, {len(rounds)} phases")


class TelephoneKills(SessionKills):
    """Plays one telephone after another; players and their words are written between two lives."""

    at_rest = "('joining', 'turn', 'reveal', 'ended')"

    def _is_moving(self) -> bool:
        unposted = self._rows(
            """SELECT 1 FROM collab_sessions JOIN collab_rounds USING (round) LEFT JOIN jobs ON jobs.id = job_id
               WHERE collab_rounds.session = collab_sessions.id AND collab_sessions.ended_at IS NULL
                 AND CASE phase WHEN 'turn' THEN collab_rounds.message_id IS NULL
                                WHEN 'reveal' THEN state <> 'answered' END"""
        )
        return super()._is_moving() or bool(unposted)

    async def _let_it_finish(self) -> None:
        while self._active():
            self._take_part_and_make_due()
            await self._live(lifetime=None)

    async def _start(self) -> None:
        options: dict[str, Any] = {"players": len(self.users), "where": "here"}
        await self.server.person(self.users[0]).command("telephone start", self.channel, **options)

    def _take_part_and_make_due(self) -> None:
        """Let all others join, or the player of the present turn write something, and make what follows due."""
        for (session,) in self._rows("SELECT id FROM collab_sessions WHERE phase = 'joining'"):
            for user in self.users[1:]:
                player = Player(session_id=session, person_id=user.id, name=user.name)
                self._rows(
                    f"""INSERT OR IGNORE INTO telephone_players
                        VALUES ('{session}', {user.id}, '{player.lot}', '{user.name}', '[]')"""
                )
        if self.dice.random() < 0.8:  # otherwise the player is away
            self._rows(
                """UPDATE collab_rounds SET facts = json_set(facts, '$.words', 'a castle number ' || round)
                   WHERE (session, round) IN (SELECT id, round FROM collab_sessions WHERE phase = 'turn')"""
            )
            self._rows("UPDATE collab_sessions SET phase = 'drawing', due_at = NULL WHERE phase = 'turn'")
        self._rows(f"UPDATE collab_sessions SET due_at = {time.time() - 1} WHERE due_at > 0")

    def _compare(self) -> None:
        messages = [each for each in self.server.messages(self.channel) if not each.ephemeral]
        buttons = [part.get("custom_id", "") for message in messages for part in message.buttons]
        turns = Counter(each.removeprefix("telephone:turn:") for each in buttons if each.startswith("telephone:turn:"))
        posted = Counter(each.split(":")[-1].partition("-")[0] for each in buttons if each.startswith("like:"))
        ends = Counter(each.split(":")[-1] for each in buttons if each.startswith("telephone:again:"))
        rounds = self._rows("SELECT session, round, job_id, facts FROM collab_rounds ORDER BY session, round")
        states = dict(self._rows("SELECT id, state FROM jobs"))
        for session, number, job_id, facts in rounds:
            if turns[f"{session}:{number}:0"] != 1:
                self.wrong.append(f"{session} turn {number}: {turns[f'{session}:{number}:0']} messages")
            is_written = "words" in facts
            if posted[job_id] != is_written or (is_written and states.get(job_id) != "answered"):
                self.wrong.append(f"{session} picture {number}: {posted[job_id]} messages, job {states.get(job_id)}")
        written = {session for session, _, _, facts in rounds if "words" in facts}
        for (session,) in self._rows("SELECT id FROM collab_sessions WHERE ended_at IS NOT NULL"):
            if ends[session] != (session in written):
                self.wrong.append(f"{session}: {ends[session]} last messages")
        print(f"{len(ends)} games, {len(rounds)} turns, {sum(posted.values())} pictures")


class CanvasKills(SessionKills):
    """Lets people paint one canvas after the other, and kills the bot in the middle of pieces and of placements."""

    at_rest = "('painting', 'ended')"

    def __init__(self, server: FakeDiscord, folder: Path, kills: int, seed: int) -> None:
        super().__init__(server, folder, kills, seed)
        self.pixels: dict[str, str] = {}  # of each placed cell, when it was first seen

    async def run(self) -> None:
        """Kill the bot `kills` times while people paint, then let it finish and compare."""
        for killed in range(self.kills):
            if not self._active():
                await self._live(lifetime=None)
            await self._paint_and_kill()
            self._look_at_cells()
            if killed % 20 == 19:
                print(f"{killed + 1} kills, {len(self.pixels)} cells", flush=True)
        await self._live(lifetime=None)
        self._look_at_cells()
        self._compare()

    async def _start(self) -> None:
        options: dict[str, Any] = {"theme": "a mosaic sea --steps 4", "width": 4, "height": 4, "order": "free"}
        await self.server.person(self.users[0]).command("canvas start", self.channel, **options)

    async def _paint_and_kill(self) -> None:
        bot = await start_bot(SCRIPTED_BOT, self.server, self.folder, self.settings)
        people: list[asyncio.Task[None]] = []
        try:
            await self._wait_connected(bot)
            people = [asyncio.create_task(self._paint(user)) for user in self.users]
            await asyncio.sleep(self.dice.uniform(*PAINTING_S))
        finally:
            await bot.kill()
            for person in people:
                person.cancel()
            await asyncio.gather(*people, return_exceptions=True)
        self._rows("UPDATE canvas_pieces SET placed_at = placed_at - 60")  # nobody has to wait for the next one
        if self.dice.random() < 0.3:
            self._rows("UPDATE canvas_claims SET until = 0")
            self._rows("UPDATE collab_sessions SET due_at = 0 WHERE phase = 'painting'")

    async def _paint(self, user: User) -> None:
        while True:
            if message := self._standing():
                with contextlib.suppress(InteractionFailed, TimeoutError, UserActionError, AssertionError):
                    await painters.paint(self.server.person(user), message[-1], self.dice)
            await asyncio.sleep(STEP_S)

    def _standing(self) -> list[Message]:
        return [
            each for each in self.server.messages(self.channel) if painters.paint_button(each) and not each.ephemeral
        ]

    def _look_at_cells(self) -> None:
        """Compare the placed cells with what they were, and with the candidates that they were cut from."""
        rows = self._rows(
            """SELECT canvas_cells.session, canvas_cells.x, canvas_cells.y, job_id, tile_index,
                      canvas_cells.x - canvas_pieces.x, canvas_cells.y - canvas_pieces.y
               FROM canvas_cells JOIN canvas_pieces ON number = piece"""
        )
        found: dict[str, str] = {}
        for session, x, y, job_id, index, right, down in rows:
            name = f"{session}-{job_id}-{index}-{x}-{y}"
            data = self.folder / "data" / "cells" / name[:2] / f"{name}.png"
            tile = self.folder / "data" / "tiles" / job_id[:2] / f"{job_id}-{index}.png"
            with Image.open(data) as cell, Image.open(tile) as square:
                side, margin = cell.width, square.width // 2 - cell.width
                left, top = margin + right * side, margin + down * side
                cut = square.convert("RGB").crop((left, top, left + side, top + side))
                if cell.convert("RGB").tobytes() != cut.tobytes():
                    self.wrong.append(f"cell {name} differs from its candidate")
                found[name] = hashlib.sha256(data.read_bytes()).hexdigest()
        self.wrong += [f"cell {name} has changed" for name in self.pixels if found.get(name) != self.pixels[name]]
        self.pixels |= found

    def _compare(self) -> None:
        messages = [each for each in self.server.messages(self.channel) if not each.ephemeral]
        posted = Counter[str]()
        for message in messages:
            ids = {part.get("custom_id", "") for part in message.buttons}
            posted.update({each.split(":")[2] for each in ids if each.startswith("canvas:look:")})
            posted.update({each.split(":")[-1].partition("-")[0] for each in ids if each.startswith("details:")})
        # Without its canvas, a session was killed before its message, and ended by the next start.
        sessions = self._rows(
            "SELECT id, phase, EXISTS (SELECT 1 FROM canvases WHERE session = id) FROM collab_sessions"
        )
        finished = dict(self._rows("SELECT session, job_id FROM collab_rounds"))
        for session, phase, has_canvas in sessions:
            if posted[session] != has_canvas:
                self.wrong.append(f"{session}: {posted[session]} messages")
            if phase == "ended" and has_canvas and posted[finished.get(session, "")] != 1:
                self.wrong.append(f"{session}: {posted[finished[session]]} finished pictures")
        doubled = self._rows("SELECT session, count(*) FROM canvas_claims GROUP BY session, person HAVING count(*) > 1")
        self.wrong += [f"{session}: {number} claims of one person" for session, number in doubled]
        print(f"{len(sessions)} canvases, {len(finished)} finished, {len(self.pixels)} cells")


KINDS: dict[str, type[SessionKills]] = {"contest": ContestKills, "telephone": TelephoneKills, "canvas": CanvasKills}


async def kill_sessions(kills: int, seed: int, kind: type[SessionKills]) -> list[str]:
    """Run the fake Discord and the bot; return what was wrong."""
    with tempfile.TemporaryDirectory(prefix="atelier-session-kills-") as name:
        server = FakeDiscord(World(), limits=())
        server.app.middlewares.insert(0, delay)
        async with server:
            sessions = kind(server, Path(name), kills, seed)
            await sessions.run()
        if server.violations or server.crashes:
            raise RuntimeError(f"the fake Discord reports errors: {server.violations[:3]} {server.crashes[:3]}")
    return sessions.wrong


def main() -> int:
    """Parse the command line, kill, and return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--contest", action="store_true", help="contests instead of jams")
    parser.add_argument("--telephone", action="store_true", help="telephones instead of jams")
    parser.add_argument("--canvas", action="store_true", help="canvases instead of jams")
    args = parser.parse_args()
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # a kill aborts requests
    kind = next((kind for name, kind in KINDS.items() if getattr(args, name)), SessionKills)
    wrong = asyncio.run(kill_sessions(args.kills, args.seed, kind))
    print("\n".join(wrong) or "nothing is wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
