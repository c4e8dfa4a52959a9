"""A bot with every kind of component, modal, embed and option, to test how the page renders them."""

from __future__ import annotations

import asyncio
import io
import re

import discord
from discord import app_commands
from PIL import Image

FRUITS = ("apple", "apricot", "banana", "cherry")


def picture(colour: str, width: int = 320, height: int = 240) -> discord.File:
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "PNG")
    out.seek(0)
    return discord.File(out, f"{colour}.png", description=f"all {colour}")


class ShowcaseBot(discord.AutoShardedClient):
    """A bot with the showcase commands; the event `finish_thinking` lets /think finish."""

    def __init__(self) -> None:
        super().__init__(intents=discord.Intents(guilds=True), guild_ready_timeout=0)
        self.tree = app_commands.CommandTree(self)
        self.finish_thinking = asyncio.Event()
        for command in (
            say,
            form,
            vote,
            gallery,
            poster,
            secret,
            choose,
            embed,
            options,
            silent,
            think,
            describe,
            praise,
            shelf,
        ):
            self.tree.add_command(command)
        self.add_dynamic_items(OpenModalButton, VoteButton)

    async def setup_hook(self) -> None:
        await self.tree.sync()


Interaction = discord.Interaction[ShowcaseBot]


@app_commands.command(description="Say this")
async def say(interaction: Interaction, text: str) -> None:
    await interaction.response.send_message(text[:2000].replace("\\n", "\n"))


class ShowcaseModal(discord.ui.Modal, title="Remix"):
    words = discord.ui.Label(
        text="New words",
        description="What to draw instead",
        component=discord.ui.TextInput(
            style=discord.TextStyle.paragraph, default="a fox", min_length=3, max_length=200
        ),
    )
    note = discord.ui.Label(text="Note", component=discord.ui.TextInput(required=False, placeholder="for yourself"))
    size = discord.ui.Label(
        text="Size",
        component=discord.ui.Select(options=[discord.SelectOption(label=each) for each in ("small", "large")]),
    )
    mask = discord.ui.Label(text="Mask", component=discord.ui.FileUpload(required=False, max_values=2))
    mood = discord.ui.Label(
        text="Mood",
        component=discord.ui.RadioGroup(
            options=[discord.RadioGroupOption(label=each, value=each) for each in ("calm", "wild")], required=False
        ),
    )

    async def on_submit(self, interaction: Interaction) -> None:  # type: ignore[override]
        files = [f"{each.filename}:{each.size}" for each in self.mask.component.values]
        given = [self.words.component.value, self.note.component.value, *self.size.component.values]
        await interaction.response.send_message(f"got {given} {files} {self.mood.component.value}")


class OpenModalButton(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template="ask:form"):
    def __init__(self) -> None:
        super().__init__(discord.ui.Button(label="Remix…", style=discord.ButtonStyle.primary, custom_id="ask:form"))

    @classmethod
    async def from_custom_id(cls, interaction: Interaction, item: discord.ui.Item, match: object) -> OpenModalButton:
        return cls()

    async def callback(self, interaction: Interaction) -> None:
        await interaction.response.send_modal(ShowcaseModal())


@app_commands.command(description="A button that opens a form")
async def form(interaction: Interaction) -> None:
    view = discord.ui.View(timeout=None)
    view.add_item(OpenModalButton())
    view.add_item(discord.ui.Button(label="Delete", style=discord.ButtonStyle.danger, custom_id="nobody:listens"))
    view.add_item(discord.ui.Button(label="Keep", style=discord.ButtonStyle.success, custom_id="keep", disabled=True))
    view.add_item(discord.ui.Button(label="Manual", url="https://example.org/manual"))
    await interaction.response.send_message("Press one", view=view)


class VoteButton(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template="vote:(?P<side>yes|no)"):
    def __init__(self, side: str) -> None:
        super().__init__(discord.ui.Button(label=side, custom_id=f"vote:{side}"))
        self.side = side

    @classmethod
    async def from_custom_id(cls, interaction: Interaction, item: discord.ui.Item, match: re.Match[str]) -> VoteButton:
        return cls(match["side"])

    async def callback(self, interaction: Interaction) -> None:
        assert interaction.message
        said = f"{interaction.message.content}\n{interaction.user.name}: {self.side}"
        await interaction.response.edit_message(content=said)
        await interaction.followup.send("Your vote is counted", ephemeral=True)


@app_commands.command(description="A vote")
async def vote(interaction: Interaction) -> None:
    view = discord.ui.View(timeout=None)
    view.add_item(VoteButton("yes")).add_item(VoteButton("no"))
    await interaction.response.send_message("Vote", view=view)


@app_commands.command(description="A hidden container")
async def secret(interaction: Interaction) -> None:
    inside = discord.ui.ActionRow[discord.ui.LayoutView](discord.ui.Button(label="Inside", custom_id="inside"))
    view = discord.ui.LayoutView()
    view.add_item(discord.ui.Container(discord.ui.TextDisplay("the end"), inside, spoiler=True))
    await interaction.response.send_message(view=view)


@app_commands.command(description="Components V2 with pictures")
async def gallery(interaction: Interaction) -> None:
    class Layout(discord.ui.LayoutView):
        box = discord.ui.Container(
            discord.ui.Section(
                "## Four pictures", "-# the newest first", accessory=discord.ui.Thumbnail("attachment://teal.png")
            ),
            discord.ui.MediaGallery(
                *(
                    discord.MediaGalleryItem(f"attachment://{each}.png", description=each)
                    for each in ("red", "gold", "teal")
                )
            ),
            discord.ui.Separator(),
            discord.ui.ActionRow(discord.ui.Button(label="Again", custom_id="again")),
            accent_colour=discord.Colour(0x2F6F5E),
        )

    await interaction.response.send_message(
        view=Layout(timeout=1), files=[picture(each) for each in ("red", "gold", "teal")]
    )


@app_commands.command(description="A tall picture with a button")
async def poster(interaction: Interaction) -> None:
    view = discord.ui.View(timeout=None)
    view.add_item(discord.ui.Button(label="V1", custom_id="v1"))
    await interaction.response.send_message("A poster", file=picture("blue", 600, 900), view=view)


class ShowcaseSelects(discord.ui.View):
    @discord.ui.select(
        placeholder="Pick fruit",
        max_values=2,
        options=[discord.SelectOption(label=each, description=f"a fresh {each}") for each in FRUITS],
    )
    async def fruit(self, interaction: Interaction, select: discord.ui.Select) -> None:
        await interaction.response.edit_message(content=f"you picked {' and '.join(select.values)}")

    @discord.ui.select(cls=discord.ui.UserSelect, placeholder="Pick a member")
    async def member(self, interaction: Interaction, select: discord.ui.UserSelect) -> None:
        await interaction.response.edit_message(content=f"you picked {select.values[0].mention}")


@app_commands.command(description="Selects")
async def choose(interaction: Interaction) -> None:
    await interaction.response.send_message("Choose", view=ShowcaseSelects())


@app_commands.command(description="An embed, for you alone")
async def embed(interaction: Interaction) -> None:
    card = discord.Embed(title="Your *credits*", description="Plenty", colour=0xA4452C, url="https://example.org")
    card.add_field(name="Fast", value="12").add_field(name="Relaxed", value="**∞**")
    card.set_footer(text="since today").set_image(url="attachment://gold.png")
    await interaction.response.send_message(embed=card, file=picture("gold"), ephemeral=True)


@app_commands.command(description="Every kind of option")
@app_commands.choices(shape=[app_commands.Choice(name=each, value=each) for each in ("wide", "tall")])
async def options(
    interaction: Interaction,
    shape: app_commands.Choice[str],
    steps: app_commands.Range[int, 1, 50] = 20,
    fruit: str = "",
    loud: bool = False,
    friend: discord.Member | None = None,
    image: discord.Attachment | None = None,
) -> None:
    sent = f"{image.filename} {len(await image.read())}" if image else "none"
    await interaction.response.send_message(f"{shape.value} {steps} {fruit} {loud} {friend and friend.name} {sent}")


@options.autocomplete("fruit")
async def _fruit(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    return [app_commands.Choice(name=f"a ripe {each}", value=each) for each in FRUITS if each.startswith(typed)]


@app_commands.command(description="Never answers")
async def silent(interaction: Interaction) -> None:
    pass


@app_commands.command(description="Answers later")
async def think(interaction: Interaction) -> None:
    await interaction.response.defer(thinking=True)
    await interaction.client.finish_thinking.wait()
    await interaction.edit_original_response(content="thought through")


@app_commands.context_menu(name="Describe")
async def describe(interaction: Interaction, message: discord.Message) -> None:
    await interaction.response.send_message(f"It has {len(message.attachments)} files", ephemeral=True)


@app_commands.context_menu(name="Praise")
async def praise(interaction: Interaction, user: discord.User) -> None:
    await interaction.response.send_message(f"Well done, {user.mention}!")


shelf = app_commands.Group(name="shelf", description="A command with subcommands")


@shelf.command(name="show", description="Show the shelf")
async def shelf_show(interaction: Interaction, row: int = 1) -> None:
    await interaction.response.send_message(f"row {row} of the shelf")
