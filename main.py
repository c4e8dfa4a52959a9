"""Atelier's command line: start the bot or the preview, generate one grid, set up, check, back up or restore."""

from __future__ import annotations

import argparse
import asyncio
import errno
import io
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from bot.config import Config, ConfigError, describe_misspelt, secret_variables
from bot.env_file import load_settings
from bot.instance_lock import acquire_instance_lock
from db.connection import UnusableDatabaseError
from db.upkeep.backup import BackupError, create_backup, restore_backup
from db.upkeep.backup_rotation import add_backup
from generation import logs
from generation.cluster.ray_settings import DEFAULT_PORT, DEFAULT_STORE_MB
from generation.command_line import CONTAINER, as_typed
from generation.errors import UserError
from generation.models.registry import ModelRegistry

log = logging.getLogger(__name__)

MISSING_TOKEN_HELP = f"""\
To set it up:
  {as_typed("setup")}
To try Atelier without a Discord account:
  {as_typed("preview")}
  {as_typed("imagine a red boat on the sea --out pictures")}
How to get a token: docs/discord.md"""
# Nothing that runs in the container can write the file.
MISSING_TOKEN_HELP_IN_CONTAINER = """\
Write it into .env, beside compose.yaml:
  DISCORD_TOKEN=your-token
How to get a token: docs/discord.md"""

IMAGINE_OPTIONS = ("--out", "--image", "--control-picture")  # each takes a value
IMAGINE_SWITCHES = ("--open", "--dry-run", "--help", "-h")

CANNOT_WRITE = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

# The preview has its own servers, runs beside the bot, and shows the bot's last output, read as UTF-8, on its page.
PREVIEW_ENV_OVERRIDES = {"ALLOWED_GUILDS": "", "METRICS_PORT": "", "LOG_FORMAT": "", "PYTHONUTF8": "1"}


def main() -> int:
    """Run the command and return the exit code: 1 if it cannot write, as on a full disk or after `| head`."""
    try:
        try:
            return _run()
        finally:
            print(end="", flush=True)
    except OSError as error:
        if error.errno not in CANNOT_WRITE:
            raise
        with suppress(OSError):
            if error.errno != errno.EPIPE:
                print(f"atelier: cannot write its output or its data: {error.strerror}", file=sys.stderr)
        for stream in (sys.stdout, sys.stderr):  # where Python writes what is left, at its end
            if not _can_flush(stream):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return 1


def _can_flush(stream: TextIO) -> bool:
    try:
        stream.flush()
    except OSError:
        return False
    return True


def _run() -> int:
    """Run the command and return the exit code: 2 for an error that the caller can fix."""
    for stream in (sys.stdout, sys.stderr):  # a console that lacks a letter, as on Windows, must not end the program
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    arguments = _parse_arguments()
    if arguments.command != "imagine":  # whose images are for whoever may read the folder
        os.umask(0o077)  # prompts, images and tokens are private
    if arguments.command == "setup":
        return _set_up(arguments)
    try:
        names = load_settings(Path(".env"))
        config = _read_config(arguments.command, with_files=not getattr(arguments, "dry_run", False))
        if arguments.command != "preview":  # whose bot reads them from the environment again
            _forget_secrets()
        # The progress bar says what the log would.
        level = config.log_level if arguments.command is None else "WARNING"
        logs.configure(logs.LogConfig(level=level, style=config.log_format))
        for problem in describe_misspelt(names):
            log.warning("%s", problem)
        if arguments.command == "cluster":
            return _run_cluster_command(arguments, config)
        if arguments.command == "drain":
            return _drain(config, arguments.name, undo=arguments.undo)
        if arguments.command == "backup":
            return _back_up(config, arguments.file, arguments.keep)
        if arguments.command == "restore":
            return _restore(config, arguments.file, replace=arguments.replace)
        return asyncio.run(_dispatch(arguments, config))
    except (ConfigError, UserError, UnusableDatabaseError, BackupError, FileNotFoundError) as error:
        print(f"atelier: {error}", file=sys.stderr)
        if "DISCORD_TOKEN" in str(error):
            in_container = CONTAINER in os.environ
            print(MISSING_TOKEN_HELP_IN_CONTAINER if in_container else MISSING_TOKEN_HELP, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _read_config(command: str | None, *, with_files: bool) -> Config:
    """Read the settings; raise ConfigError with all that is wrong with them and, `with_files`, the files they name."""
    config, problems = Config.read_leniently(os.environ)
    if command is None and not config.discord_token and "DISCORD_TOKEN" not in " ".join(problems):
        problems.insert(0, "DISCORD_TOKEN is not set")
    if with_files and command in (None, "imagine", "preview"):
        from bot.workers import find_unusable_files

        problems += find_unusable_files(config)
    if problems:
        raise ConfigError(*problems)
    return config


def _forget_secrets() -> None:
    """Leave the secrets in the config only, so that no child process inherits them, on whichever machine it runs."""
    for name in secret_variables():
        os.environ.pop(name, None)


def cancel_on_signals() -> None:
    """Cancel the running task on SIGINT, on SIGTERM, and on Windows on Ctrl+Break, so that it ends in order.

    Not by the event loop's own handlers, which Windows does not have.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if number := getattr(signal, name, None):
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(task.cancel))


async def _dispatch(arguments: argparse.Namespace, config: Config) -> int:
    match arguments.command:
        case "imagine":
            if arguments.dry_run:
                from bot.dry_run import print_dry_run

                with_image, with_control = arguments.image is not None, arguments.control_picture is not None
                prompt = " ".join(arguments.prompt)
                return print_dry_run(config, prompt, with_image=with_image, with_control=with_control)
            from bot.cli import generate_from_cli

            await generate_from_cli(
                config,
                " ".join(arguments.prompt),
                arguments.out,
                arguments.image,
                arguments.control_picture,
                show=arguments.open,
            )
        case "doctor":
            from bot.doctor.run import run_checks

            return await run_checks(config)
        case "preview":
            cancel_on_signals()
            return await _preview(config, arguments.port, browser=not arguments.no_browser)
        case _:
            from bot.app import run

            cancel_on_signals()
            await run(config)
    return 0


def _run_cluster_command(arguments: argparse.Namespace, config: Config) -> int:
    from bot.cluster import commands

    config = commands.with_head(config, getattr(arguments, "head", None))
    match arguments.action:
        case "init":
            return commands.init(config)
        case "head":
            return commands.head(config, arguments.store << 20)
        case "join":
            return commands.join(config, arguments.port, arguments.store << 20)
        case _:
            return commands.show(config)


def _drain(config: Config, name: str | None, *, undo: bool) -> int:
    from bot.draining import describe_unknown, read_draining, set_draining

    if name and not undo and (unknown := describe_unknown(config.data_dir, name)):
        print(unknown)
    names = set_draining(config.data_dir, name, drained=not undo) if name else read_draining(config.data_dir)
    print(f"Drained: {', '.join(names)}" if names else "Every GPU is used.")
    return 0


def _add_cluster_commands(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("init", help="write the token and the certificates that let machines join")
    head = actions.add_parser("head", help="run the meeting point on the bot's machine, at CLUSTER's address")
    join = actions.add_parser("join", help="let the bot use this machine's GPUs")
    join.add_argument("head", nargs="?", metavar="HOST:PORT", help="where the head is (CLUSTER)")
    join.add_argument(
        "--port",
        type=_positive,
        default=DEFAULT_PORT,
        help=f"the first of the ports this machine uses ({DEFAULT_PORT})",
    )
    for each in (head, join):
        each.add_argument(
            "--store",
            type=_positive,
            default=DEFAULT_STORE_MB,
            metavar="MB",
            help=f"memory for large messages ({DEFAULT_STORE_MB})",
        )
    actions.add_parser("show", help="list the machines, and why some do not fit").add_argument(
        "head", nargs="?", metavar="HOST:PORT", help="where the head is (CLUSTER)"
    )


def _set_up(arguments: argparse.Namespace) -> int:
    """Run the wizard before `.env` is read: it may be missing or wrong."""
    from bot.setup.terminal import Console, is_interactive
    from bot.setup.wizard import SetupOptions, run_setup

    options = SetupOptions(
        token=arguments.token, device=arguments.device, model=arguments.model, service=arguments.service
    )
    try:
        return run_setup(options, Console(interactive=is_interactive() and not arguments.yes))
    except (ConfigError, OSError) as error:
        print(f"atelier: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, EOFError):
        print("\nNothing was written.", file=sys.stderr)
        return 130


def _back_up(config: Config, file: Path, keep: int | None) -> int:
    if keep is not None or file.is_dir():
        file, contents = add_backup(config.data_dir, file, keep)
    else:
        contents = create_backup(config.data_dir, file)
    print(f"{file}: {contents.jobs} jobs and {contents.images} pictures")
    return 0


def _restore(config: Config, file: Path, *, replace: bool) -> int:
    with acquire_instance_lock(config.data_dir):
        contents, previous_data = restore_backup(file, config.data_dir, replace=replace)
    print(f"{config.data_dir}: {contents.jobs} jobs and {contents.images} pictures")
    if previous_data:
        print(f"The previous data is now in {previous_data}")
    return 0


async def _preview(config: Config, port: int, *, browser: bool) -> int:
    from preview.app import run

    bot = [sys.executable, __file__]
    folder = config.data_dir / "preview"
    return await run(
        bot, {**os.environ, **PREVIEW_ENV_OVERRIDES}, folder, describe_models(config.models), port=port, browser=browser
    )


def describe_models(refs: Sequence[str]) -> dict[str, Any]:
    """Return the default model's name, subjects and examples, and the other models' names, for the preview page."""
    model, *others = ModelRegistry.from_refs(refs).models
    return {
        "model": model.name,
        "known": dict(model.vocabulary.kinds) if model.vocabulary else {},
        "examples": list(model.examples),
        "others": [other.name for other in others],
    }


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Atelier, a Midjourney-style studio for Discord.")
    commands = parser.add_subparsers(dest="command", title="without a command, start the bot")
    imagine = commands.add_parser("imagine", help="generate one grid without Discord")
    imagine.add_argument("prompt", nargs="*", help="the prompt with parameters: a red boat on the sea --ar 3:2")
    imagine.add_argument("--out", type=Path, default=Path("pictures"), help="folder for the images (pictures)")
    imagine.add_argument("--image", type=Path, help="an image to start from")
    imagine.add_argument("--control-picture", type=Path, help="an image for the ControlNets of --control")
    imagine.add_argument(
        "--dry-run", action="store_true", help="only print what was read of the prompt, as JSON; draw nothing"
    )
    imagine.add_argument("--open", action="store_true", help="open the grid when it is finished")
    preview = commands.add_parser("preview", help="try the bot in a browser, without a Discord account")
    preview.add_argument("--port", type=int, default=4870, help="port on loopback, 0 for any free port (4870)")
    preview.add_argument("--no-browser", action="store_true", help="only print the address")
    setup = commands.add_parser("setup", help="ask for the bot's settings, check them and write .env")
    setup.add_argument("--token", help="the bot's token; - reads it from standard input")
    setup.add_argument("--device", help="as in .env: auto, cpu, cuda, cuda:1, mps or all")
    setup.add_argument("--model", help="models as in .env: names, ids on huggingface.co or files, separated by commas")
    setup.add_argument("--service", action=argparse.BooleanOptionalAction, help="write a service file, or do not")
    setup.add_argument("--yes", action="store_true", help="ask nothing: keep what .env has, or take the defaults")
    commands.add_parser("doctor", help="check this installation and suggest fixes")
    backup = commands.add_parser("backup", help="write all data to one file, even while the bot runs")
    backup.add_argument("file", type=Path, help="the file to write, replacing an earlier backup, or a folder for it")
    backup.add_argument("--keep", type=_positive, metavar="N", help="in a folder: delete all but the N newest backups")
    _add_cluster_commands(commands.add_parser("cluster", help="use the GPUs of other machines"))
    drain = commands.add_parser("drain", help="give a GPU or a machine no more jobs, and stop it after its last one")
    drain.add_argument("name", nargs="?", help="as /queue shows it, such as cuda:1; without it, list those drained")
    drain.add_argument("--undo", action="store_true", help="use it again")
    restore = commands.add_parser("restore", help="restore a backup into the data folder")
    restore.add_argument("file", type=Path, help="a file written by backup")
    restore.add_argument("--replace", action="store_true", help="move existing data to a folder beside it")
    return parser.parse_args(with_prompt_last(sys.argv[1:]))


def with_prompt_last(arguments: Sequence[str]) -> list[str]:
    """Put the words of a prompt, its parameters included, behind the options of `imagine`, which take no `--ar`."""
    if "imagine" not in arguments[:1]:
        return list(arguments)
    options, words, rest = list[str](), list[str](), iter(arguments[1:])
    for word in rest:
        name = word.partition("=")[0]
        if word == "--":
            words += rest
        elif name in IMAGINE_SWITCHES:
            options.append(word)
        elif name in IMAGINE_OPTIONS:
            options += [word] if "=" in word else [word, *islice(rest, 1)]
        else:
            words.append(word)
    return ["imagine", *options, *(["--", *words] if words else [])]


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a number from 1, not {text!r}")
    return int(text)


if __name__ == "__main__":  # the GPU process imports this file again and must not start a second bot
    sys.exit(main())
