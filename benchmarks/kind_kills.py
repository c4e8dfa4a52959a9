"""Kill the bot amid jobs that are more than words and a grid: `python -m benchmarks.kind_kills --kills 100`.

These are edits of pictures, of words and with other words held, characters, colours, blends, films, walks and
descriptions, which begin with forms, uploads and buttons. All else is as in benchmarks/kills.py.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks.kills import STEPS, Guild, Run, delay, job_id_of
from preview import FakeDiscord, Interaction, User, World
from preview.users.options import UploadedFile, UserActionError
from tests.generation.models.files.test_image_adapters import plain, write, write_encoder
from tests.support.bot_harness import make_model, red_png

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


async def kill_often(kills: int, seed: int, workers: int) -> int:
    """Run the fake Discord and the bot until there were enough kills; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="atelier-kind-kills-") as name:
        server = FakeDiscord(World(), limits=())
        server.app.middlewares.insert(0, delay)
        async with server:
            count = await KindsRun(server, Path(name), kills, seed, workers).run()
        if server.violations or server.crashes:
            raise RuntimeError(f"the fake Discord reports errors: {server.violations[:3]} {server.crashes[:3]}")
    print(f"{count.kills} kills, {count.worker_kills} of single workers; {dict(count.actions)}")
    print(f"{count.results} results; wrong: {dict(count.wrong) or 'nothing'}")
    return 1 if count.wrong else 0


def main() -> int:
    """Parse the command line, kill, print the counts, and return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # a kill aborts requests
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    return asyncio.run(kill_often(args.kills, args.seed, args.workers))


if __name__ == "__main__":
    sys.exit(main())
