"""discord.py's real client answers simulated people through the stand-in."""

import io

import discord
import pytest
from discord import app_commands
from PIL import Image

from preview import PersonError, Upload


def png(width: int = 8, height: int = 6) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def place(world):
    ada = world.add_user("ada", display_name="Ada 🌙 Ł")
    guild = world.add_guild("Studio", ada)
    return ada, guild, world.add_channel(guild)


@pytest.fixture
def imagine_bot(make_bot):
    bot = make_bot()

    @bot.tree.command(description="Draw")
    async def imagine(
        interaction: discord.Interaction,
        prompt: str,
        image: discord.Attachment | None = None,
        steps: app_commands.Range[int, 1, 50] = 20,
    ):
        size = len(await image.read()) if image else 0
        await interaction.response.send_message(f"{prompt} {steps} {size}")
        await interaction.edit_original_response(content="drawing")
        files = [discord.File(io.BytesIO(png()), f"{n}.png") for n in range(4)]
        await interaction.followup.send("done", files=files, view=Buttons())

    return bot


class Buttons(discord.ui.View):
    def __init__(self):
        super().__init__(timeout=None)
        self.add_item(Counter(7))


class Counter(discord.ui.DynamicItem[discord.ui.Button], template=r"count:(?P<n>\d+)"):
    def __init__(self, n: int):
        super().__init__(discord.ui.Button(label="U1", custom_id=f"count:{n}"))
        self.n = n

    @classmethod
    async def from_custom_id(cls, interaction, item, match):
        return cls(int(match["n"]))

    async def callback(self, interaction):
        await interaction.response.edit_message(content=f"pressed {self.n}")


async def test_a_command_is_answered_edited_and_followed_by_files_and_a_button_that_works(
    server, run, place, imagine_bot
):
    ada, _, channel = place
    bot = imagine_bot
    bot.add_dynamic_items(Counter)
    async with run(bot):
        person = server.person(ada)
        used = await person.command("imagine", channel, prompt="a fox 🦊", image=Upload("fox.png", png()), steps=3)
        answer = await used.message()
        done = await used.followup()
        assert [one.content for one in answer.history] == [f"a fox 🦊 3 {len(png())}", "drawing"]
        assert [(each.filename, each.width, each.height) for each in done.attachments] == [
            (f"{n}.png", 8, 6) for n in range(4)
        ]
        pressed = await person.press(done, "U1")
        await pressed.response()
        assert done.content == "pressed 7"
        assert len(done.attachments) == 4
    assert not bot.errors


async def test_the_person_cannot_send_what_discord_would_not(server, run, place, imagine_bot):
    ada, _, channel = place
    async with run(imagine_bot):
        person = server.person(ada)
        for given in ({}, {"prompt": "x", "steps": 51}, {"prompt": 3}, {"prompt": "x", "colour": "red"}):
            with pytest.raises(PersonError):
                await person.command("imagine", channel, **given)
