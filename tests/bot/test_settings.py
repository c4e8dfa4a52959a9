"""What people settle for all their prompts, and that it holds."""

from __future__ import annotations

import pytest

from generation.job import Speed
from generation.prompt.preferences import Preferences

BLUE = 1


def blue(message):
    return {button["label"] for button in message.buttons if button["style"] == BLUE}


def chosen(message):
    (select,) = (part for row in message.components for part in row["components"] if part["type"] == 3)
    return [option["label"] for option in select["options"] if option.get("default")]


async def settings(stage, studio, user=None):
    return await studio.preferences.get((user or stage.ada).id)


async def panel(stage, user=None):
    return await (await stage.person(user or stage.ada).command("settings", stage.channel)).message()


async def say(stage, command, **options):
    """Use a command and give the text of its private answer."""
    answer = await (await stage.person(stage.ada).command(command, stage.channel, **options)).message()
    assert answer.ephemeral
    return answer.content


async def test_the_panel_shows_what_holds_and_only_the_person_sees_it(stage):
    async with stage.bot():
        message = await panel(stage)
    assert message.ephemeral
    assert blue(message) == {"Fast", "Public", "High variation"}
    assert chosen(message) == ["Stylize: not set"]
    assert "Painter" in message.content


@pytest.mark.parametrize(
    ("label", "change"),
    [
        ("Turbo", {"speed": Speed.TURBO}),
        ("Relax", {"speed": Speed.RELAX}),
        ("Stealth", {"private": True}),
        ("Low variation", {"high_variation": False}),
        ("Raw", {"raw": True}),
        ("Remix", {"remix": True}),
        ("DM results", {"auto_dm": True}),
    ],
)
async def test_a_press_changes_a_setting_and_redraws_the_panel(stage, label, change):
    async with stage.bot() as studio:
        message = await panel(stage)
        await stage.person(stage.ada).press(message, label)
        await stage.server.wait_until(lambda: label in blue(message))
        assert await settings(stage, studio) == Preferences(**change)


@pytest.mark.parametrize("label", ["Raw", "Remix", "DM results"])
async def test_a_switch_is_switched_off_again(stage, label):
    async with stage.bot() as studio:
        message = await panel(stage)
        await stage.person(stage.ada).press(message, label)
        await stage.server.wait_until(lambda: label in blue(message))
        await stage.person(stage.ada).press(message, label)
        await stage.server.wait_until(lambda: label not in blue(message))
        assert await settings(stage, studio) == Preferences()


async def test_stylize_is_chosen_and_a_reset_forgets_everything(stage):
    async with stage.bot() as studio:
        message = await panel(stage)
        await stage.person(stage.ada).select(message, "Stylize: high")
        await stage.server.wait_until(lambda: chosen(message) == ["Stylize: high"])
        assert await settings(stage, studio) == Preferences(stylize=250)
        await stage.person(stage.ada).press(message, "Reset")
        await stage.server.wait_until(lambda: chosen(message) == ["Stylize: not set"])
        assert await settings(stage, studio) == Preferences()


async def test_the_panel_of_an_earlier_life_still_works(stage):
    async with stage.bot():
        message = await panel(stage)
    async with stage.bot() as studio:
        await stage.person(stage.ada).press(message, "Relax")
        await stage.server.wait_until(lambda: "Relax" in blue(message))
        assert await settings(stage, studio) == Preferences(speed=Speed.RELAX)


async def test_everybody_has_settings_of_their_own(stage):
    async with stage.bot() as studio:
        await stage.person(stage.ada).press(await panel(stage), "Relax")
        message = await panel(stage, stage.ben)
        assert blue(message) == {"Fast", "Public", "High variation"}
        assert await settings(stage, studio, stage.ben) == Preferences()


@pytest.mark.parametrize(
    ("command", "change"),
    [
        ("fast", {}),
        ("relax", {"speed": Speed.RELAX}),
        ("turbo", {"speed": Speed.TURBO}),
        ("stealth", {"private": True}),
        ("public", {}),
    ],
)
async def test_a_mode_is_a_word_away(stage, command, change):
    async with stage.bot() as studio:
        assert f"**{command} mode**" in await say(stage, command)
        assert await settings(stage, studio) == Preferences(**change)


async def test_the_suffix_is_added_to_every_prompt_and_the_prompt_comes_first(stage):
    async with stage.bot():
        assert "--ar 2:1" in await say(stage, "prefer suffix", parameters="--ar 2:1 --raw")
        assert "--ar 2:1" in (await panel(stage)).content
        await stage.imagine("a fox")
        await stage.result(text="a fox --ar 2:1 --raw")
        await stage.imagine("an owl --ar 1:2")
        await stage.result(text="an owl --ar 1:2 --raw")
        await stage.imagine("a wolf", stage.ben)
        assert "--" not in (await stage.result(text="wolf")).content
        assert "Nothing" in await say(stage, "prefer suffix")
        await stage.imagine("a cat")
        assert "--" not in (await stage.result(text="cat")).content


async def test_the_prompt_beats_the_persons_settings_which_beat_the_servers_which_beat_the_models(stage):
    async with stage.bot():
        mod = stage.person(stage.mod)
        await (await mod.command("config defaults", stage.channel, parameters="--ar 2:1 --steps 6 --stop 50")).message()
        await say(stage, "prefer suffix", parameters="--ar 1:2 --steps 5")
        await stage.imagine("a fox --ar 3:2")
        text = (await stage.result(text="fox")).content
    assert [word in text for word in ("--ar 3:2", "--steps 5", "--stop 50")] == [True] * 3


@pytest.mark.parametrize("suffix", ["oil painting", "--aspct 3:2", "--steps 1000"])
async def test_a_suffix_that_is_wrong_changes_nothing(stage, suffix):
    async with stage.bot() as studio:
        await say(stage, "prefer suffix", parameters=suffix)
        assert await settings(stage, studio) == Preferences()


async def test_a_custom_option_stands_for_its_text_and_parameters(stage):
    async with stage.bot():
        assert "You have no options yet" in await say(stage, "prefer option list")
        assert "`--mine`" in await say(stage, "prefer option set", name="mine", value="oil painting --ar 2:1")
        assert "oil painting --ar 2:1" in await say(stage, "prefer option list")
        await stage.imagine("a fox --mine")
        await stage.result(text="a fox oil painting --ar 2:1")
        choices = await stage.person(stage.ada).autocomplete("prefer option set", stage.channel, "name", "--m")
        assert [choice["value"] for choice in choices] == ["mine"]
        assert "forgotten" in await say(stage, "prefer option set", name="--mine")
        assert "nothing to forget" in await say(stage, "prefer option set", name="mine")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [("ar", "--raw", "parameter already"), ("two words", "x", "one word"), ("mine", "--aspct 3:2", "did you mean")],
)
async def test_an_option_that_would_not_work_is_refused_with_the_reason(stage, name, value, says):
    async with stage.bot() as studio:
        assert says in await say(stage, "prefer option set", name=name, value=value)
        assert await studio.preferences.options(stage.ada.id) == {}


async def test_twenty_long_options_fit_into_a_message(stage):
    async with stage.bot() as studio:
        for letter in "abcdefghijklmnopqrst":
            await studio.preferences.set_option(stage.ada.id, letter * 32, "_*" * 500)
        assert "20 of 20" in await say(stage, "prefer option list")
        assert "remove one first" in await say(stage, "prefer option set", name="more", value="x")


@pytest.mark.parametrize(
    ("command", "first", "second"),
    [
        ("remix", {"remix": True}, {"remix": False}),
        ("variability", {"high_variation": False}, {"high_variation": True}),
        ("auto_dm", {"auto_dm": True}, {"auto_dm": False}),
    ],
)
async def test_a_switch_is_switched_by_a_command_as_well(stage, command, first, second):
    async with stage.bot() as studio:
        for change in (first, second):
            await say(stage, f"prefer {command}")
            assert await settings(stage, studio) == Preferences(**change)


async def test_the_speed_is_the_preferred_one_unless_a_prompt_says_otherwise(stage):
    async with stage.bot(running_per_person=1) as studio:
        await say(stage, "relax")
        await stage.imagine("slow one")
        await stage.notice("(25%)")
        for prompt in ("second", "third --turbo", "fourth --fast"):
            await (await stage.imagine(prompt)).message()
        waiting = {job.params.parts[0].text: job.speed for job in studio.queue.waiting}
        assert list(waiting.items()) == [("third", Speed.TURBO), ("fourth", Speed.FAST), ("second", Speed.RELAX)]
        stage.go()
        assert (await stage.result(text="second")).content.endswith(f"<@{stage.ada.id}> (relaxed)")
        assert (await stage.result(text="third")).content.endswith(f"<@{stage.ada.id}> (turbo)")


async def test_presses_of_one_moment_do_not_undo_each_other(stage):
    async with stage.bot() as studio:
        message = await panel(stage)
        for label in ("Turbo", "Stealth", "Low variation", "Raw", "Remix", "DM results", "Turbo", "Raw"):
            await stage.person(stage.ada).press(message, label)
        expected = Preferences(
            speed=Speed.TURBO, private=True, high_variation=False, raw=True, remix=True, auto_dm=True
        )
        await stage.server.wait_until(
            lambda: blue(message) == {"Turbo", "Stealth", "Low variation", "Raw", "Remix", "DM results"}
        )
        assert await settings(stage, studio) == expected
