"""On the module path of a process, take away what Windows lacks: the rest of the program must do without it.

Python and its libraries are loaded first, because they were built for this system and use its parts by right.
"""

from __future__ import annotations

import asyncio
import getpass  # noqa: F401
import multiprocessing.popen_spawn_posix  # noqa: F401
import os
import sys
import tempfile  # noqa: F401
from pathlib import Path
from typing import Any

import filelock  # noqa: F401
import psutil  # noqa: F401

MISSING_MODULES = ("fcntl", "grp", "pwd", "resource", "termios", "tty", "pty")
MISSING_IN_OS = ("fchmod", "fchown", "chown", "getuid", "geteuid", "killpg", "sync", "sysconf")


def refuse(*_: Any, **__: Any) -> Any:
    raise NotImplementedError("Windows has no such thing")


for module in MISSING_MODULES:
    sys.modules[module] = None  # type: ignore[assignment]
for name in MISSING_IN_OS:
    delattr(os, name)
for loop in (asyncio.unix_events._UnixSelectorEventLoop, asyncio.SelectorEventLoop):
    for name in ("add_signal_handler", "remove_signal_handler", "connect_read_pipe", "connect_write_pipe"):
        setattr(loop, name, refuse)
Path.owner = refuse  # type: ignore[method-assign]
