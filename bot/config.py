"""The settings: read once from the environment and `.env`, checked, frozen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from generation.models import EMBEDDED

DISCORD_API_URL = "https://discord.com/api/v10"


class ConfigError(Exception):
    """A setting is missing or makes no sense; the text names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Every setting of `.env.example`, with its default."""

    discord_token: str = ""
    discord_api_url: str = DISCORD_API_URL
    data_dir: Path = Path("data")
    model: str = EMBEDDED
    device: str = "auto"
    threads: int = 0
    jobs_at_once: int = 0
    running_per_person: int = 3
    waiting_per_person: int = 10
    waiting_in_all: int = 200
    step_timeout: int = 120
    log_level: str = "INFO"

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Config:
        """Read the settings; an empty value counts as not given. Raises ConfigError."""
        given = {name: environment.get(name.upper(), "").strip() for name in cls.__dataclass_fields__}
        return cls(**{name: _READERS[name](name.upper(), text) for name, text in given.items() if text})


def _text(_: str, text: str) -> str:
    return text


def _path(_: str, text: str) -> Path:
    return Path(text).expanduser()


def _url(name: str, text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{name} must be an address such as {DISCORD_API_URL}, not {text!r}")
    return text.rstrip("/")


def _level(name: str, text: str) -> str:
    if text.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ConfigError(f"{name} must be DEBUG, INFO, WARNING or ERROR, not {text!r}")
    return text.upper()


def _number(least: int) -> Callable[[str, str], int]:
    def read(name: str, text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise ConfigError(f"{name} must be a whole number of at least {least}, not {text!r}")
        return int(text)

    return read


_READERS: dict[str, Callable[[str, str], Any]] = {
    "discord_token": _text,
    "discord_api_url": _url,
    "data_dir": _path,
    "model": _text,
    "device": _text,
    "threads": _number(0),
    "jobs_at_once": _number(0),
    "running_per_person": _number(1),
    "waiting_per_person": _number(1),
    "waiting_in_all": _number(1),
    "step_timeout": _number(1),
    "log_level": _level,
}
