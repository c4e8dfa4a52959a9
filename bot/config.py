"""The bot operator's settings: read once from the environment and `.env`, validated and frozen."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from generation.cluster.node import NAME
from generation.models.model import EMBEDDED

DISCORD_API_URL = "https://discord.com/api/v10"
GALLERY_EXAMPLE = "https://pictures.example.org"
MIN_SIMILARITY = 0.8  # of a misspelt name, so that DATABASE_URL of another program is none
NO_DEVICE = "none"  # this machine generates nothing: those of the cluster do
GENERATED = "generated"  # in place of a file: the bot makes its own certificate
_BYTES = {"gib": 2**30, "gb": 10**9, "mib": 2**20, "mb": 10**6}
_PLAIN = re.compile(r"[!-~]+")  # printable ASCII without spaces


class ConfigError(Exception):
    """Settings are missing or invalid; the text names all of them."""

    def __init__(self, *problems: str) -> None:
        heading = f"{len(problems)} settings are wrong:"
        super().__init__(problems[0] if len(problems) == 1 else "\n  - ".join([heading, *problems]))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Every setting of `.env.example`, with its default. The secrets are those that `repr` leaves out."""

    discord_token: str = field(default="", repr=False)
    discord_api_url: str = DISCORD_API_URL
    data_dir: Path = Path("data")
    models: tuple[str, ...] = (EMBEDDED,)
    model_memory: int = 0
    device: str = "auto"
    cluster: str = ""
    cluster_here: str = ""
    cluster_files: Path | None = None
    node_name: str = ""
    loras: Path | None = None
    embeddings: Path | None = None
    controls: Path | None = None
    image_adapters: Path | None = None
    upscaler: Path | None = None
    threads: int = 0
    compile: bool = False
    fp8: bool = False
    jobs_at_once: int = 0
    running_per_person: int = 3
    waiting_per_person: int = 10
    waiting_in_all: int = 200
    step_timeout: int = 120
    sensitive_classifier: str = ""
    describer: str = ""
    allowed_guilds: frozenset[int] = frozenset()
    retention_days: int = 0
    metrics_port: int = 0
    gallery_port: int = 0
    gallery_url: str = ""
    discord_client_secret: str = field(default="", repr=False)
    film_format: str = "webp"
    pictures_without_prompts: bool = False
    signing_certificate: str = field(default="", repr=False)
    signing_key: Path | None = field(default=None, repr=False)
    log_level: str = "INFO"
    log_format: str = "text"

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Config:
        """Read the settings; an empty value counts as not set. Raises ConfigError with all wrong ones."""
        config, problems = cls.read_leniently(environment)
        if problems:
            raise ConfigError(*problems)
        return config

    @classmethod
    def read_leniently(cls, environment: Mapping[str, str]) -> tuple[Config, list[str]]:
        """Read the settings, with the default for each wrong one, and return the problems too."""
        values, problems = dict[str, Any](), list[str]()
        for name in cls.__dataclass_fields__:
            if text := environment.get(env_name(name), "").strip():
                try:
                    values[name] = _PARSERS[name](env_name(name), text)
                except ConfigError as error:
                    problems += error.problems
        config = cls(**values)
        if config.device == NO_DEVICE and not config.cluster:
            problems.append("DEVICE is none, but CLUSTER names no other machines that could generate")
        return config, problems

    @property
    def fake_discord_origin(self) -> str | None:
        """Return the origin of a fake Discord on this machine's loopback, or None for the real one."""
        parts = urlsplit(self.discord_api_url)
        return f"{parts.scheme}://{parts.netloc}" if parts.hostname in ("127.0.0.1", "::1") else None


def env_name(setting: str) -> str:
    """Return the environment variable that sets a field of `Config`."""
    return "MODEL" if setting == "models" else setting.upper()


def describe_misspelt(names: Iterable[str]) -> list[str]:
    """Return a sentence for each name that is nearly a setting's; other programs' names are left alone."""
    known = [env_name(setting) for setting in Config.__dataclass_fields__]
    near = {
        name: difflib.get_close_matches(name.upper(), known, 1, MIN_SIMILARITY) for name in names if name not in known
    }
    return [f"{name} is not a setting: did you mean {found[0]}?" for name, found in near.items() if found]


def secret_variables() -> list[str]:
    """Return the environment variables of the settings that are secrets."""
    return [env_name(name) for name, setting in Config.__dataclass_fields__.items() if not setting.repr]


def _token(name: str, text: str) -> str:
    if not _PLAIN.fullmatch(text):
        raise ConfigError(
            f"{name} contains characters that no token has: copy it again from Discord's developer portal"
        )
    return text


def _path(name: str, text: str) -> Path:
    try:
        return Path(text).expanduser()
    except (RuntimeError, ValueError):  # no such user, or a character that is invalid in a path
        raise ConfigError(f"{name} is not a usable path: {text!r}") from None


def _model(name: str, text: str) -> str:
    return str(_path(name, text)) if text.startswith("~") else text


def _models(name: str, text: str) -> tuple[str, ...]:
    models = [_model(name, each) for each in map(str.strip, text.split(",")) if each]
    if twice := next((each for each in models if models.count(each) > 1), None):
        raise ConfigError(f"{name} names {twice!r} twice")
    if not models:
        raise ConfigError(f"{name} must name one or more models, separated by commas, not {text!r}")
    return tuple(models)


def _memory(name: str, text: str) -> int:
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?) ?([GM]i?B)?", text, re.ASCII | re.IGNORECASE)
    if match is None or (match[2] is None and float(match[1])):
        raise ConfigError(
            f"{name} must be a size such as 12 GiB or 6000 MB, or 0 to choose automatically, not {text!r}"
        )
    return int(float(match[1]) * _BYTES[match[2].lower()]) if match[2] else 0


def _certificate(name: str, text: str) -> str:
    return text.lower() if text.lower() == GENERATED else str(_path(name, text))


def _yes_or_no(name: str, text: str) -> bool:
    if text.lower() not in ("yes", "no"):
        raise ConfigError(f"{name} must be yes or no, not {text!r}")
    return text.lower() == "yes"


def _url(name: str, text: str) -> str:
    if not _is_url(text):
        example = GALLERY_EXAMPLE if name == "GALLERY_URL" else DISCORD_API_URL
        raise ConfigError(f"{name} must be an address such as {example}, not {text!r}")
    return text.rstrip("/")


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is not a number, or brackets are not closed
        return False
    return whole and _PLAIN.fullmatch(text) is not None


def _device(name: str, text: str) -> str:
    devices = [each.strip() for each in text.lower().split(",")]
    if len(devices) > 1:
        return _several_devices(name, text, devices)
    if not re.fullmatch(r"auto|all|none|cpu|mps|cuda(:\d{1,3})?", devices[0]):
        raise ConfigError(
            f"{name} must be auto, cpu, cuda, cuda:1 (the second GPU), mps, "
            f"several GPUs such as cuda:0,cuda:1, all for every GPU, or none with a CLUSTER, not {text!r}"
        )
    return devices[0]


def _several_devices(name: str, text: str, devices: list[str]) -> str:
    if not all(devices):
        raise ConfigError(f"{name} has a comma without a device beside it: {text!r}")
    if set(devices) == {"cpu"}:  # several processes share the processor
        return ",".join(devices)
    if not all(re.fullmatch(r"cuda:\d{1,3}", device) for device in devices):
        raise ConfigError(f"{name} may name several GPUs by their numbers, such as cuda:0,cuda:1, but not {text!r}")
    gpus = [f"cuda:{int(device.partition(':')[2])}" for device in devices]
    if twice := next((gpu for gpu in gpus if gpus.count(gpu) > 1), None):
        raise ConfigError(f"{name} names {twice} twice")
    return ",".join(gpus)


def split_address(name: str, text: str) -> tuple[str, int]:
    """Return the IP address and the port of an address such as 10.0.0.5:6380. Raise ConfigError for anything else."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = str(ipaddress.IPv4Address(parts.hostname or "")), parts.port or 0
    except ValueError:
        raise ConfigError(f"{name} must be an IP address with a port, such as 10.0.0.5:6380, not {text!r}") from None
    if host in ("127.0.0.1", "0.0.0.0"):
        raise ConfigError(
            f"{name} must be an address that the other machines reach, not {host} (to try it on one machine: 127.0.0.2)"
        )
    return host, port


def _cluster(name: str, text: str) -> str:
    host, port = split_address(name, text)
    if not 1024 <= port <= 65_000:
        raise ConfigError(f"{name} must end with a port from 1024 to 65000, such as :6380, not {text!r}")
    return f"{host}:{port}"


def _ip_address(name: str, text: str) -> str:
    return split_address(name, text)[0]


def _node_name(name: str, text: str) -> str:
    if not NAME.fullmatch(text):
        raise ConfigError(f"{name} must be up to 63 letters, digits, dots and dashes, not {text!r}")
    return text


def _level(name: str, text: str) -> str:
    if text.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ConfigError(f"{name} must be DEBUG, INFO, WARNING or ERROR, not {text!r}")
    return text.upper()


def _format(name: str, text: str) -> str:
    if text.lower() not in ("text", "json"):
        raise ConfigError(f"{name} must be text or json, not {text!r}")
    return text.lower()


def _film_format(name: str, text: str) -> str:
    if text.lower() not in ("webp", "mp4"):
        raise ConfigError(f"{name} must be webp or mp4, not {text!r}")
    return text.lower()


def _guilds(name: str, text: str) -> frozenset[int]:
    ids = text.replace(",", " ").split()
    for guild_id in ids:
        if not re.fullmatch(r"[1-9]\d{14,19}", guild_id, re.ASCII):
            raise ConfigError(f"{name} must be server ids, separated by commas; {guild_id!r} is not one")
    return frozenset(map(int, ids))


def _number(minimum: int, maximum: int) -> Callable[[str, str], int]:
    def parse(name: str, text: str) -> int:
        if not re.fullmatch(r"\d{1,9}", text) or not minimum <= int(text) <= maximum:
            raise ConfigError(f"{name} must be a whole number from {minimum} to {maximum}, not {text!r}")
        return int(text)

    return parse


_PARSERS: dict[str, Callable[[str, str], Any]] = {
    "discord_token": _token,
    "discord_api_url": _url,
    "data_dir": _path,
    "models": _models,
    "model_memory": _memory,
    "device": _device,
    "cluster": _cluster,
    "cluster_here": _ip_address,
    "cluster_files": _path,
    "node_name": _node_name,
    "loras": _path,
    "embeddings": _path,
    "controls": _path,
    "image_adapters": _path,
    "upscaler": _path,
    "threads": _number(0, 1024),
    "compile": _yes_or_no,
    "fp8": _yes_or_no,
    "jobs_at_once": _number(0, 1024),
    "running_per_person": _number(1, 100_000),
    "waiting_per_person": _number(1, 100_000),
    "waiting_in_all": _number(1, 100_000),
    "sensitive_classifier": _model,
    "describer": _model,
    "step_timeout": _number(1, 100_000),
    "allowed_guilds": _guilds,
    "retention_days": _number(0, 36_500),
    "metrics_port": _number(0, 65_535),
    "gallery_port": _number(0, 65_535),
    "gallery_url": _url,
    "discord_client_secret": _token,
    "film_format": _film_format,
    "pictures_without_prompts": _yes_or_no,
    "signing_certificate": _certificate,
    "signing_key": _path,
    "log_level": _level,
    "log_format": _format,
}
