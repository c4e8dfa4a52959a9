"""Let four people paint a canvas with the embedded model: `python -m benchmarks.canvas_seams --save canvas.webp`.

The steps of colour at the borders of cells, as a multiple of the larger steps elsewhere, must stay near one; the same
cells in another order show what seams are. The colours of later pieces are compared with those of the first ones.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import random
import sqlite3
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.harness import BOT_COMMAND, LOAD_TIMEOUT_S, start_bot
from generation.models.model import EMBEDDED
from preview import FakeDiscord, Message, SimulatedUser, World
from preview.state.world import walk_components
from preview.users.painters import paint_button

Pixels = NDArray[np.float64]
THEME = "the sea at sunset"
COLUMNS, ROWS = 7, 5
WORDS = (  # by height: what people see there
    ("clouds at sunset", "a red balloon in the sky", "birds in the sky", "the moon in the sky"),
    ("mountains at sunset", "a castle on a hill", "a lighthouse", "a windmill on a hill"),
    ("a red boat on the sea", "a white boat on the sea", "a fish in the sea", "the sea at sunset"),
)
PAINTING_TIMEOUT_S = 3600.0
LIMIT = 1.2  # as `tests/generation/engine/images/test_outpainting.py` allows at one border


class Painters:
    """Four people who paint a canvas."""

    def __init__(self, server: FakeDiscord, folder: Path, seed: int) -> None:
        self.server, self.folder, self.dice = server, folder, random.Random(seed)
        self.people = [server.world.add_user(name) for name in ("mira", "jonas", "priya", "teo")]
        self.channel = server.world.add_channel(server.world.add_guild("Studio", *self.people))

    async def paint(self) -> Message:
        """Paint until the canvas is full, and return the message with the whole picture."""
        options: dict[str, Any] = {"theme": THEME, "width": COLUMNS, "height": ROWS, "order": "free"}
        await self.server.person(self.people[0]).command("canvas start", self.channel, **options)
        await self.server.wait_for(self.channel, lambda message: paint_button(message) is not None)
        number = 0
        async with asyncio.timeout(PAINTING_TIMEOUT_S):
            while (message := self._standing()) is not None:
                await self._paint_piece(self.server.person(self.people[number % len(self.people)]), message)
                self._pass_pause()
                number += 1
        return await self.server.wait_for(
            self.channel, lambda message: len(message.attachments) > 1, 300, description="the whole picture"
        )

    def _standing(self) -> Message | None:
        found = [each for each in self.server.messages(self.channel) if paint_button(each) and not each.ephemeral]
        return found[-1] if found else None

    async def _paint_piece(self, person: SimulatedUser, message: Message) -> None:
        shown = await (await person.press(message, custom_id=paint_button(message) or "")).message()
        selects = [part for part in walk_components(shown.components) if part["type"] == 3]
        if not selects:  # the last piece was just placed
            await asyncio.sleep(1.0)
            return
        place = self.dice.choice(selects[0]["options"])["value"]
        form = await person.select(shown, place, custom_id=selects[0]["custom_id"])
        words = self.dice.choice(WORDS[int(place.split(":")[1]) * len(WORDS) // ROWS])
        asked = await person.submit_modal(form, {"words": words})
        candidates = await asked.wait_for(lambda each: "4" in each.labels, timeout=600)
        await (await person.press(candidates, self.dice.choice("1234"))).response()
        await self.server.wait_until(lambda: "is on the canvas" in candidates.content)

    def _pass_pause(self) -> None:
        with contextlib.closing(sqlite3.connect(self.folder / "data" / "atelier.sqlite3", timeout=30)) as database:
            database.execute("UPDATE canvas_pieces SET placed_at = placed_at - 60")
            database.commit()

    def pieces(self) -> list[list[tuple[int, int]]]:
        """Return the cells of each piece in the order in which they were placed."""
        with contextlib.closing(sqlite3.connect(self.folder / "data" / "atelier.sqlite3")) as database:
            rows = database.execute("SELECT json_group_array(json_array(x, y)) FROM canvas_cells GROUP BY piece")
            return [[(x, y) for x, y in json.loads(cells)] for (cells,) in rows]


def seams(picture: Pixels, cell: int) -> list[float]:
    """Return the step at each border between two cells, as a multiple of the larger steps beside it."""
    found = []
    for grid in (picture, picture.transpose(1, 0, 2)):
        steps = np.abs(np.diff(grid, axis=0)).mean(2)
        for border in range(cell, len(grid), cell):
            for left in range(0, grid.shape[1], cell):
                strip = steps[border - cell : border + cell - 1, left : left + cell].mean(1)
                elsewhere = np.delete(strip, cell - 1)
                found.append(float(strip[cell - 1] / max(np.percentile(elsewhere, 95), 1.0)))
    return found


def shuffled(picture: Pixels, cell: int, dice: random.Random) -> Pixels:
    """Return the picture with its cells in another order."""
    corners = [(y, x) for y in range(0, len(picture), cell) for x in range(0, picture.shape[1], cell)]
    mixed = picture.copy()
    for (y, x), (top, left) in zip(corners, dice.sample(corners, len(corners)), strict=True):
        mixed[y : y + cell, x : x + cell] = picture[top : top + cell, left : left + cell]
    return mixed


def drift(picture: Pixels, cell: int, pieces: list[list[tuple[int, int]]]) -> tuple[float, float]:
    """Return how far the mean colours of the second quarter and of the last quarter of pieces are from the first."""
    colours = np.array(
        [
            np.mean([picture[y * cell : (y + 1) * cell, x * cell : (x + 1) * cell].mean((0, 1)) for x, y in cells], 0)
            for cells in pieces
        ]
    )
    quarter = max(1, len(colours) // 4)
    first = colours[:quarter].mean(0)
    second, last = colours[quarter : 2 * quarter].mean(0), colours[-quarter:].mean(0)
    return float(np.linalg.norm(second - first)), float(np.linalg.norm(last - first))


async def measure(seed: int, save: Path | None) -> bool:
    """Paint a canvas, print its seams and its colours, and return whether no seam shows."""
    with tempfile.TemporaryDirectory(prefix="atelier-canvas-") as name:
        folder, server = Path(name), FakeDiscord(World(), limits=())
        settings: dict[str, object] = {"data_dir": folder / "data", "model": EMBEDDED}
        async with server:
            painters = Painters(server, folder, seed)
            bot = await start_bot(BOT_COMMAND, server, folder, settings)
            try:
                await bot.wait_for_log(" is ready on ", LOAD_TIMEOUT_S)
                await server.wait_connected()
                await server.wait_commands()
                last = await painters.paint()
            finally:
                await bot.stop()
            data = server.core.files.get(last.attachments[0].id)
            pieces = painters.pieces()
    with Image.open(io.BytesIO(data)) as opened:
        image = opened.convert("RGB")
    if save is not None:
        image.save(save, "WEBP", quality=80, method=6)
    picture, cell = np.asarray(image, np.float64), image.width // COLUMNS
    at_borders, mixed = seams(picture, cell), seams(shuffled(picture, cell, random.Random(seed)), cell)
    second, later = drift(picture, cell, pieces)
    print(f"{len(pieces)} pieces on {COLUMNS}×{ROWS} cells")
    for label, found in (("seams at borders", at_borders), ("the same cells in another order", mixed)):
        print(f"{label}: median {statistics.median(found):.2f}, 95 % below {np.percentile(found, 95):.2f}")
    print(f"mean colour: {second:.1f} of 255 from the first quarter to the second, {later:.1f} to the last")
    return statistics.median(at_borders) < LIMIT


def main() -> int:
    """Parse the command line, measure, and return 1 if seams show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", type=Path, help="where to save the whole picture")
    arguments = parser.parse_args()
    return 0 if asyncio.run(measure(arguments.seed, arguments.save)) else 1


if __name__ == "__main__":
    sys.exit(main())
