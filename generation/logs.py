"""Logging for both processes, as text or JSON, with the job's id on each line."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType

TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
JOB_ID_IN_MESSAGE = re.compile(r"\bjob ([0-9a-f]{12})\b")  # how a line logged outside a job's context names the job

_context: ContextVar[Mapping[str, str]] = ContextVar("log_context", default=MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """The log's configuration; `style` is text or json, `process` is the name of the process."""

    level: int | str = logging.WARNING
    style: str = "text"
    process: str = "bot"


_config = LogConfig()


@contextmanager
def log_context(**context: object) -> Iterator[None]:
    """Add fields such as `job`, `guild` and `person` to the lines logged in the block, and in tasks started in it.

    Fields that are None are left out; the fields of an outer block stay.
    """
    fields = {name: str(value) for name, value in context.items() if value is not None}
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def current_context() -> Mapping[str, str]:
    """Return the fields that are added to lines logged here."""
    return _context.get()


def configure(config: LogConfig) -> None:
    """Write this process's log to standard error."""
    global _config
    _config = config
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(config.process) if config.style == "json" else TextFormatter(TEXT_FORMAT))
    logging.basicConfig(level=config.level, handlers=[handler], force=True)


def for_process(name: str) -> LogConfig:
    """Return the log configuration for another process of the program."""
    return replace(_config, process=name, level=logging.getLogger().getEffectiveLevel())


class TextFormatter(logging.Formatter):
    """Format lines as text, with the job's id at the end unless the message contains it."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's own name)
        text, job = super().formatMessage(record), _context.get().get("job")
        return text if job is None or job in record.message else f"{text} [job {job}]"


class JsonFormatter(logging.Formatter):
    """Format each line as a JSON object; ids are strings, since Discord's exceed the number range of some readers."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        message = record.getMessage()
        match = JOB_ID_IN_MESSAGE.search(message)
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "process": self._process,
            "logger": record.name,
            "message": message,
            **({"job": match[1]} if match else {}),
            **_context.get(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)  # ASCII, which every terminal and log collector can read
