"""The pages that are written from the code; `python -m scripts.commands_doc` writes them again."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from discord import app_commands

from bot.client import Client
from bot.ui.job_views import ACTION_IDS
from generation.job import Action
from scripts.commands_doc import (
    BUTTON_DESCRIPTIONS,
    COMMANDS,
    PROMPTS,
    offline_client,
    parameter_table,
    render_commands,
    render_prompts,
)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with offline_client() as client:
        yield client


async def test_the_page_of_commands_is_what_the_code_says(client):
    assert COMMANDS.read_text(encoding="utf-8") == render_commands(client)


def test_the_page_about_prompts_has_every_parameter():
    assert parameter_table() in PROMPTS.read_text(encoding="utf-8")
    assert render_prompts() == PROMPTS.read_text(encoding="utf-8")


async def test_every_option_of_every_command_is_described(client):
    options = [
        (command.qualified_name, option)
        for command in client.tree.walk_commands()
        if isinstance(command, app_commands.Command)
        for option in command.parameters
    ]
    assert len(options) > 20
    assert [f"/{name} {option.display_name}" for name, option in options if str(option.description) == "…"] == []


def test_every_button_below_a_result_is_explained():
    assert BUTTON_DESCRIPTIONS.keys() == {*ACTION_IDS, Action.REROLL}
