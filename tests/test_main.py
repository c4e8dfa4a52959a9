"""The shipped main.py in a process of its own: how it starts, how it ends, and what survives kill -9."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from PIL import Image

from preview import StandIn, World

ROOT = Path(__file__).parents[1]
OPENAPI = ROOT.parent / "shared" / "discord" / "openapi.json"


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """Give a clean environment: nothing of the machine's own settings may leak into a test."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {"DATA_DIR": str(folder / "data"), "THREADS": "1", "HF_HUB_OFFLINE": "1"} | settings


async def start(folder: Path, *arguments: str, **settings: str) -> Process:
    """Start main.py in an empty folder, where no `.env` lies."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "main.py"),
        *arguments,
        cwd=folder,
        env=environment(folder, **settings),
        stdout=PIPE,
        stderr=STDOUT,
    )


async def run(folder: Path, *arguments: str, **settings: str) -> tuple[int | None, str]:
    """Run main.py to its end and give its exit code and all it said."""
    process = await start(folder, *arguments, **settings)
    said, _ = await process.communicate()
    return process.returncode, said.decode()


@pytest.fixture
async def server() -> AsyncIterator[StandIn]:
    async with StandIn(World(), openapi=OPENAPI if OPENAPI.is_file() else None, limits=()) as server:
        yield server
    assert not server.crashes
    assert not server.violations


@asynccontextmanager
async def bot(server: StandIn, folder: Path, model: Path) -> AsyncIterator[Process]:
    """Run the bot until the block ends, then kill it if it still lives."""
    token = server.world.application.token
    process = await start(folder, DISCORD_TOKEN=token, DISCORD_API_URL=server.api_url, MODEL=str(model))
    try:
        await server.wait_connected(30)
        await server.wait_commands(30)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_without_a_token_it_says_in_one_line_how_to_try_it(tmp_path):
    code, said = await run(tmp_path)
    assert code == 2
    assert "DISCORD_TOKEN is not set" in said
    assert "main.py imagine" in said
    assert "Traceback" not in said


async def test_a_refused_token_is_said_in_one_line(tmp_path, server, tiny_model):
    code, said = await run(tmp_path, DISCORD_TOKEN="wrong", DISCORD_API_URL=server.api_url, MODEL=str(tiny_model))
    assert code == 2
    assert "Discord refused DISCORD_TOKEN" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("setting", "value"),
    [("WAITING_PER_PERSON", "-1"), ("DISCORD_API_URL", "nonsense"), ("MODEL", "/nowhere"), ("LOG_LEVEL", "loud")],
)
async def test_a_wrong_setting_is_named(tmp_path, setting, value):
    code, said = await run(tmp_path, DISCORD_TOKEN="any", **{setting: value})
    assert code == 2
    assert value in said
    assert "Traceback" not in said


@pytest.mark.parametrize(("name", "says"), [("data", "DATA_DIR"), ("data/atelier.sqlite3", "not a database")])
async def test_a_data_folder_that_cannot_be_used_is_said_in_one_line(tmp_path, tiny_model, name, says):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("This is no database, and no folder." * 100)
    code, said = await run(tmp_path, DISCORD_TOKEN="any", MODEL=str(tiny_model))
    assert code == 2
    assert says in said
    assert "Traceback" not in said


async def test_a_picture_is_drawn_from_the_terminal(tmp_path, tiny_model):
    prompt = "a red fox under the moon --ar 3:2 --seed 7"
    code, said = await run(tmp_path, "imagine", prompt, "--out", "out", MODEL=str(tiny_model))
    assert code == 0, said
    files = sorted((tmp_path / "out").iterdir())
    assert [path.suffix for path in files] == [".png"] * 4 + [".webp"]
    assert all(str(Path("out") / path.name) in said for path in files)
    with Image.open(files[0]) as tile, Image.open(files[4]) as sheet:
        assert sheet.size == (2 * tile.width, 2 * tile.height)
        assert tile.width > tile.height
        assert "a red fox under the moon" in tile.text["parameters"]
        assert "Seed: 7" in tile.text["parameters"]


async def test_a_faulty_prompt_in_the_terminal_says_why(tmp_path, tiny_model):
    code, said = await run(tmp_path, "imagine", "a fox --aspct 3:2", MODEL=str(tiny_model))
    assert code == 2
    assert "did you mean `--aspect`?" in said
    assert "Traceback" not in said


async def test_kill_9_in_mid_queue_loses_nothing_and_answers_nothing_twice(tmp_path, server, tiny_model):
    ada = server.world.add_user("ada")
    channel = server.world.add_channel(server.world.add_guild("Studio", ada))
    person = server.person(ada)
    async with bot(server, tmp_path, tiny_model) as process:
        await person.command("imagine", channel, prompt="first --steps 4")
        first = await server.wait_for(channel, lambda message: "U1" in message.labels, 60)
        for number in range(4):
            await (await person.command("imagine", channel, prompt=f"long {number} --steps 150")).message()
        await server.wait_for(channel, lambda message: "%)" in message.content, 60)
        process.kill()
        await process.wait()
    async with bot(server, tmp_path, tiny_model) as process:
        await person.press(first, "U3")
        await server.wait_until(lambda: len(results(server, channel)) == 6, 90)
        await server.wait_until(lambda: len(server.world.messages_in(channel)) == 6, 30)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0
    assert len(server.pings) == 6
    assert len({result.content for result in results(server, channel)}) == 6


async def test_a_second_bot_on_the_same_data_is_refused(tmp_path, server, tiny_model):
    async with bot(server, tmp_path, tiny_model):
        code, said = await run(tmp_path, DISCORD_TOKEN="any", MODEL=str(tiny_model))
    assert code == 2
    assert "another Atelier is using DATA_DIR" in said


def results(server, channel):
    return [message for message in server.world.messages_in(channel) if {"U1", "Vary (Subtle)"} & set(message.labels)]
