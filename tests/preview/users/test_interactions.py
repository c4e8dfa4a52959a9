"""discord.py's real client responds to simulated users through the fake Discord."""

import asyncio
import io

import discord
import pytest
from discord import app_commands
from PIL import Image

from preview import InteractionFailed, UploadedFile, UserActionError, World
from preview.state import permissions
from preview.state.core import FakeDiscordState
from preview.state.files import FileStore
from tests.support.timing import TIMEOUT_S


def png(width: int = 8, height: int = 6) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(out, "PNG")
    return out.getvalue()


def pictures(count: int) -> list[discord.File]:
    return [discord.File(io.BytesIO(png()), f"{n}.png", description=f"tile {n}") for n in range(count)]


class Counter(discord.ui.DynamicItem[discord.ui.Button], template=r"count:(?P<n>\d+)"):
    def __init__(self, n: int):
        super().__init__(discord.ui.Button(label="U1", custom_id=f"count:{n}"))
        self.n = n

    @classmethod
    async def from_custom_id(cls, interaction, item, match):
        return cls(int(match["n"]))

    async def callback(self, interaction):
        await interaction.response.edit_message(content=f"pressed {self.n} by {interaction.user.display_name}")


def counter_view(n: int = 7) -> discord.ui.View:
    return discord.ui.View(timeout=None).add_item(Counter(n))


@pytest.fixture
def bot(make_bot):
    bot = make_bot()
    bot.add_dynamic_items(Counter)
    return bot


@pytest.fixture
def imagine_bot(bot):
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
        await interaction.followup.send("done", files=pictures(4), view=counter_view())

    return bot


async def test_a_response_can_be_edited_and_followed_by_files_and_a_button(server, run, scenario, imagine_bot):
    async with run(imagine_bot):
        person = server.person(scenario.ada)
        image = UploadedFile("my fox.png", png())
        used = await person.command("imagine", scenario.channel, prompt="a fox 🦊", image=image, steps=3)
        answer = await used.message()
        done = await used.followup()
        assert [one.content for one in answer.history] == [f"a fox 🦊 3 {len(png())}", "drawing"]
        assert [(each.filename, each.width, each.description) for each in done.attachments] == [
            (f"{n}.png", 8, f"tile {n}") for n in range(4)
        ]
        pressed = await server.person(scenario.bob).press(done, "U1")
        await pressed.response()
        assert done.content == "pressed 7 by bob"
        assert len(done.attachments) == 4
    assert not imagine_bot.errors
    assert not server.violations


@pytest.mark.parametrize(
    "given",
    [{}, {"prompt": "x", "steps": 51}, {"prompt": 3}, {"prompt": "x", "colour": "red"}, {"prompt": "x" * 6001}],
)
async def test_options_that_discords_client_rejects_cannot_be_sent(server, run, scenario, imagine_bot, given):
    async with run(imagine_bot):
        with pytest.raises(UserActionError):
            await server.person(scenario.ada).command("imagine", scenario.channel, **given)


async def test_only_one_user_sees_a_deferred_ephemeral_response(server, run, scenario, bot):
    @bot.tree.command(description="Whisper")
    async def whisper(interaction: discord.Interaction):
        await interaction.response.defer(ephemeral=True)
        await interaction.followup.send(f"only you, {interaction.user.mention}", view=counter_view())

    async with run(bot):
        person = server.person(scenario.ada)
        used = await person.command("whisper", scenario.channel)
        message = await used.message()
        assert (await used.response()).ephemeral
        assert message.ephemeral
        assert [one.content for one in message.history] == ["", f"only you, <@{scenario.ada.id}>"]
        assert person.visible_messages(scenario.channel) == [message]
        assert server.person(scenario.bob).visible_messages(scenario.channel) == []
        with pytest.raises(UserActionError):
            await server.person(scenario.bob).press(message, "U1")
        await person.delete(message)
        assert person.visible_messages(scenario.channel) == []


async def test_a_modal_returns_text_a_choice_and_files(server, run, scenario, bot):
    got = {}

    class Remix(discord.ui.Modal, title="Remix"):
        prompt = discord.ui.Label(text="Prompt", component=discord.ui.TextInput(default="a fox", max_length=20))
        size = discord.ui.Label(
            text="Size",
            component=discord.ui.Select(options=[discord.SelectOption(label=x) for x in ("small", "large")]),
        )
        mask = discord.ui.Label(text="Mask", component=discord.ui.FileUpload(required=False, max_values=2))

        async def on_submit(self, interaction):
            got["files"] = [len(await each.read()) for each in self.mask.component.values]
            await interaction.response.send_message(f"{self.prompt.component.value} {self.size.component.values}")

    @bot.tree.command(description="Remix")
    async def remix(interaction: discord.Interaction):
        await interaction.response.send_modal(Remix())

    async with run(bot):
        person = server.person(scenario.ada)
        asked = await person.command("remix", scenario.channel)
        with pytest.raises(UserActionError):
            await person.submit_modal(asked, {"Prompt": "x" * 21, "Size": "large"})
        with pytest.raises(UserActionError):
            await person.submit_modal(asked, {"Prompt": "x"})
        sent = await person.submit_modal(asked, {"Size": "large", "Mask": UploadedFile("mask.png", png())})
        assert (await sent.message()).content == "a fox ['large']"
        assert got["files"] == [len(png())]
    assert not server.violations


async def test_an_edit_disables_selects_and_components_v2(server, run, scenario, bot):
    class Panel(discord.ui.LayoutView):
        def __init__(self):
            super().__init__(timeout=None)
            gallery = discord.ui.MediaGallery(discord.MediaGalleryItem("attachment://0.png", description="a tile"))
            words = discord.ui.Section("**Prompt**", accessory=Counter(9))
            self.add_item(discord.ui.Container(words, gallery))
            row = discord.ui.ActionRow()
            self.choice = discord.ui.UserSelect(custom_id="who", placeholder="Who?")
            row.add_item(self.choice)
            self.add_item(row)
            self.choice.callback = self.chosen

        async def chosen(self, interaction):
            await interaction.response.edit_message(view=self.closed(interaction.message))

        @staticmethod
        def closed(message):
            view = discord.ui.LayoutView.from_message(message, timeout=None)
            for item in view.walk_children():
                if hasattr(item, "disabled"):
                    item.disabled = True
            return view

    @bot.tree.command(description="Panel")
    async def panel(interaction: discord.Interaction):
        await interaction.response.send_message(view=Panel(), files=pictures(1))

    async with run(bot):
        person = server.person(scenario.ada)
        message = await (await person.command("panel", scenario.channel)).message()
        assert message.v2
        assert message.text == "**Prompt**"
        assert message.labels == ["U1"]
        chosen = await person.select(message, scenario.bob)
        await chosen.response()
        assert chosen.data["resolved"]["members"].keys() == {str(scenario.bob.id)}
        assert all(button["disabled"] for button in message.buttons)
        assert message.components[0]["components"][1]["items"][0]["media"]["url"] == "attachment://0.png"
        with pytest.raises(UserActionError, match="disabled"):
            await person.press(message, "U1")
    assert not bot.errors
    assert not server.violations


async def test_autocompletion_subcommands_and_choices(server, run, scenario, bot):
    group = app_commands.Group(name="model", description="Models")

    @group.command(description="Choose")
    @app_commands.choices(
        kind=[app_commands.Choice(name="Large", value="l"), app_commands.Choice(name="Small", value="s")]
    )
    async def use(interaction: discord.Interaction, name: str, kind: str = "l"):
        await interaction.response.send_message(f"{name} {kind}")

    @use.autocomplete("name")
    async def complete(interaction: discord.Interaction, current: str):
        return [app_commands.Choice(name=f"{current}{n}", value=f"{current}{n}") for n in range(3)]

    bot.tree.add_command(group)
    async with run(bot):
        person = server.person(scenario.ada)
        offered = await person.autocomplete("model use", scenario.channel, "name", "sd")
        assert [each["value"] for each in offered] == ["sd0", "sd1", "sd2"]
        used = await person.command("model use", scenario.channel, name="sd1", kind="Small")
        assert (await used.message()).content == "sd1 s"
        with pytest.raises(UserActionError):
            await person.command("model", scenario.channel)
        with pytest.raises(UserActionError):
            await person.command("model use", scenario.channel, name="sd1", kind="Huge")


async def test_context_menus_read_the_message_and_the_user(server, run, scenario, bot):
    @bot.tree.context_menu(name="Describe this")
    async def describe(interaction: discord.Interaction, message: discord.Message):
        await interaction.response.send_message(f"{message.content} {len(message.attachments)}", ephemeral=True)

    @bot.tree.context_menu(name="Gallery")
    async def gallery(interaction: discord.Interaction, user: discord.Member):
        await interaction.response.send_message(user.display_name, ephemeral=True)

    async with run(bot):
        person = server.person(scenario.ada)
        written = await server.person(scenario.bob).send(scenario.channel, "look", UploadedFile("a.png", png()))
        assert (await (await person.context_menu("Describe this", written)).message()).content == "look 1"
        used = await person.context_menu("Gallery", scenario.bob, scenario.channel)
        assert (await used.message()).content == "bob"


async def test_a_direct_message_has_no_guild(server, run, scenario, bot):
    @bot.tree.command(description="Where")
    async def where(interaction: discord.Interaction):
        kind = type(interaction.channel).__name__
        await interaction.response.send_message(f"{interaction.guild} {kind} {interaction.context.dm_channel}")
        await interaction.channel.send("and so")

    async with run(bot):
        channel = server.world.dm_channel(scenario.ada)
        used = await server.person(scenario.ada).command("where", channel)
        assert (await used.message()).content == "None DMChannel True"
        await server.wait_for(channel, lambda message: message.content == "and so")
    assert not bot.errors


@pytest.fixture
def user_install_bot(bot):
    """A bot with a user-installable command, which posts to the channel and follows up six times."""
    bot.seen, bot.done = [], asyncio.Event()

    @bot.tree.command(description="Anywhere")
    @app_commands.allowed_installs(guilds=True, users=True)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
    async def anywhere(interaction: discord.Interaction):
        await interaction.response.send_message("here")
        channel = bot.get_partial_messageable(interaction.channel_id)
        for attempt in (channel.send, *[interaction.followup.send] * 6):
            try:
                await attempt("more")
            except discord.HTTPException as error:
                bot.seen.append(error.code)
        bot.done.set()

    return bot


async def test_a_user_install_cannot_post_and_has_five_followups(server, run, world, user_install_bot):
    eve = world.add_user("eve", installed=True)
    foreign = world.add_channel(world.add_guild("Elsewhere", eve, bot=False))
    async with run(user_install_bot):
        used = await server.person(eve).command("anywhere", foreign)
        await asyncio.wait_for(user_install_bot.done.wait(), TIMEOUT_S)
        assert user_install_bot.seen == [50001, 40094]
        assert len(used.followups) == 5
        assert used.owners == {"1": str(eve.id)}
        assert not used.original.ephemeral


async def test_without_use_external_apps_responses_are_ephemeral(server, run, world, user_install_bot):
    eve, owner = world.add_user("eve", installed=True), world.add_user("owner")
    guild = world.add_guild("Elsewhere", owner, eve, bot=False)
    foreign = world.add_channel(guild, everyone_denied=permissions.USE_EXTERNAL_APPS)
    async with run(user_install_bot):
        used = await server.person(eve).command("anywhere", foreign)
        assert (await used.message()).ephemeral
        assert (await used.followup()).ephemeral


async def test_a_chat_between_users_has_only_user_install_commands(server, run, world, user_install_bot):
    eve, mallory = world.add_user("eve", installed=True), world.add_user("mallory")
    channel = world.dm_channel(eve, mallory)
    async with run(user_install_bot):
        used = await server.person(eve).command("anywhere", channel)
        assert (await used.message()).content == "here"
        assert used.context == 2
        with pytest.raises(UserActionError):
            await server.person(mallory).command("anywhere", channel)


async def test_commands_are_hidden_from_users_without_permission(server, run, world, scenario, bot):
    @bot.tree.command(description="Tidy", nsfw=True)
    @app_commands.default_permissions(manage_messages=True)
    async def tidy(interaction: discord.Interaction):
        await interaction.response.send_message("tidy")

    tame, wild = scenario.channel, world.add_channel(scenario.guild, "wild", nsfw=True)
    moderator = world.add_role(scenario.guild, "moderator", permissions.MANAGE_MESSAGES)
    async with run(bot):
        bob = server.person(scenario.bob)
        assert [each["name"] for each in server.person(scenario.ada).commands(wild)] == ["tidy"]
        assert server.person(scenario.ada).commands(tame) == bob.commands(wild) == []
        scenario.guild.members[scenario.bob.id].role_ids.append(moderator.id)
        assert await (await bob.command("tidy", wild)).message()


async def test_an_interaction_fails_after_three_seconds(server, run, scenario, bot, world):
    waiting = []

    @bot.tree.command(description="Sleep")
    async def sleep(interaction: discord.Interaction):
        waiting.append(interaction)

    assert FakeDiscordState(World(), FileStore()).response_timeout == 3
    server.core.response_timeout = 0.1
    async with run(bot):
        used = await server.person(scenario.ada).command("sleep", scenario.channel)
        await server.wait_until(lambda: used.failed)
        with pytest.raises(InteractionFailed):
            await used.response()
        with pytest.raises(discord.NotFound) as refused:
            await waiting[0].response.send_message("too late")
        assert refused.value.code == 10062


async def test_a_token_expires_after_15_minutes_but_the_channel_works(server, run, scenario, bot, world):
    seen = []

    @bot.tree.command(description="Wait")
    async def wait(interaction: discord.Interaction):
        await interaction.response.send_message("working")
        with pytest.raises(discord.HTTPException) as twice:
            await interaction.client.http.request(
                discord.http.Route(
                    "POST", "/interactions/{id}/{token}/callback", id=interaction.id, token=interaction.token
                ),
                json={"type": 4, "data": {"content": "again"}},
            )
        message = await interaction.original_response()
        world.clock.advance(15 * 60 + 1)
        with pytest.raises(discord.HTTPException) as expired:
            await message.edit(content="late")
        seen.extend([twice.value.code, expired.value.status, expired.value.code])
        await interaction.channel.get_partial_message(message.id).edit(content="by the channel")

    async with run(bot):
        used = await server.person(scenario.ada).command("wait", scenario.channel)
        await used.wait_for(lambda message: message.content == "by the channel")
        assert seen == [40060, 401, 50027]
    assert not bot.errors


async def test_a_deferral_becomes_components_v2_and_stays_public(server, run, scenario, bot):
    class Result(discord.ui.LayoutView):
        gallery = discord.ui.MediaGallery(discord.MediaGalleryItem("attachment://0.png"))

    @bot.tree.command(description="Draw")
    async def draw(interaction: discord.Interaction):
        await interaction.response.defer()
        await interaction.edit_original_response(view=Result(), attachments=pictures(1))

    @bot.tree.command(description="Talk")
    async def talk(interaction: discord.Interaction):
        await interaction.response.defer()
        await interaction.followup.send("first", ephemeral=True)
        await interaction.followup.send("second", ephemeral=True)

    async with run(bot):
        person = server.person(scenario.ada)
        drawn = await (await person.command("draw", scenario.channel)).message()
        assert drawn.v2
        assert [each.flags & (1 << 7) for each in drawn.history] == [1 << 7, 0]
        assert drawn.edited_at is None
        talked = await person.command("talk", scenario.channel)
        second = await talked.followup()
        first = await talked.message()
        assert (first.content, first.ephemeral) == ("first", False)
        assert (second.content, second.ephemeral, second.reference["message_id"]) == ("second", True, str(first.id))
    assert not bot.errors
    assert not server.violations


async def test_the_bot_can_send_direct_messages(server, run, scenario, bot):
    async with run(bot, sync=False):
        user = await bot.fetch_user(scenario.ada.id)
        await user.send("psst")
        (message,) = server.messages(server.world.dm_channel(scenario.ada))
        assert message.content == "psst"
        assert server.person(scenario.ada).visible_messages(server.world.dm_channel(scenario.ada)) == [message]
        assert server.person(scenario.bob).visible_messages(server.world.dm_channel(scenario.ada)) == []


async def test_guild_commands_are_separate_and_keep_their_ids(server, run, world, scenario, bot):
    @bot.tree.command(description="Here", guild=discord.Object(scenario.guild.id))
    async def here(interaction: discord.Interaction):
        await interaction.response.send_message("here")

    @bot.tree.command(description="Everywhere")
    async def everywhere(interaction: discord.Interaction):
        await interaction.response.send_message("everywhere")

    elsewhere = world.add_channel(world.add_guild("Elsewhere", scenario.ada))
    async with run(bot):
        first = await bot.tree.sync(guild=discord.Object(scenario.guild.id))
        person = server.person(scenario.ada)
        assert {each["name"] for each in person.commands(scenario.channel)} == {"here", "everywhere"}
        assert {each["name"] for each in person.commands(elsewhere)} == {"everywhere"}
        assert (await (await person.command("here", scenario.channel)).message()).content == "here"
        again = await bot.tree.sync(guild=discord.Object(scenario.guild.id))
        assert [each.id for each in again] == [each.id for each in first]
        assert [each.name for each in await bot.tree.fetch_commands()] == ["everywhere"]


async def test_users_without_avatars_and_with_any_name_arrive_intact(server, run, world, scenario, bot):
    got = []

    @bot.tree.command(description="Who")
    async def who(interaction: discord.Interaction, text: str):
        got.append((interaction.user.display_name, interaction.user.avatar, text))
        await interaction.response.send_message(text, allowed_mentions=discord.AllowedMentions.none())

    names = ["𝓐𝓭𝓪", "مرحبا", "‮evil‬", "👩‍👩‍👧‍👦", "<img onerror=x>", "**_~~`||", "ﷺ" * 32]
    async with run(bot):
        for name in names:
            user = world.add_user("u", display_name=name)
            world.add_member(user, scenario.guild)
            used = await server.person(user).command("who", scenario.channel, text=f"@everyone {name}")
            assert (await used.message()).content == f"@everyone {name}"
    assert got == [(name, None, f"@everyone {name}") for name in names]
    assert not server.pings
