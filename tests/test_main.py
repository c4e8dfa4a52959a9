"""main.py in its own process: startup, shutdown, and recovery after kill -9.

One test of each command runs it in a fresh interpreter; the others fork it from one that has imported the engine.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import zipfile
from asyncio.subprocess import STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import psutil
import pytest
import pytest_asyncio
from PIL import Image

from bot.config import secret_variables
from generation.command_line import CONTAINER, as_typed
from preview import FakeDiscord, World
from tests.support.fork_servers import MAIN, ForkedMain, engine_fork_server, engine_server, fork_main
from tests.support.timing import LOAD_TIMEOUT_S, RESPONSE_TIMEOUT_S, TIMEOUT_S

pytestmark = pytest.mark.usefixtures("engine_fork_server")
__all__ = ["engine_fork_server", "engine_server"]
OPENAPI = MAIN.parents[1] / "shared" / "discord" / "openapi.json"


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """Return a clean environment, so that the machine's own settings do not affect a test."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return inherited | {"DATA_DIR": str(folder / "data"), "THREADS": "1", "HF_HUB_OFFLINE": "1"} | settings


async def start(
    folder: Path, *arguments: str, output: Path, fresh: bool = False, **settings: str
) -> Process | ForkedMain:
    """Start main.py in a folder without a `.env`; `fresh` in an interpreter that has imported nothing."""
    if not fresh:
        return fork_main(arguments, folder, output, environment(folder, **settings))
    with output.open("ab") as file:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            str(MAIN),
            *arguments,
            cwd=folder,
            env=environment(folder, **settings),
            stdout=file,
            stderr=STDOUT,
        )


async def run(folder: Path, *arguments: str, fresh: bool = False, **settings: str) -> tuple[int | None, str]:
    """Run main.py to its end; return its exit code and its output."""
    with tempfile.TemporaryDirectory() as elsewhere:
        output = Path(elsewhere) / "output"
        process = await start(folder, *arguments, output=output, fresh=fresh, **settings)
        return await process.wait(), output.read_text()


@asynccontextmanager
async def fake_discord(world: World) -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord(world, openapi=OPENAPI if OPENAPI.is_file() else None, limits=()) as server:
        server.core.event_bus.wait_timeout = LOAD_TIMEOUT_S
        server.core.response_timeout = RESPONSE_TIMEOUT_S
        yield server
    assert not server.crashes
    assert not server.violations


@pytest.fixture
async def server() -> AsyncIterator[FakeDiscord]:
    async with fake_discord(World()) as server:
        yield server


@asynccontextmanager
async def bot(
    server: FakeDiscord, folder: Path, model: Path, *, fresh: bool = False, **settings: str
) -> AsyncIterator[Process | ForkedMain]:
    """Run the bot until the block ends, then kill it if it is still running."""
    token = server.world.application.token
    settings |= {"DISCORD_TOKEN": token, "DISCORD_API_URL": server.api_url, "MODEL": str(model)}
    process = await start(folder, output=folder / "log", fresh=fresh, **settings)
    try:
        await server.wait_connected()
        await server.wait_commands()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_bot(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> AsyncIterator[SimpleNamespace]:
    """Run a bot that has generated one grid: loading its model takes longer than most tests."""
    folder = tmp_path_factory.mktemp("bot")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    secrets = {name: "secret" for name in secret_variables() if not name.startswith("SIGNING")}
    settings = {"LOG_FORMAT": "json", "METRICS_PORT": str(port), **secrets}
    async with (
        fake_discord(World()) as server,
        bot(server, folder, tiny_model, fresh=True, **settings) as process,
    ):
        ada = server.world.add_user("ada")
        guild = server.world.add_guild("Studio", ada)
        channel = server.world.add_channel(guild)
        await server.person(ada).command("imagine", channel, prompt="a fox --steps 2")
        grid = await server.wait_for(channel, lambda message: "U1" in message.labels)
        await server.wait_until(lambda: len(server.world.channel_messages(channel)) == 1)
        people = {"server": server, "ada": ada, "guild": guild, "channel": channel}
        yield SimpleNamespace(pid=process.pid, folder=folder, grid=grid, port=port, **people)


@pytest.mark.asyncio(loop_scope="module")
async def test_the_gpu_process_does_not_inherit_the_bots_secrets(running_bot):
    children = psutil.Process(running_bot.pid).children(recursive=True)
    assert children
    for child in children:
        assert not set(secret_variables()) & child.environ().keys()


async def test_a_missing_token_is_reported_in_one_line_with_a_hint(tmp_path):
    code, output = await run(tmp_path)
    assert code == 2
    assert "DISCORD_TOKEN is not set" in output
    assert as_typed("imagine") in output
    assert "Traceback" not in output


async def test_a_container_is_given_its_token_from_outside(tmp_path):
    code, output = await run(tmp_path, **{CONTAINER: "1"})
    assert code == 2
    assert "beside compose.yaml" in output
    assert "setup" not in output


async def test_a_refused_token_is_reported_in_one_line(tmp_path, server, tiny_model):
    code, output = await run(tmp_path, DISCORD_TOKEN="wrong", DISCORD_API_URL=server.api_url, MODEL=str(tiny_model))
    assert code == 2
    assert "Discord refused DISCORD_TOKEN" in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("setting", "value"),
    [("WAITING_PER_PERSON", "-1"), ("DISCORD_API_URL", "nonsense"), ("MODEL", "/nowhere"), ("LOG_LEVEL", "loud")],
)
async def test_a_wrong_setting_is_named(tmp_path, setting, value):
    code, output = await run(tmp_path, DISCORD_TOKEN="any", **{setting: value})
    assert code == 2
    assert value in output
    assert "Traceback" not in output


@pytest.mark.parametrize(("name", "message"), [("data", "DATA_DIR"), ("data/atelier.sqlite3", "not a database")])
async def test_an_unusable_data_folder_is_reported_in_one_line(tmp_path, tiny_model, name, message):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("This is no database, and no folder." * 100)
    code, output = await run(tmp_path, DISCORD_TOKEN="any", MODEL=str(tiny_model))
    assert code == 2
    assert message in output
    assert "Traceback" not in output


async def test_all_wrong_settings_are_named_at_once(tmp_path):
    wrong = {"DEVICE": "gpu", "RETENTION_DAYS": "-3", "MODEL": "/nowhere", "LORAS": "/no-loras", "UPSCALER": "/up.pth"}
    code, output = await run(tmp_path, **wrong)
    assert code == 2
    assert "6 settings are wrong" in output
    for name in ("DISCORD_TOKEN", *wrong):
        assert name in output
    assert "/nowhere" in output
    assert "Traceback" not in output


async def test_a_gpu_that_is_not_there_ends_the_command_in_one_sentence(tmp_path, tiny_model):
    code, output = await run(tmp_path, "imagine", "a", "fox", MODEL=str(tiny_model), DEVICE="cuda:99")
    assert code == 2
    told = [line for line in output.splitlines() if "DEVICE=cuda:99" in line]
    assert len(told) == 1 and told[0].startswith("atelier: DEVICE=cuda:99, but ")
    assert "Traceback" not in output and "next try" not in output


async def test_an_image_is_generated_from_the_command_line(tmp_path, tiny_model):
    prompt = "a red fox under the moon --ar 3:2 --seed 7 --model tiny"
    (tmp_path / "loras").mkdir()
    (tmp_path / "loras" / "old.pt").touch()
    small = shutil.copytree(tiny_model, tmp_path / "small")
    described = json.loads((small / "atelier.json").read_text()) | {"known": {"things": ["moon"]}}
    (small / "atelier.json").write_text(json.dumps(described))
    settings = {"MODEL": f"storybook, {small}", "LORAS": "loras"}
    viewer = tmp_path / "viewer"
    viewer.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    viewer.chmod(0o755)
    options = ("--out", "out", "--open")
    code, output = await run(
        tmp_path, "imagine", *prompt.split(), *options, fresh=True, BROWSER=str(viewer), **settings
    )
    assert code == 0, output
    assert "tiny does not know “red fox”. What it draws well: a red fox under the moon" in " ".join(output.split())
    assert output.count("old.pt is pickled") == 1
    files = sorted((tmp_path / "out").iterdir())
    assert [path.suffix for path in files] == [".png"] * 4 + [".webp"]
    paths = [line for line in output.splitlines() if line.startswith("out/")]
    assert paths[0] == f"out/{files[4].name}  (the grid)"
    assert paths[1:] == [f"out/{path.name}  (seed {7 + number})" for number, path in enumerate(files[:4])]
    assert "tiny · seed 7 · " in output
    assert (tmp_path / "opened").read_text().strip() == files[4].as_uri()
    with Image.open(files[0]) as tile, Image.open(files[4]) as grid_image:
        assert grid_image.size == (2 * tile.width, 2 * tile.height)
        assert tile.width > tile.height
        assert "a red fox under the moon" in tile.text["parameters"]
        assert "Seed: 7" in tile.text["parameters"]
        assert "Model: tiny" in tile.text["parameters"]


async def test_a_dry_run_says_what_a_prompt_means(tmp_path):
    code, output = await run(tmp_path, "imagine", "--dry-run", "a fox —ar 3:2", fresh=True)
    assert (code, json.loads(output)["parameters"]) == (0, {"aspect": "3:2"})
    code, output = await run(tmp_path, "imagine", "--dry-run", "a fox --wibble 3")
    assert (code, json.loads(output)["faults"]) == (2, ["Unrecognized parameter `--wibble`"])


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
@pytest.mark.parametrize("arguments", ["imagine --dry-run a fox", "--help", "drain"])
def test_a_reader_that_has_gone_ends_the_command_without_a_traceback(tmp_path, arguments):
    command = f"{{ {sys.executable} {MAIN} {arguments}; echo code $? >&2; }} | sleep 0"
    settings = {**os.environ, "DATA_DIR": str(tmp_path), "PYTHONUNBUFFERED": ""}
    ended = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, env=settings, capture_output=True, text=True, check=False
    )
    assert ended.stderr == "code 1\n"


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
@pytest.mark.parametrize(
    ("arguments", "unbuffered"),
    [("imagine --dry-run a fox", ""), ("--help", ""), ("drain", "1"), ("doctor", ""), ("doctor", "1")],
)
def test_output_that_cannot_be_written_ends_the_command_with_a_sentence(tmp_path, arguments, unbuffered):
    settings = environment(tmp_path, PYTHONUNBUFFERED=unbuffered)
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, str(MAIN), *arguments.split()]
        ended = subprocess.run(command, cwd=tmp_path, env=settings, stdout=full, stderr=subprocess.PIPE, text=True)
    assert ended.stderr == "atelier: cannot write its output or its data: No space left on device\n"
    assert ended.returncode == 1


HANGING_LOOK_UPS = """
import runpy, socket, sys, threading
sys.path.insert(0, {root!r})
socket.getaddrinfo = lambda *_, **__: threading.Event().wait()
sys.argv = ["main.py", "doctor"]
runpy.run_path({main!r}, run_name="__main__")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
def test_the_doctor_whom_nobody_reads_does_not_wait_for_the_network(tmp_path):
    (tmp_path / "doctor.py").write_text(HANGING_LOOK_UPS.format(main=str(MAIN), root=str(MAIN.parent)))
    settings = environment(tmp_path, DISCORD_TOKEN="any", DISCORD_API_URL="http://discord.invalid/api")
    command = f"{{ {sys.executable} doctor.py; echo code $? >&2; }} | sleep 0"
    ended = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=settings, stderr=subprocess.PIPE, text=True)
    assert ended.stderr.splitlines()[-1] == "code 1"
    assert "Traceback" not in ended.stderr


async def test_a_wrong_prompt_on_the_command_line_is_explained(tmp_path, tiny_model):
    code, output = await run(tmp_path, "imagine", "a fox --aspct 3:2", MODEL=str(tiny_model))
    assert code == 2
    assert "did you mean `--aspect`?" in output
    assert "Traceback" not in output


def cut(model: Path) -> None:
    """Cut a model's UNet, as an interrupted download does."""
    path = model / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def point(model: Path) -> None:
    """Replace a model's UNet by what a clone without git-lfs has in its place."""
    path = model / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def reshape(model: Path) -> None:
    """Describe a UNet of another shape than its weights have, which only loading shows."""
    path = model / "unet" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"block_out_channels": [16, 16]}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [(cut, "is damaged.*Download the model again"), (point, "git-lfs"), (reshape, "weights of another shape")],
)
async def test_a_damaged_model_ends_imagine_with_one_sentence(tmp_path, tiny_model, damage, message):
    shutil.copytree(tiny_model, tmp_path / "model")
    damage(tmp_path / "model")
    code, output = await run(tmp_path, "imagine", "a fox --steps 1", MODEL=str(tmp_path / "model"), DEVICE="cpu")
    assert code == 2
    lines = [line for line in output.splitlines() if "atelier:" in line]
    assert len(lines) == 1
    assert re.search(message, output.replace("\n", " "))
    assert "Traceback" not in output
    assert "next try" not in output


def job_states(folder):
    with closing(sqlite3.connect(folder / "data" / "atelier.sqlite3")) as database:
        return [state for (state,) in database.execute("SELECT state FROM jobs")]


async def test_kill_9_with_a_queue_loses_no_job_and_posts_none_twice(tmp_path, server, tiny_model):
    ada = server.world.add_user("ada")
    channel = server.world.add_channel(server.world.add_guild("Studio", ada))
    person = server.person(ada)
    async with bot(server, tmp_path, tiny_model) as process:
        await person.command("imagine", channel, prompt="first --steps 4")
        first = await server.wait_for(channel, lambda message: "U1" in message.labels)
        for number in range(4):
            await (await person.command("imagine", channel, prompt=f"long {number} --steps 25")).message()
        process.kill()
        await process.wait()
    assert {"drawing", "waiting"} <= set(job_states(tmp_path))
    async with bot(server, tmp_path, tiny_model) as process:
        await person.press(first, "U3")
        await server.wait_until(lambda: len(results(server, channel)) == 6)
        await server.wait_until(lambda: len(server.world.channel_messages(channel)) == 6)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), TIMEOUT_S) == 0
    assert len(server.pings) == 6
    assert len({result.content for result in results(server, channel)}) == 6


@pytest.mark.asyncio(loop_scope="module")
async def test_a_second_bot_on_the_same_data_is_refused(running_bot, tiny_model):
    code, output = await run(running_bot.folder, DISCORD_TOKEN="any", MODEL=str(tiny_model))
    assert code == 2
    assert "another Atelier is using DATA_DIR" in output


def results(server, channel):
    return [
        message for message in server.world.channel_messages(channel) if {"U1", "Vary (Subtle)"} & set(message.labels)
    ]


async def test_the_doctor_passes_a_good_installation_and_changes_nothing(tmp_path, server, tiny_model):
    ada = server.world.add_user("ada")
    server.world.add_channel(server.world.add_guild("Studio", ada))
    settings = {"DISCORD_TOKEN": server.world.application.token, "DISCORD_API_URL": server.api_url}
    code, output = await run(tmp_path, "doctor", fresh=True, MODEL=str(tiny_model), DEVICE="cpu", **settings)
    assert code == 0, output
    assert "All checks passed." in output
    assert "cores (cpu)" in output
    assert list(tmp_path.iterdir()) == []


async def test_the_doctor_reports_a_missing_network_and_model(tmp_path):
    url = "http://127.0.0.1:9/api/v10"
    settings = {"DISCORD_TOKEN": "any", "DISCORD_API_URL": url, "MODEL": "/nowhere", "DEVICE": "cuda:7"}
    code, output = await run(tmp_path, "doctor", **settings)
    assert code == 1
    assert f"?    token: {url} cannot be reached" in output
    assert "bad  model: no model folder at /nowhere" in output
    assert "bad  device: DEVICE=cuda:7, but " in output  # the rest depends on how this PyTorch was built
    assert "set DEVICE=" in output
    assert "Traceback" not in output


@pytest.mark.asyncio(loop_scope="module")
async def test_a_backup_of_a_running_bot_works_in_another_folder(running_bot, tmp_path, tiny_model):
    world, folder = running_bot.server.world, running_bot.folder
    assert await run(folder, "backup", "backup.zip", fresh=True) == (0, "backup.zip: 1 jobs and 5 pictures\n")
    code, output = await run(folder, "restore", "backup.zip", "--replace")
    assert (code, "another Atelier is using DATA_DIR" in output) == (2, True)
    (interaction,) = running_bot.server.interactions
    with zipfile.ZipFile(folder / "backup.zip") as archive:
        everything = b"".join(archive.read(name) for name in archive.namelist())
    for secret in (interaction.token, world.application.token):
        assert secret.encode() not in everything
    (folder / "backup.zip").rename(tmp_path / "backup.zip")
    code, output = await run(tmp_path, "restore", "backup.zip", fresh=True)
    assert (code, "1 jobs and 5 pictures" in output) == (0, True)
    code, output = await run(tmp_path, "restore", "backup.zip")
    assert (code, "--replace" in output) == (2, True)
    async with fake_discord(world) as elsewhere, bot(elsewhere, tmp_path, tiny_model):
        before = len(results(elsewhere, running_bot.channel))
        await elsewhere.person(running_bot.ada).press(running_bot.grid, "🔄")
        await elsewhere.wait_until(lambda: len(results(elsewhere, running_bot.channel)) == before + 1)


@pytest.mark.asyncio(loop_scope="module")
async def test_other_accounts_cannot_read_the_data(running_bot):
    data = running_bot.folder / "data"
    modes = {path: path.stat().st_mode & 0o777 for path in (data, *data.rglob("*"))}
    assert len(modes) > 8
    assert {path: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}


async def test_an_existing_data_folder_is_taken_from_other_accounts(tmp_path):
    (tmp_path / "data").mkdir(mode=0o755)
    (tmp_path / "data" / "atelier.sqlite3").touch(mode=0o644)
    (tmp_path / "data" / "atelier.sqlite3").write_text("no database" * 100)
    await run(tmp_path, "restore", "nothing.zip")
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "data" / "atelier.sqlite3").stat().st_mode & 0o777 == 0o600


@pytest.mark.asyncio(loop_scope="module")
async def test_a_running_bot_serves_its_health_and_metrics(running_bot):
    async with aiohttp.ClientSession(f"http://127.0.0.1:{running_bot.port}") as session:
        async with asyncio.timeout(TIMEOUT_S):
            while (health := await session.get("/health")).status != 200:
                # A starved machine lets the GPU process miss its pings for a while, and then it is not healthy.
                assert health.status == 503
                await asyncio.sleep(0.05)
        assert "atelier_drawing_seconds_count 1.0" in await (await session.get("/metrics")).text()


@pytest.mark.asyncio(loop_scope="module")
async def test_the_log_follows_a_job_through_both_processes(running_bot):
    lines = [json.loads(line) for line in (running_bot.folder / "log").read_text().splitlines(keepends=True)]
    job_id = running_bot.grid.buttons[0]["custom_id"].partition(":")[2].partition("-")[0]
    job_lines = [line for line in lines if line.get("job") == job_id]
    assert {line["process"] for line in job_lines} == {"bot", "gpu"}
    bot_lines = [line for line in job_lines if line["process"] == "bot"]
    origin = str(running_bot.guild.id), str(running_bot.ada.id)
    assert {(line["guild"], line["person"]) for line in bot_lines} == {origin}


async def test_a_settings_file_in_another_encoding_is_named(tmp_path):
    (tmp_path / ".env").write_bytes("DISCORD_TOKEN=x\n".encode("utf-16"))  # as PowerShell's > writes it
    code, output = await run(tmp_path, "backup", "x.zip")
    assert (code, output.startswith("atelier: .env is not in UTF-8")) == (2, True)


async def test_a_byte_order_mark_does_not_hide_the_first_setting(tmp_path):
    (tmp_path / ".env").write_text("DEVICE=gpu\n", encoding="utf-8-sig")
    code, output = await run(tmp_path, "backup", "x.zip")
    assert (code, "DEVICE must be" in output) == (2, True)


async def test_a_misspelt_setting_is_told(tmp_path):
    (tmp_path / ".env").write_text("RETENTION_DAY=3\n", encoding="utf-8")
    _, output = await run(tmp_path, "backup", "x.zip")
    assert "RETENTION_DAY is not a setting: did you mean RETENTION_DAYS?" in output
    _, output = await run(tmp_path, "doctor", MODEL="/nowhere", DEVICE="cuda:7", DISCORD_API_URL="http://127.0.0.1:9")
    assert "bad  settings: RETENTION_DAY is not a setting: did you mean RETENTION_DAYS?" in output


async def test_a_folder_that_cannot_be_written_is_named_before_anything_is_loaded(tmp_path):
    (tmp_path / "file").touch()
    code, output = await run(tmp_path, "imagine", "a red boat", "--out", "file/pictures")
    assert (code, "Cannot write to file/pictures: Not a directory" in output) == (2, True)
    assert "Loading" not in output
