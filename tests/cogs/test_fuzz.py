"""Users press random buttons over several restarts of the bot: no job is lost or posted twice."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

import pytest

from generation.params import Tile
from preview.state.interactions import MODAL
from preview.users.options import UserActionError
from tests.support.bot_harness import is_result

PROMPTS = (
    *("a fox", "an owl --ar 2:1", "a cat --seed 4 --no dog", "a pattern --tile", "a private fox --stealth"),
    *("a {red, blue} fox", "a fox --repeat 2", "a fox --aspct 3:2", "huge fox", "fox --chaos 500"),
)
EDITED = (None, None, "a wolf", "a wolf --aspct 3:2", "a wolf --ar 3:2 --zoom 1.5")
ROUNDS = 30
ROUNDS_PER_RUN = 10  # rounds between two restarts
ACTIONS_PER_ROUND = 5  # actions of a round


@dataclass
class FuzzUsers:
    """Three simulated users who act at random, two actions at a time."""

    harness: object
    rng: random.Random
    people: list = field(init=False)

    def __post_init__(self):
        self.people = [self.harness.person(user) for user in (self.harness.ada, self.harness.ben, self.harness.mod)]

    async def random_action(self):
        """Do one thing that Discord's client allows; return the interaction, or None if there is none."""
        person = self.rng.choice(self.people)
        try:
            if self.rng.random() < 0.25:
                prompt = self.rng.choice(PROMPTS)
                return await person.command("imagine", self.harness.channel, prompt=prompt)
            return await self._use(person, self.rng.choice(self._usable(person)))
        except (UserActionError, IndexError):
            return None

    async def submit_or_dismiss(self, interaction):
        """Submit a modal, changed or not, or dismiss it."""
        person = next(person for person in self.people if person.user is interaction.user)
        more = {}
        if (await interaction.modal())["custom_id"].startswith("prompt:") and (edited := self.rng.choice(EDITED)):
            more["prompt"] = edited
        if self.rng.random() < 0.8:
            try:
                return await person.submit_modal(interaction, **more)
            except UserActionError:
                pass
        return None

    def _usable(self, person):
        return [message for message in person.visible_messages(self.harness.channel) if message.buttons][-12:]

    async def _use(self, person, message):
        button = self.rng.choice(message.buttons)
        if button["custom_id"].startswith("cell") and self.rng.random() < 0.3:
            return await person.select(message, "Left half")
        return await person.press(message, custom_id=button["custom_id"])


async def run_round(crowd):
    """Run several actions at once, and wait until each has a response."""
    done = [each for each in [await crowd.random_action() for _ in range(ACTIONS_PER_ROUND)] if each]
    answers = await asyncio.gather(*(each.response() for each in done))
    forms = [each for each, answer in zip(done, answers, strict=True) if answer.type == MODAL]
    sent = [each for each in [await crowd.submit_or_dismiss(form) for form in forms] if each]
    await asyncio.gather(*(each.response() for each in sent))


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_random_presses_get_each_job_posted_once_and_keep_the_store_sane(harness, seed):
    crowd = FuzzUsers(harness, random.Random(seed))
    for _ in range(ROUNDS // ROUNDS_PER_RUN):
        async with harness.bot(waiting_per_person=8) as services:
            for _ in range(ROUNDS_PER_RUN):
                await run_round(crowd)
                if crowd.rng.random() < 0.1:
                    await harness.server.gateway.drop(4000)
                if crowd.rng.random() < 0.3:
                    await services.db.preferences.update(
                        crowd.rng.choice(crowd.people).user.id, remix=crowd.rng.choice([True, False])
                    )
    async with harness.bot() as services:
        async with asyncio.timeout(60):
            while await services.db.jobs.open_records():  # noqa: ASYNC110 (no event reports it)
                await asyncio.sleep(0.01)
        rows = await services.db.jobs._connection.fetch_all("SELECT id, state, deleted_at, private FROM jobs")
        assert len(rows) > ROUNDS // 2
        for row in rows:
            assert_consistent(harness, services, row)


def assert_consistent(harness, services, row):
    """Compare a job's record with the channel and the files."""
    shown = [
        message
        for message in harness.server.messages(harness.channel)
        if is_result(message) and any(f":{row['id']}-" in each["custom_id"] for each in message.buttons)
    ]
    kept = services.images.files.path(Tile(row["id"], 0)).exists()
    if row["deleted_at"] is not None:
        assert (len(shown), kept) == (0, False), dict(row)
    elif row["state"] == "answered":
        assert (len(shown), kept) == (1, True), dict(row)
    else:
        assert row["state"] in ("failed", "cancelled"), dict(row)
        assert not shown, dict(row)
