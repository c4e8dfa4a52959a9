"""People press whatever they see, in any order, over several lives of the bot: nothing is lost or comes twice."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

import pytest

from generation.params import Tile
from preview.state.interactions import MODAL
from preview.users.options import UserActionError
from tests.bot.conftest import is_result

PROMPTS = (
    *("a fox", "an owl --ar 2:1", "a cat --seed 4 --no dog", "a pattern --tile", "a private fox --stealth"),
    *("a {red, blue} fox", "a fox --repeat 2", "a fox --aspct 3:2", "huge fox", "fox --chaos 500"),
)
EDITED = (None, None, "a wolf", "a wolf --aspct 3:2", "a wolf --ar 3:2 --zoom 1.5")
ROUNDS = 30
LIFE = 10  # rounds from one restart to the next
AT_ONCE = 5  # acts of a round


@dataclass
class Crowd:
    """Three people with two hands each and no plan."""

    stage: object
    chance: random.Random
    people: list = field(init=False)

    def __post_init__(self):
        self.people = [self.stage.person(user) for user in (self.stage.ada, self.stage.ben, self.stage.mod)]

    async def act(self):
        """Do one thing that Discord's client would let somebody do; give the interaction, None where there was none."""
        person = self.chance.choice(self.people)
        try:
            if self.chance.random() < 0.25:
                prompt = self.chance.choice(PROMPTS)
                return await person.command("imagine", self.stage.channel, prompt=prompt)
            return await self._use(person, self.chance.choice(self._usable(person)))
        except (UserActionError, IndexError):
            return None

    async def fill_in(self, interaction):
        """Send in a form, changed or not, or forget about it."""
        person = next(person for person in self.people if person.user is interaction.user)
        more = {}
        if (await interaction.modal())["custom_id"].startswith("prompt:") and (edited := self.chance.choice(EDITED)):
            more["prompt"] = edited
        if self.chance.random() < 0.8:
            try:
                return await person.submit_modal(interaction, **more)
            except UserActionError:
                pass
        return None

    def _usable(self, person):
        return [message for message in person.sees(self.stage.channel) if message.buttons][-12:]

    async def _use(self, person, message):
        button = self.chance.choice(message.buttons)
        if button["custom_id"].startswith("cell") and self.chance.random() < 0.3:
            return await person.select(message, "Left half")
        return await person.press(message, custom_id=button["custom_id"])


async def round_of(crowd):
    """Let several things happen at once, and wait until each was answered."""
    done = [each for each in [await crowd.act() for _ in range(AT_ONCE)] if each]
    answers = await asyncio.gather(*(each.response() for each in done))
    forms = [each for each, answer in zip(done, answers, strict=True) if answer.type == MODAL]
    sent = [each for each in [await crowd.fill_in(form) for form in forms] if each]
    await asyncio.gather(*(each.response() for each in sent))


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whatever_people_press_every_job_is_answered_once_and_the_store_is_consistent(stage, seed):
    crowd = Crowd(stage, random.Random(seed))
    for _ in range(ROUNDS // LIFE):
        async with stage.bot(waiting_per_person=8) as studio:
            for _ in range(LIFE):
                await round_of(crowd)
                if crowd.chance.random() < 0.1:
                    await stage.server.gateway.drop(4000)
                if crowd.chance.random() < 0.3:
                    await studio.preferences.update(
                        crowd.chance.choice(crowd.people).user.id, remix=crowd.chance.choice([True, False])
                    )
    async with stage.bot() as studio:
        async with asyncio.timeout(60):
            while await studio.store.open_records():  # noqa: ASYNC110 (nothing there tells of it)
                await asyncio.sleep(0.01)
        rows = await studio.store._connection.fetch_all("SELECT id, state, deleted_at, private FROM jobs")
        assert len(rows) > ROUNDS // 2
        for row in rows:
            check(stage, studio, row)


def check(stage, studio, row):
    """Compare what the store says of a job with what is in the channel and on the disk."""
    shown = [
        message
        for message in stage.server.messages(stage.channel)
        if is_result(message) and any(f":{row['id']}-" in each["custom_id"] for each in message.buttons)
    ]
    kept = studio.images.path(Tile(row["id"], 0)).exists()
    if row["deleted_at"] is not None:
        assert (len(shown), kept) == (0, False), dict(row)
    elif row["state"] == "answered":
        assert (len(shown), kept) == (1, True), dict(row)
    else:
        assert row["state"] in ("failed", "cancelled"), dict(row)
        assert not shown, dict(row)
