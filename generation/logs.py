"""The log of both processes: text or JSON, each line with the job that it is about."""

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
JOB_ID_IN_MESSAGE = re.compile(
    r"\bjob ([0-9a-f]{12})\b"
)  # how a line names a job that it is about without being part of its work

_context: ContextVar[Mapping[str, str]] = ContextVar("subject", default=MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """How the log is written; `style` is text or json, `process` names the one that writes."""

    level: int | str = logging.WARNING
    style: str = "text"
    process: str = "bot"


_config = LogConfig()


@contextmanager
def log_context(**context: object) -> Iterator[None]:
    """Say what the lines of the block are about, and of the tasks begun in it: `job`, `guild`, `person` and the like.

    What is None is left out; what an outer block says goes on.
    """
    named = {name: str(value) for name, value in context.items() if value is not None}
    token = _context.set({**_context.get(), **named})
    try:
        yield
    finally:
        _context.reset(token)


def current_context() -> Mapping[str, str]:
    """Give what the lines written here and now are about."""
    return _context.get()


def configure(config: LogConfig) -> None:
    """Write this process's log to its standard error from now on."""
    global _config
    _config = config
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(config.process) if config.style == "json" else TextFormatter(TEXT_FORMAT))
    logging.basicConfig(level=config.level, handlers=[handler], force=True)


def for_process(name: str) -> LogConfig:
    """Give how another process of the program is to write its log."""
    return replace(_config, process=name, level=logging.getLogger().getEffectiveLevel())


class TextFormatter(logging.Formatter):
    """Write lines for people, with the job's id at the end where the line does not name it."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's own name)
        text, job = super().formatMessage(record), _context.get().get("job")
        return text if job is None or job in record.message else f"{text} [job {job}]"


class JsonFormatter(logging.Formatter):
    """Write one JSON object a line; ids are strings, since Discord's do not fit the numbers of every reader."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        message = record.getMessage()
        named = JOB_ID_IN_MESSAGE.search(message)
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "process": self._process,
            "logger": record.name,
            "message": message,
            **({"job": named[1]} if named else {}),
            **_context.get(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)  # ASCII, whatever the terminal or the collector reads
