"""The ways to start Atelier: the bot, the preview in a browser, or one picture from the terminal."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dotenv import load_dotenv

from bot.config import Config, ConfigError
from bot.instance_lock import acquire_instance_lock
from db.backup import BackupError, create_backup, restore_backup
from db.connection import UnusableDatabaseError
from generation import logs
from generation.errors import UserError
from generation.models.registry import ModelRegistry

MISSING_TOKEN_HELP = """\
To try Atelier without a Discord account:
  python main.py preview
  python main.py imagine "a castle by the sea" --out pictures
How to get a token: docs/self-hosting.md"""

# The preview has servers of its own, runs beside the bot, and shows people its last words.
PREVIEW_ENV_OVERRIDES = {"ALLOWED_GUILDS": "", "METRICS_PORT": "", "LOG_FORMAT": ""}


def main() -> int:
    """Run what the command line asks for and give the exit code: 2 for what the person who typed it can mend."""
    arguments = _parse_arguments()
    load_dotenv(Path(".env"))
    try:
        config = Config.read(os.environ)
        # In the terminal the progress bar tells what the log would.
        level = config.log_level if arguments.command is None else "WARNING"
        logs.configure(logs.LogConfig(level=level, style=config.log_format))
        if arguments.command == "backup":
            return _back_up(config, arguments.file)
        if arguments.command == "restore":
            return _restore(config, arguments.file, replace=arguments.replace)
        return asyncio.run(_dispatch(arguments, config))
    except (ConfigError, UserError, UnusableDatabaseError, BackupError, FileNotFoundError) as error:
        print(f"atelier: {error}", file=sys.stderr)
        if "DISCORD_TOKEN" in str(error):
            print(MISSING_TOKEN_HELP, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


async def _dispatch(arguments: argparse.Namespace, config: Config) -> int:
    match arguments.command:
        case "imagine":
            from bot.cli import generate_from_cli

            await generate_from_cli(config, arguments.prompt, arguments.out, arguments.image)
        case "doctor":
            from bot.doctor.run import run_checks

            return await run_checks(config)
        case "preview":
            return await _preview(config, arguments.port, browser=not arguments.no_browser)
        case _:
            from bot.app import run

            await run(config)
    return 0


def _back_up(config: Config, file: Path) -> int:
    contents = create_backup(config.data_dir, file)
    print(f"{file}: {contents.jobs} jobs and {contents.images} pictures")
    return 0


def _restore(config: Config, file: Path, *, replace: bool) -> int:
    with acquire_instance_lock(config.data_dir):
        contents, previous_data = restore_backup(file, config.data_dir, replace=replace)
    print(f"{config.data_dir}: {contents.jobs} jobs and {contents.images} pictures")
    if previous_data:
        print(f"What was there is now in {previous_data}")
    return 0


async def _preview(config: Config, port: int, *, browser: bool) -> int:
    from preview.app import run

    bot = [sys.executable, __file__]
    folder = config.data_dir / "preview"
    return await run(
        bot, {**os.environ, **PREVIEW_ENV_OVERRIDES}, folder, describe_models(config.models), port=port, browser=browser
    )


def describe_models(refs: Sequence[str]) -> dict[str, Any]:
    """Describe the models for people who have not met them: the first one's name, what it knows, what to try."""
    model, *others = ModelRegistry.from_refs(refs).models
    facts = Path(model.ref) / "atelier.json"
    known = json.loads(facts.read_text()).get("known", {}) if facts.is_file() else {}
    return {
        "model": model.name,
        "known": known,
        "examples": list(model.examples),
        "others": [other.name for other in others],
    }


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="main.py", description="Atelier, a studio for your Discord server.")
    commands = parser.add_subparsers(dest="command", title="without a command, the bot is started")
    imagine = commands.add_parser("imagine", help="draw one grid without Discord")
    imagine.add_argument("prompt", help='what to draw, with parameters: "a red fox under the moon --ar 3:2"')
    imagine.add_argument("--out", type=Path, default=Path("pictures"), help="folder for the pictures (pictures)")
    imagine.add_argument("--image", type=Path, help="a picture to start from")
    preview = commands.add_parser("preview", help="try the bot in a browser, without a Discord account")
    preview.add_argument("--port", type=int, default=4870, help="port on loopback, 0 for any free one (4870)")
    preview.add_argument("--no-browser", action="store_true", help="only print the address")
    commands.add_parser("doctor", help="see what is wrong with this installation, and what mends it")
    backup = commands.add_parser("backup", help="write all that is kept to one file, also while the bot runs")
    backup.add_argument("file", type=Path, help="the file, which is replaced if it is an earlier backup")
    restore = commands.add_parser("restore", help="put a backup into the data folder")
    restore.add_argument("file", type=Path, help="a file that backup wrote")
    restore.add_argument(
        "--replace", action="store_true", help="set aside what is there already, in a folder beside it"
    )
    return parser.parse_args()


if __name__ == "__main__":  # the GPU process imports this file again and must not start a second bot
    sys.exit(main())
