"""Ask for the token, the device and the models, check each answer, and write `.env`."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.config import NO_DEVICE, Config, ConfigError
from bot.doctor.account import PORTAL
from bot.doctor.device import ProbeError, probe_devices
from bot.doctor.rest import RestClient, UnauthorizedError, UnreachableError
from bot.doctor.servers import invite_url, list_servers
from bot.env_file import read_settings, write_settings
from bot.setup.model_choice import model_choices, resolve_numbers, suggest_model
from bot.setup.service_file import ROOT, find_installation, next_steps, service_templates, write_service_files
from bot.setup.terminal import Terminal
from generation.command_line import as_typed
from generation.errors import UserError
from generation.models.registry import ModelRegistry

ENV_FILE = ".env"
MAX_TRIES = 3  # wrong tokens in a row
TOKEN_SHAPE = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+")  # only for a remark: Discord promises no shape
TOKEN_HELP = f"""\
1. The bot's token. Discord shows it once: {PORTAL} > Reset Token.
   It is not shown here while you paste it. docs/discord.md has each step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupOptions:
    """What was given on the command line; None is asked for. A token of "-" is read from standard input."""

    token: str | None = None
    device: str | None = None
    model: str | None = None
    service: bool | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """The bot's account: its name, its application as JSON, and the names of its servers."""

    name: str
    application: dict[str, Any]
    servers: list[str]


class Wizard:
    """Asks the questions in order; each answer that was given as an option is only checked."""

    def __init__(self, folder: Path, environment: Mapping[str, str], options: SetupOptions, terminal: Terminal) -> None:
        self._folder, self._options, self._terminal = folder, options, terminal
        self._file = folder / ENV_FILE
        self._environment = environment
        self._current = {**read_settings(self._file), **environment}

    def run(self) -> int:
        """Ask, check, and write the file. Raises ConfigError where there is nobody to ask again."""
        say = self._terminal.say
        say(f"Atelier's setup writes {self._file}. An empty line takes what is in [brackets].\n")
        token = self._choose_token()
        device, found = self._choose_device()
        models = self._choose_models(found)
        write_settings(self._file, ROOT / ".env.example", {"DISCORD_TOKEN": token, "DEVICE": device, "MODEL": models})
        say(f"\nWrote {self._file}; only you can read it. Every other setting is explained in it.")
        self._warn_of_overrides(("DISCORD_TOKEN", "DEVICE", "MODEL"))
        self._offer_service()
        say(f"\nNext:\n  {as_typed('doctor')}\n    checks everything\n  {as_typed()}\n    starts the bot")
        return 0

    def _choose_token(self) -> str:
        given = sys.stdin.readline().strip() if self._options.token == "-" else self._options.token
        current = self._current.get("DISCORD_TOKEN", "").strip()
        self._terminal.say(TOKEN_HELP)
        for _ in range(MAX_TRIES):
            token = given or self._ask_token(current)
            problem = self._check_token(token)
            if not problem:
                return token
            self._complain(problem, is_final=bool(given))
        raise ConfigError("no token that Discord accepts")

    def _ask_token(self, current: str) -> str:
        hint = " (empty keeps the one in .env)" if current else ""
        return self._terminal.ask_hidden(f"   Token{hint}") or current

    def _check_token(self, token: str) -> str:
        """Show whose token it is and how to invite the bot; return what is wrong with it, or nothing."""
        if not token:
            return "DISCORD_TOKEN is not set: the bot cannot log in without it."
        try:
            account = asyncio.run(look_up(self._config(DISCORD_TOKEN=token)))
        except ConfigError as error:
            return str(error)
        except UnauthorizedError:
            return f"Discord refuses this token: copy it from {PORTAL}, not the client secret or the application id."
        except UnreachableError as error:
            self._terminal.say(f"   Not checked: {error}. `{as_typed('doctor')}` checks it later.")
            if not TOKEN_SHAPE.fullmatch(token):
                self._terminal.say("   It does not look like a token: those have three parts with dots between them.")
            return ""
        self._terminal.say(f"   Discord knows the bot as {account.name}.")
        self._show_invitation(account)
        return ""

    def _show_invitation(self, account: Account) -> None:
        if account.servers:
            self._terminal.say(f"   It is in: {', '.join(account.servers)}. For another server:")
        else:
            self._terminal.say("   It is in no server yet. Open this link and choose yours:")
        self._terminal.say(f"   {invite_url(account.application)}")

    def _choose_device(self) -> tuple[str, Mapping[str, Any] | None]:
        self._terminal.say("\n2. The device. Looking for a GPU takes up to a minute ...")
        given, current = self._options.device, self._current.get("DEVICE", "").strip() or "auto"
        while True:
            device = given or self._terminal.ask("   auto, cpu, cuda, cuda:1 (the second GPU), mps or all", current)
            found, problem = self._probe(device)
            if found is not None:
                self._terminal.say(f"   {found['name']} ({found['device']}) with {found['total'] / 2**30:.1f} GiB")
                return device, found
            if device == "auto" or not problem:  # PyTorch itself does not work: the doctor says more
                self._terminal.say(f"   {problem or 'None here: only the machines of the cluster generate.'}")
                return device, None
            self._complain(problem, is_final=bool(given))

    def _probe(self, device: str) -> tuple[Mapping[str, Any] | None, str]:
        """Return what the device is, of several the one with the least memory, or None and what is wrong with it.

        Nothing is wrong with none, if there is a cluster.
        """
        cluster = self._current.get("CLUSTER", "") if device.lower() == NO_DEVICE else ""
        try:
            found = asyncio.run(probe_devices(self._config(DEVICE=device, CLUSTER=cluster).device))
            return min(found, key=lambda each: each["total"], default=None), ""  # the models must fit into each
        except ConfigError as error:
            return None, str(error)
        except ProbeError as error:
            return None, f"{error}. {error.fix}"

    def _complain(self, problem: str, *, is_final: bool) -> None:
        """Show what is wrong with an answer, so that it is asked for again; ConfigError if there is nobody to ask."""
        if is_final or not self._terminal.interactive:
            raise ConfigError(problem)
        self._terminal.say(f"   {problem}")

    def _choose_models(self, device: Mapping[str, Any] | None) -> str:
        choices = model_choices(device)
        self._terminal.say("\n3. The models. The first is the default; several are separated by commas.")
        if device is not None and device["device"] == "cpu":
            self._terminal.say("   Without a GPU, Storybook takes seconds for a picture, and all others take minutes.")
        if self._options.model is None and self._terminal.interactive:
            for number, choice in enumerate(choices, 1):
                self._terminal.say(f"   {number:>2}  {choice}")
        current = self._current.get("MODEL", "").strip() or suggest_model(device)
        while True:
            typed = self._options.model or self._terminal.ask(
                "   Numbers, names, ids on huggingface.co or files", current
            )
            models = resolve_numbers(typed, choices) or typed
            try:
                names = [model.name for model in ModelRegistry.from_refs(self._config(MODEL=models).models).models]
            except (ConfigError, UserError, FileNotFoundError) as error:
                self._complain(str(error), is_final=bool(self._options.model))
                continue
            self._terminal.say(f"   {', '.join(names)}")
            self._warn_of_memory([choice.name for choice in choices if choice.name in names and choice.fits is False])
            return models

    def _warn_of_memory(self, too_large: list[str]) -> None:
        for name in too_large:
            self._terminal.say(f"   {name} is larger than the device's memory: expect it to be slow, or to fail.")

    def _warn_of_overrides(self, names: tuple[str, ...]) -> None:
        for name in names:
            if self._environment.get(name):
                self._terminal.say(f"Note: {name} is also set in the environment, which overrides the file.")

    def _offer_service(self) -> None:
        templates = service_templates()
        if not templates or self._options.service is False:
            return
        if self._options.service is None:
            answer = self._terminal.ask("\n4. Write service files, to start the bot with this machine? yes or no", "no")
            if answer.lower() not in ("y", "yes"):
                return
        files = write_service_files(self._folder, templates, find_installation(read_settings(self._file)))
        self._terminal.say(f"Wrote {', '.join(file.name for file in files)}. To install them:\n{next_steps(files)}")

    def _config(self, **changes: str) -> Config:
        """Read single settings with the address of Discord; the rest of the file may be wrong and does not matter."""
        address = self._current.get("DISCORD_API_URL", "")
        return Config.read({"DISCORD_API_URL": address, **changes})


async def look_up(config: Config) -> Account:
    """Return the account of a token. Raises UnauthorizedError and UnreachableError."""
    async with RestClient.open(config) as api:
        me, application = await api.get("/users/@me"), await api.get("/applications/@me")
        return Account(me["username"], application, [server["name"] for server in await list_servers(api)])


def run_setup(options: SetupOptions, terminal: Terminal) -> int:
    """Run the wizard in the current folder."""
    return Wizard(Path.cwd(), os.environ, options, terminal).run()
