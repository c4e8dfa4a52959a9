"""Kill the bot amid jobs that are more than words and a grid: `python -m benchmarks.kind_kills --kills 100`.

These are edits of pictures, of words and with other words held, characters, colours, blends, films, walks and
descriptions, which begin with forms, uploads and buttons. All else is as in benchmarks/kills.py.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks.kills import STEPS, Guild, Run, job_id_of, main
from preview import FakeDiscord, Interaction, User
from preview.users.options import UploadedFile, UserActionError
from tests.support.bot_harness import make_model, red_png
from tests.support.image_adapter_headers import plain, write, write_encoder

FORM_TIMEOUT_S = 1.5  # for a form to open: the bot may have been killed
Act = Callable[[User], Awaitable[Interaction | None]]


class KindsGuild(Guild):
    """Users who ask for the other kinds of jobs."""

    def actions(self) -> list[Act]:
        """Return what they do; a grid now and then, because most begin with one."""
        return [
            self.imagine,
            self.imagine,
            self.pick,
            self.edit_picture,
            self.edit_words,
            self.edit_words,
            self.hold,
            self.retouch,
            self.draw_character,
            self.colour,
            self.blend,
            self.describe,
            self.draw_described,
            self.animate,
            self.film_appearance,
            self.walk,
            self.imagine_several,
            self.cancel,
        ]

    async def pick(self, user: User) -> Interaction | None:
        """Take a picture out of a grid: most buttons are below a single one."""
        return await self._press_any(user, "U1")

    async def edit_picture(self, user: User) -> Interaction:
        """Change an attached picture as words say."""
        return await self._command(user, "edit", instruction=f"make it winter --steps {STEPS}", picture=self._file())

    async def edit_words(self, user: User) -> Interaction | None:
        """Draw a picture with other words."""
        return await self._fill_in(user, "Edit words", prompt=f"owl {self._next()} --steps {STEPS}")

    async def hold(self, user: User) -> Interaction:
        """Hold a picture where its new words make no difference."""
        return await self.imagine(user, more="a [red:blue:.1] boat --hold ")

    async def retouch(self, user: User) -> Interaction:
        """Retouch an attached picture."""
        return await self.imagine(user, more="a [red:blue:.1] boat --retouch ", image=self._file())

    async def draw_character(self, user: User) -> Interaction:
        """Draw the character of a picture."""
        return await self.imagine(user, character=self._file())

    async def colour(self, user: User) -> Interaction:
        """Colour an attached picture."""
        return await self.imagine(user, more="--colour ", image=self._file())

    async def blend(self, user: User) -> Interaction:
        """Blend two pictures."""
        return await self._command(user, "blend", image1=self._file(), image2=self._file())

    async def describe(self, user: User) -> Interaction:
        """Describe an attached picture."""
        return await self._command(user, "describe", image=self._file())

    async def draw_described(self, user: User) -> Interaction | None:
        """Draw a prompt of a description, or describe the picture again."""
        if self.dice.random() < 0.5:
            return await self._press_any(user, "🔄", among="Described for")
        return await self._fill_in(user, "1", among="Described for")

    async def animate(self, user: User) -> Interaction | None:
        """Make a film that zooms out of a picture."""
        return await self._fill_in(user, "Animate", steps="3")

    async def film_appearance(self, user: User) -> Interaction:
        """Draw a grid with a film of how it appeared."""
        return await self.imagine(user, more="--video ")

    async def walk(self, user: User) -> Interaction:
        """Walk from one picture to another."""
        return await self._command(user, "walk", **{"from": f"fox {self._next()}", "to": f"owl {self._next()}"})

    async def _command(self, user: User, name: str, **options: Any) -> Interaction:
        return await self.server.person(user).command(name, self.dice.choice(self.channels), **options)

    async def _press_any(self, user: User, label: str, among: str = "") -> Interaction | None:
        found = [each for each in self._messages(user) if label in each.labels and among in each.content]
        return await self.server.person(user).press(self.dice.choice(found[-8:]), label) if found else None

    async def _fill_in(self, user: User, label: str, among: str = "", **fields: Any) -> Interaction | None:
        """Press a button and submit its form."""
        pressed = await self._press_any(user, label, among)
        if pressed is None:
            return None
        try:
            await pressed.modal(FORM_TIMEOUT_S)
        except (AssertionError, TimeoutError) as error:
            raise UserActionError("no form opens") from error
        return await self.server.person(user).submit_modal(pressed, fields)

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _file(self) -> UploadedFile:
        return UploadedFile("red.png", red_png(64 + self._next(), 64))


class KindsRun(Run):
    """Also checks that each film was added once."""

    def __init__(self, server: FakeDiscord, folder: Path, kills: int, seed: int, workers: int) -> None:
        super().__init__(server, folder, kills, seed, workers, KindsGuild)
        painter = folder / "model"
        file = painter / "atelier.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"known": {"things": ["boat", "fox"]}}))
        editor = make_model(folder / "editor", name="Editor", native_size=64)
        for model, channels in ((painter, 4), (Path(editor), 8)):
            (model / "unet").mkdir()
            config = {"cross_attention_dim": 768, "in_channels": channels}
            (model / "unet" / "config.json").write_text(json.dumps(config))
        adapters = folder / "adapters"
        write_encoder(adapters / "image_encoder")
        write(adapters / "ip-adapter_sd15.safetensors", plain())
        self.settings |= {"model": f"{painter},{editor}", "image_adapters": adapters}

    def check(self) -> None:
        """Compare the jobs with the messages, and the films with their results."""
        super().check()
        for message in self.guild.all_messages():
            films = [each for each in message.attachments if each.filename.startswith("film_")]
            if len(films) > 1:
                self.count.report("a film too many", f"{job_id_of(message)}: {len(films)}")


if __name__ == "__main__":
    sys.exit(main(__doc__, 100, KindsRun))
