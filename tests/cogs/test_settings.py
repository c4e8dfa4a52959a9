"""Users' default settings, and that they apply."""

from __future__ import annotations

import pytest

from generation.job import Speed
from generation.prompt.preferences import Preferences

BLUE = 1


def highlighted(message):
    return {button["label"] for button in message.buttons if button["style"] == BLUE}


def selected(message):
    (select,) = (part for row in message.components for part in row["components"] if part["type"] == 3)
    return [option["label"] for option in select["options"] if option.get("default")]


async def load_preferences(harness, services, user=None):
    return await services.db.preferences.get((user or harness.ada).id)


async def open_panel(harness, user=None):
    return await (await harness.person(user or harness.ada).command("settings", harness.channel)).message()


async def run_command(harness, command, **options):
    """Use a command and return the text of its private response."""
    answer = await (await harness.person(harness.ada).command(command, harness.channel, **options)).message()
    assert answer.ephemeral
    return answer.content


async def test_the_panel_shows_the_settings_to_the_user_alone(harness):
    async with harness.bot():
        message = await open_panel(harness)
    assert message.ephemeral
    assert highlighted(message) == {"Fast", "Public", "High variation"}
    assert selected(message) == ["Stylize: not set"]
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
async def test_a_press_changes_a_setting_and_redraws_the_panel(harness, label, change):
    async with harness.bot() as services:
        message = await open_panel(harness)
        await harness.person(harness.ada).press(message, label)
        await harness.server.wait_until(lambda: label in highlighted(message))
        assert await load_preferences(harness, services) == Preferences(**change)


async def test_a_switch_is_turned_off_again(harness):
    async with harness.bot() as services:
        message = await open_panel(harness)
        for label in ("Raw", "Remix", "DM results"):
            await harness.person(harness.ada).press(message, label)
            await harness.server.wait_until(lambda label=label: label in highlighted(message))
            await harness.person(harness.ada).press(message, label)
            await harness.server.wait_until(lambda label=label: label not in highlighted(message))
            assert await load_preferences(harness, services) == Preferences()


async def test_stylize_is_chosen_and_a_reset_clears_everything(harness):
    async with harness.bot() as services:
        message = await open_panel(harness)
        await harness.person(harness.ada).select(message, "Stylize: high")
        await harness.server.wait_until(lambda: selected(message) == ["Stylize: high"])
        assert await load_preferences(harness, services) == Preferences(stylize=250)
        await harness.person(harness.ada).press(message, "Reset")
        await harness.server.wait_until(lambda: selected(message) == ["Stylize: not set"])
        assert await load_preferences(harness, services) == Preferences()


async def test_a_panel_from_before_a_restart_still_works(harness):
    async with harness.bot():
        message = await open_panel(harness)
    async with harness.bot() as services:
        await harness.person(harness.ada).press(message, "Relax")
        await harness.server.wait_until(lambda: "Relax" in highlighted(message))
        assert await load_preferences(harness, services) == Preferences(speed=Speed.RELAX)


async def test_each_user_has_separate_settings(harness):
    async with harness.bot() as services:
        await harness.person(harness.ada).press(await open_panel(harness), "Relax")
        message = await open_panel(harness, harness.ben)
        assert highlighted(message) == {"Fast", "Public", "High variation"}
        assert await load_preferences(harness, services, harness.ben) == Preferences()


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
async def test_each_mode_has_a_command(harness, command, change):
    async with harness.bot() as services:
        assert f"**{command} mode**" in await run_command(harness, command)
        assert await load_preferences(harness, services) == Preferences(**change)


async def test_the_suffix_is_added_to_every_prompt_and_the_prompt_comes_first(harness):
    async with harness.bot():
        assert "--ar 2:1" in await run_command(harness, "prefer suffix", parameters="--ar 2:1 --raw")
        assert "--ar 2:1" in (await open_panel(harness)).content
        await harness.imagine("a fox")
        await harness.result(text="a fox --ar 2:1 --raw")
        await harness.imagine("an owl --ar 1:2")
        await harness.result(text="an owl --ar 1:2 --raw")
        await harness.imagine("a wolf", harness.ben)
        assert "--" not in (await harness.result(text="wolf")).content
        assert "Added to all your prompts: --ar 2:1 --raw" in await run_command(harness, "prefer suffix")
        assert "until now it was: --ar 2:1 --raw" in (await run_command(harness, "prefer suffix", clear=True)).lower()
        assert await run_command(harness, "prefer suffix") == "Nothing is added to your prompts."
        await harness.imagine("a cat")
        assert "--" not in (await harness.result(text="cat")).content


async def test_precedence_is_prompt_then_user_then_server_then_model(harness):
    async with harness.bot():
        mod = harness.person(harness.mod)
        await (
            await mod.command("config defaults", harness.channel, parameters="--ar 2:1 --steps 6 --stop 50")
        ).message()
        await run_command(harness, "prefer suffix", parameters="--ar 1:2 --steps 5")
        await harness.imagine("a fox --ar 3:2")
        text = (await harness.result(text="fox")).content
    assert [word in text for word in ("--ar 3:2", "--steps 5", "--stop 50")] == [True] * 3


@pytest.mark.parametrize("suffix", ["oil painting", "--aspct 3:2", "--steps 1000"])
async def test_an_invalid_suffix_changes_nothing(harness, suffix):
    async with harness.bot() as services:
        await run_command(harness, "prefer suffix", parameters=suffix)
        assert await load_preferences(harness, services) == Preferences()


async def test_a_custom_option_stands_for_its_text_and_parameters(harness):
    async with harness.bot():
        assert "You have no options yet" in await run_command(harness, "prefer option list")
        assert "`--mine`" in await run_command(harness, "prefer option set", name="mine", value="oil painting --ar 2:1")
        assert "oil painting --ar 2:1" in await run_command(harness, "prefer option list")
        await harness.imagine("a fox --mine")
        await harness.result(text="a fox oil painting --ar 2:1")
        choices = await harness.person(harness.ada).autocomplete("prefer option set", harness.channel, "name", "--m")
        assert [choice["value"] for choice in choices] == ["mine"]
        shown = await run_command(harness, "prefer option set", name="--mine")
        assert "`--mine` stands for: oil painting --ar 2:1" in shown
        deleted = await run_command(harness, "prefer option set", name="--mine", delete=True)
        assert "`--mine` is deleted. It stood for: oil painting --ar 2:1" in deleted
        assert "You have no option `--mine`" in await run_command(harness, "prefer option set", name="mine")


async def test_an_option_whose_name_became_a_parameter_can_be_deleted(harness):
    async with harness.bot() as services:
        await services.db.preferences.set_option(harness.ada.id, "hold", "in ink")
        assert "`--hold` stands for: in ink" in await run_command(harness, "prefer option set", name="hold")
        assert "is deleted" in await run_command(harness, "prefer option set", name="hold", delete=True)
        assert await services.db.preferences.options(harness.ada.id) == {}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("suffix", {"parameters": "--ar 3:2", "clear": True}),
        ("model", {"name": "Painter", "clear": True}),
        ("option set", {"name": "mine", "value": "in ink", "delete": True}),
    ],
)
async def test_a_preference_is_not_set_and_removed_at_once(harness, name, options):
    async with harness.bot() as services:
        assert "contradict each other" in await run_command(harness, f"prefer {name}", **options)
        assert await services.db.preferences.get(harness.ada.id) == Preferences()
        assert await services.db.preferences.options(harness.ada.id) == {}


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [("ar", "--raw", "already a parameter"), ("two words", "x", "one word"), ("mine", "--aspct 3:2", "did you mean")],
)
async def test_an_invalid_option_is_refused_with_the_reason(harness, name, value, says):
    async with harness.bot() as services:
        assert says in await run_command(harness, "prefer option set", name=name, value=value)
        assert await services.db.preferences.options(harness.ada.id) == {}


async def test_twenty_long_options_fit_into_a_message(harness):
    async with harness.bot() as services:
        for letter in "abcdefghijklmnopqrst":
            await services.db.preferences.set_option(harness.ada.id, letter * 32, "_*" * 500)
        assert "20 of 20" in await run_command(harness, "prefer option list")
        assert "remove one first" in await run_command(harness, "prefer option set", name="more", value="x")


async def test_a_command_toggles_a_switch_too(harness):
    async with harness.bot() as services:
        for command, change in (
            ("remix", {"remix": True}),
            ("remix", {"remix": False}),
            ("variability", {"high_variation": False}),
            ("variability", {"high_variation": True}),
            ("auto_dm", {"auto_dm": True}),
            ("auto_dm", {"auto_dm": False}),
        ):
            await run_command(harness, f"prefer {command}")
            assert await load_preferences(harness, services) == Preferences(**change)


async def test_the_speed_is_the_preferred_one_unless_a_prompt_says_otherwise(harness):
    async with harness.bot(running_per_person=1) as services:
        await run_command(harness, "relax")
        await harness.imagine("slow one")
        await harness.status_message("(25%)")
        for prompt in ("second", "third --turbo", "fourth --fast"):
            await (await harness.imagine(prompt)).message()
        waiting = {job.params.parts[0].text: job.speed for job in services.queue.waiting}
        assert list(waiting.items()) == [("third", Speed.TURBO), ("fourth", Speed.FAST), ("second", Speed.RELAX)]
        harness.release_slow_jobs()
        assert (await harness.result(text="second")).content.endswith(f"<@{harness.ada.id}> (relaxed)")
        assert (await harness.result(text="third")).content.endswith(f"<@{harness.ada.id}> (turbo)")


async def test_simultaneous_presses_do_not_undo_each_other(harness):
    async with harness.bot() as services:
        message = await open_panel(harness)
        for label in ("Turbo", "Stealth", "Low variation", "Raw", "Remix", "DM results", "Turbo", "Raw"):
            await harness.person(harness.ada).press(message, label)
        expected = Preferences(
            speed=Speed.TURBO, private=True, high_variation=False, raw=True, remix=True, auto_dm=True
        )
        await harness.server.wait_until(
            lambda: highlighted(message) == {"Turbo", "Stealth", "Low variation", "Raw", "Remix", "DM results"}
        )
        assert await load_preferences(harness, services) == expected
