"""/imagine: four pictures from words, and perhaps a picture."""

from __future__ import annotations

import asyncio
import io

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client
from bot.delivery import TROUBLE
from bot.destination import is_private
from bot.habits import habits_of
from cogs.road import Interaction, Road
from generation.display import shorten
from generation.errors import Complaint
from generation.intake import MAX_BYTES, clean
from generation.job import Action
from generation.params import Upload
from generation.prompt import PromptFaults

MOST_TAKEN_IN = 2  # attached pictures at once: each takes memory, and a thread that others wait for
DOWNLOAD_TIMEOUT = 60.0  # seconds
LONGEST_ECHO = 1500  # characters of a refused prompt that fit into the answer; a longer one comes as a file


class Imagine(commands.Cog):
    """Draw what somebody asks for in words."""

    def __init__(self, client: Client, road: Road) -> None:
        self.road = road
        self.studio = client.studio
        self.taking_in = asyncio.Semaphore(MOST_TAKEN_IN)

    @app_commands.command(description="Draw four pictures from your words")
    @app_commands.describe(
        prompt="What to draw, then parameters such as --ar 3:2 --seed 7 --no clouds",
        image="A picture to start from",
    )
    async def imagine(
        self,
        interaction: Interaction,
        prompt: app_commands.Range[str, 1, 6000],
        image: discord.Attachment | None = None,
    ) -> None:
        habits = await habits_of(self.studio, interaction)
        try:
            wish = habits.read(prompt, self.studio.model, attached=1 if image else 0)
            if wish.links:
                raise PromptFaults("Links to pictures are not followed here: attach the picture instead")
        except PromptFaults as faults:
            await give_back(interaction, faults, prompt)
            return
        private, pictures = is_private(interaction, wish.private, habits.preferences), []
        if image is not None:
            self.studio.queue.check(interaction.user.id)
            await interaction.response.defer(thinking=True, ephemeral=private)
            pictures.append(await self._take_in(image))
        params = wish.with_pictures(pictures)
        await self.road.ask(interaction, Action.IMAGINE, params, speed=wish.speed, private=private)

    async def _take_in(self, image: discord.Attachment) -> Upload:
        if image.size > MAX_BYTES:
            raise Complaint(f"`{image.filename}` is too large: I take pictures of up to {MAX_BYTES >> 20} MiB.")
        try:
            async with self.taking_in, asyncio.timeout(DOWNLOAD_TIMEOUT):
                data = await image.read()
                png = await asyncio.to_thread(clean, data)
        except TROUBLE:
            raise Complaint(f"Discord did not give me `{image.filename}`: please try again.") from None
        return await self.studio.pictures.take_in(png)


async def give_back(interaction: Interaction, faults: PromptFaults, prompt: str) -> None:
    """Say privately what is wrong with a prompt, and give it back whole."""
    if len(prompt) <= LONGEST_ECHO and "```" not in prompt and len(str(faults)) < 2000 - LONGEST_ECHO - 20:
        await interaction.response.send_message(f"{faults}\n```\n{prompt}\n```", ephemeral=True)
        return
    file = discord.File(io.BytesIO(prompt.encode()), "prompt.txt")
    await interaction.response.send_message(shorten(str(faults), 1900), file=file, ephemeral=True)


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this, after the road's."""
    road = client.get_cog("Road")
    assert isinstance(road, Road)
    await client.add_cog(Imagine(client, road))
