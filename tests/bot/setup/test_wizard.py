"""The wizard checks each answer against Discord and the device, and changes nothing in .env but what was asked."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import stat
import sys
from pathlib import Path

import pytest
from dotenv import dotenv_values

from bot import env_file
from bot.config import Config, ConfigError
from bot.doctor.device import ProbeError
from bot.doctor.servers import REQUIRED_PERMISSIONS
from bot.env_file import read_settings, write_settings
from bot.setup import wizard
from bot.setup.model_choice import model_choices, resolve_numbers, suggest_model
from bot.setup.wizard import SetupOptions, Wizard
from tests.support.timing import TIMEOUT_S

ROOT = Path(__file__).resolve().parents[3]
GIB = 2**30


def device(kind: str = "cuda:0", gib: float = 12, weight: int = 2) -> dict[str, object]:
    return {"device": kind, "name": "a card", "total": int(gib * GIB), "free": int(gib * GIB), "bytes": weight}


class ScriptedTerminal:
    """Gives prepared answers, and keeps what was said; an unexpected question fails the test."""

    def __init__(self, *answers: str, interactive: bool = True) -> None:
        self.answers, self.interactive, self.said, self.questions = list(answers), interactive, "", []

    def say(self, text: str = "") -> None:
        self.said += f"{text}\n"

    def ask(self, question: str, default: str = "") -> str:
        self.questions.append(question.strip())
        return (self.answers.pop(0) or default) if self.interactive else default

    def ask_hidden(self, question: str) -> str:
        return self.ask(question)


@pytest.fixture
def run(harness, tmp_path, monkeypatch):
    """Run the wizard in a thread, beside the fake Discord, with a card of 12 GiB."""

    async def probe(name: str) -> list[dict[str, object]]:
        if name == "cuda:7":
            raise ProbeError("there is no such GPU", "Take another.")
        if name == "all":
            return [device("cuda:0", 24), device("cuda:1", 6)]
        if name == "none":
            return []
        return [device("cpu", weight=4) if name == "cpu" else device()]

    monkeypatch.setattr(wizard, "probe_devices", probe)

    async def run(terminal: ScriptedTerminal, environment: dict[str, str] | None = None, **options) -> int:
        given = {"DISCORD_API_URL": harness.server.api_url, **(environment or {})}
        return await asyncio.to_thread(Wizard(tmp_path, given, SetupOptions(**options), terminal).run)

    return run


@pytest.fixture
def token(harness) -> str:
    return harness.server.world.application.token


async def test_the_answers_are_checked_and_written(run, token, tmp_path):
    terminal = ScriptedTerminal("wrong-token", token, "cuda:7", "", "3, nobody has this!", "1,2", "no")
    assert await run(terminal) == 0
    settings = dotenv_values(tmp_path / ".env")
    assert settings["DISCORD_TOKEN"] == token
    assert settings["DEVICE"] == "auto"
    assert Config.read({"MODEL": settings["MODEL"]}).models == ("storybook", "Stable Diffusion 1.5")
    assert "Discord refuses this token" in terminal.said
    assert "there is no such GPU" in terminal.said
    assert token not in terminal.said
    assert terminal.answers == []


async def test_the_invitation_has_the_permissions_that_the_bot_needs(run, token, harness):
    terminal = ScriptedTerminal(interactive=False)
    await run(terminal, token=token, model="storybook", device="cpu")
    found = re.search(r"https://discord.com/oauth2/authorize\?\S+", terminal.said)
    assert found
    assert f"client_id={harness.server.world.application.id}" in found[0]
    assert "scope=bot+applications.commands" in found[0]
    permissions = int(re.search(r"permissions=(\d+)", found[0])[1])
    assert permissions & REQUIRED_PERMISSIONS.value == REQUIRED_PERMISSIONS.value
    assert "Studio" in terminal.said


async def test_everything_can_be_given_as_options(run, token, tmp_path):
    terminal = ScriptedTerminal()
    assert await run(terminal, token=token, device="cpu", model="storybook", service=False) == 0
    assert terminal.questions == []
    assert dotenv_values(tmp_path / ".env")["DEVICE"] == "cpu"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"token": "wrong"}, "Discord refuses"),
        ({"token": "two words"}, "characters that no token has"),
        ({}, "not set"),
        ({"token": "TOKEN", "device": "gpu"}, "DEVICE must be"),
        ({"token": "TOKEN", "device": "cuda:7"}, "no such GPU"),
        ({"token": "TOKEN", "device": "cpu", "model": ","}, "MODEL must name"),
    ],
)
async def test_a_wrong_option_ends_it_and_writes_nothing(run, token, tmp_path, options, words):
    given = {name: token if value == "TOKEN" else value for name, value in options.items()}
    with pytest.raises(ConfigError, match=words):
        await run(ScriptedTerminal(interactive=False), **given)
    assert not (tmp_path / ".env").exists()


async def test_three_wrong_tokens_end_it(run, tmp_path):
    with pytest.raises(ConfigError):
        await run(ScriptedTerminal("a", "b", "c"))
    assert not (tmp_path / ".env").exists()


async def test_without_a_connection_the_token_is_written_unchecked(run, tmp_path):
    terminal = ScriptedTerminal(interactive=False)
    offline = {"DISCORD_API_URL": "http://127.0.0.1:9/api/v10"}
    assert await run(terminal, offline, token="some.token", device="cpu", model="storybook") == 0
    assert "Not checked" in terminal.said
    assert "does not look like a token" in terminal.said
    assert "Without a GPU" in terminal.said
    assert dotenv_values(tmp_path / ".env")["DISCORD_TOKEN"] == "some.token"


async def test_a_second_run_keeps_what_is_set(run, token, tmp_path):
    (tmp_path / ".env").write_text(f"DISCORD_TOKEN={token}\nDEVICE=cpu\nMODEL=open journey\n", encoding="utf-8")
    assert await run(ScriptedTerminal("", "", "", "")) == 0
    assert read_settings(tmp_path / ".env") == {"DISCORD_TOKEN": token, "DEVICE": "cpu", "MODEL": "open journey"}


async def test_a_setting_in_the_environment_is_named(run, token):
    terminal = ScriptedTerminal(interactive=False)
    await run(terminal, {"MODEL": "storybook"}, token=token)
    assert "MODEL is also set in the environment" in terminal.said


async def test_a_model_that_is_too_large_is_told(run, token):
    terminal = ScriptedTerminal(interactive=False)
    await run(terminal, token=token, model="flux")
    assert "FLUX.1 dev is larger than the device's memory" in terminal.said


async def test_a_model_must_fit_into_each_of_several_devices(run, token, tmp_path):
    terminal = ScriptedTerminal(interactive=False)
    await run(terminal, token=token, device="all")
    assert dict(dotenv_values(tmp_path / ".env"))["DEVICE"] == "all"
    assert "Stable Diffusion 1.5" in terminal.said.partition("3. The models")[2]


# --- the .env file


async def test_a_machine_that_generates_nothing_is_set_up_for_its_cluster(run, token, tmp_path):
    (tmp_path / ".env").write_text("DEVICE=none\nCLUSTER=10.0.0.5:6380\n")
    terminal = ScriptedTerminal(interactive=False)
    assert await run(terminal, token=token) == 0
    assert "only the machines of the cluster generate" in terminal.said
    assert read_settings(tmp_path / ".env") == {
        "DEVICE": "none",
        "CLUSTER": "10.0.0.5:6380",
        "DISCORD_TOKEN": token,
        "MODEL": "storybook",
    }
    with pytest.raises(ConfigError, match="CLUSTER names no other machines"):
        await run(ScriptedTerminal(interactive=False), {"CLUSTER": ""}, token=token)


def test_a_setting_is_changed_where_it_stands_and_all_else_stays(tmp_path):
    file = tmp_path / ".env"
    file.write_text("# mine\r\nexport DEVICE = cpu\r\nRETENTION_DAYS=30 # a month\r\n#MODEL=x\r\n", newline="")
    write_settings(file, tmp_path / "none", {"DEVICE": "cuda", "MODEL": "open journey, sdxl", "LORAS": r"C:\my #1\x'y"})
    text = file.read_bytes().decode()
    assert text.startswith("# mine\r\nDEVICE=cuda\r\nRETENTION_DAYS=30 # a month\r\nMODEL=open journey, sdxl\r\n")
    assert read_settings(file)["LORAS"] == r"C:\my #1\x'y"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_only_the_owner_can_read_the_file_and_a_link_stays_one(tmp_path):
    real, link = tmp_path / "real", tmp_path / ".env"
    real.write_text("A=1\n")
    real.chmod(0o644)
    link.symlink_to(real)
    write_settings(link, tmp_path / "none", {"B": "2"})
    assert link.is_symlink()
    assert real.read_text() == "A=1\nB=2\n"
    assert stat.S_IMODE(real.stat().st_mode) == 0o600


def test_a_new_file_explains_every_setting(tmp_path):
    write_settings(tmp_path / ".env", ROOT / ".env.example", {"DISCORD_TOKEN": "t", "DEVICE": "cpu"})
    text = (tmp_path / ".env").read_text(encoding="utf-8")
    assert text.count("\n") == (ROOT / ".env.example").read_text(encoding="utf-8").count("\n")
    assert read_settings(tmp_path / ".env") == {"DISCORD_TOKEN": "t", "DEVICE": "cpu"}


def test_a_file_of_somebody_else_is_named(tmp_path, monkeypatch):
    """As after `sudo scripts/atelier setup`; tests may run as root, who can read everything."""

    def refuse(path: Path, **options: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(env_file, "dotenv_values", refuse)
    with pytest.raises(ConfigError, match=r"\.env cannot be read: Permission denied\. It must belong to the user"):
        read_settings(tmp_path / ".env")


# --- models


@pytest.mark.parametrize(
    ("found", "model"),
    [
        (None, "storybook"),
        (device("cpu", 64, 4), "storybook"),
        (device(gib=2), "storybook"),
        (device(gib=6), "Stable Diffusion 1.5"),
        (device(gib=12), "Stable Diffusion XL"),
    ],
)
def test_the_suggested_model_fits_the_memory(found, model):
    assert suggest_model(found) == model


def test_numbers_stand_for_the_models_of_the_list():
    choices = model_choices(device())
    assert resolve_numbers("2, sdxl ,1", choices) == "Stable Diffusion 1.5, sdxl, storybook"
    assert resolve_numbers("99", choices) == "99"
    by_name = {choice.name: choice for choice in choices}
    assert by_name["Stable Diffusion XL"].fits
    assert not by_name["FLUX.1 dev"].fits


# --- the command line


@pytest.mark.skipif(os.name == "nt", reason="uses a pseudo-terminal")
async def test_the_token_is_not_shown_in_the_terminal(harness, token, tmp_path):
    """As a person sees it: `python main.py setup` in a terminal, with a real device."""
    controller, terminal = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "DISCORD_API_URL": harness.server.api_url}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "main.py"),
        "setup",
        "--device",
        "cpu",
        "--model",
        "storybook",
        "--no-service",
        cwd=tmp_path,
        env=environment,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    output = await asyncio.wait_for(asyncio.to_thread(converse, controller, token), TIMEOUT_S * 4)
    assert await process.wait() == 0, output
    assert token not in output
    assert "Discord knows the bot as" in output
    assert read_settings(tmp_path / ".env")["DISCORD_TOKEN"] == token


def converse(controller: int, token: str) -> str:
    """Type the token when it is asked for; return all that was shown."""
    shown, answered = b"", False
    try:
        while chunk := os.read(controller, 4096):
            shown += chunk
            if not answered and shown.rstrip().endswith(b"Token:"):
                answered = True
                os.write(controller, f"{token}\n".encode())
    except OSError:  # the process has closed the terminal
        pass
    os.close(controller)
    return shown.decode()
