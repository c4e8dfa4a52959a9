"""Run Ray's own command, and end all its processes with it."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from generation.cluster.ray_settings import NODE_MANAGER, OBJECT_MANAGER, RUNTIME_ENV_AGENT

GRACE_S = 5.0  # that Ray's processes have to end by themselves
MAX_SOCKET_PATH = 107  # bytes, the limit of Linux
SOCKET_IN_SESSION = "session_2026-11-30_00-00-00_000000_4194304/sockets/plasma_store.1"
SYSTEM_FOLDER = "/tmp/atelier-cluster"
PR_SET_PDEATHSIG = 1


def run_until_stopped(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> int:
    """Run Ray in the foreground, its sessions in `folder`; return 0 if it was stopped by a signal, else its exit code.

    Whatever ends it, no process of it is left.
    """
    stopped = False
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _forget_sessions(folder)
    process = subprocess.Popen(command, env=dict(environment), start_new_session=True, preexec_fn=_end_with_parent)

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True
        process.terminate()

    earlier = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = _wait(process, lambda: stopped)
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return 0 if stopped else code or 1


def taken_port(first: int) -> int | None:
    """Return a port of a node, counted from `first`, at which another program listens; None if all are free."""
    for port in (first + NODE_MANAGER, first + OBJECT_MANAGER, first + RUNTIME_ENV_AGENT):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))  # Ray listens on all interfaces
            except OSError:
                return port
    return None


def session_folder(wanted: Path) -> Path:
    """Return the folder for Ray's sockets and logs: `wanted`, unless the path of a socket would become too long."""
    if len(os.fsencode(wanted / SOCKET_IN_SESSION)) <= MAX_SOCKET_PATH:
        return wanted
    digest = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:8]  # another cluster's sockets must not be deleted
    return Path(f"{SYSTEM_FOLDER}-{os.getuid()}") / digest


def _end_with_parent() -> None:
    """Let Linux stop the process that calls this when its parent ends, also when that is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait(process: subprocess.Popen[bytes], is_stopped: Callable[[], bool]) -> int:
    """Wait for the end; after a signal only for a while, since Ray would wait half a minute for its jobs."""
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(GRACE_S)
        if is_stopped():
            return -signal.SIGKILL


def _forget_sessions(folder: Path) -> None:
    """Delete the sockets and logs of earlier runs, of which nothing else would ever delete any."""
    newest_first = sorted(folder.glob("session_2*"), key=lambda session: session.name, reverse=True)
    for session in newest_first[1:]:  # the last one's log may tell why it ended
        shutil.rmtree(session, ignore_errors=True)
