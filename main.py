"""The ways to start Atelier: the bot, or one picture from the terminal."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path

from dotenv import load_dotenv

from bot.config import Config, ConfigError
from db.connection import NewerDatabaseError
from generation.errors import Complaint

WITHOUT_A_TOKEN = """\
To try Atelier without a Discord account:
  python main.py imagine "a castle by the sea" --out pictures
How to get a token: docs/self-hosting.md"""


def main() -> int:
    """Run what the command line asks for and give the exit code: 2 for what the person who typed it can mend."""
    arguments = _arguments()
    load_dotenv(Path(".env"))
    try:
        config = Config.read(os.environ)
        # In the terminal the progress bar tells what the log would.
        level = config.log_level if arguments.command is None else "WARNING"
        logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        asyncio.run(_start(arguments, config))
    except (ConfigError, Complaint, NewerDatabaseError, FileNotFoundError) as error:
        print(f"atelier: {error}", file=sys.stderr)
        if "DISCORD_TOKEN" in str(error):
            print(WITHOUT_A_TOKEN, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


async def _start(arguments: argparse.Namespace, config: Config) -> None:
    if arguments.command == "imagine":
        from bot.terminal import imagine

        await imagine(config, arguments.prompt, arguments.out, arguments.image)
    else:
        from bot.app import run

        await run(config)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="main.py", description="Atelier, a studio for your Discord server.")
    commands = parser.add_subparsers(dest="command", title="without a command, the bot is started")
    imagine = commands.add_parser("imagine", help="draw one grid without Discord")
    imagine.add_argument("prompt", help='what to draw, with parameters: "a red fox under the moon --ar 3:2"')
    imagine.add_argument("--out", type=Path, default=Path("pictures"), help="folder for the pictures (pictures)")
    imagine.add_argument("--image", type=Path, help="a picture to start from")
    return parser.parse_args()


if __name__ == "__main__":  # the GPU process imports this file again and must not start a second bot
    sys.exit(main())
