"""A real head and real nodes on loopback, each as `main.py cluster` starts it, with a folder of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from generation.cluster.files import ClusterFiles
from generation.cluster.ray_settings import Head
from generation.cluster.remote import ClusterAccess
from tests.support.timing import TIMEOUT_S

ROOT = Path(__file__).parents[2]
HEAD_HOST = "127.0.0.2"  # Ray replaces 127.0.0.1 by an address of the network
STORE_MB = "80"
PORTS_OF_A_MACHINE = 130


def free_ports() -> int:
    """Return the first of a row of free ports."""
    for first in range(21000 + os.getpid() % 200 * PORTS_OF_A_MACHINE // 4, 60000, PORTS_OF_A_MACHINE):
        if all(_is_free(first + offset) for offset in (*range(10), 20, 21)):
            return first
    raise AssertionError("no row of free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HEAD_HOST, port)) != 0


class Machine:
    """A folder with the files of a cluster, and the command that runs in it."""

    def __init__(self, folder: Path, cluster: Path, address: str, head: Head) -> None:
        self.folder, self.cluster, self.address, self.head = folder, cluster, address, head
        self.program = ROOT / "main.py"
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(exist_ok=True)

    def run(self, *command: str, **settings: str) -> None:
        """Start `main.py cluster` with some settings; its output goes to the folder's `output`."""
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(self.program), "cluster", *command],
                cwd=self.folder,
                env=self._environment(settings),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def call(self, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run `main.py cluster` to its end."""
        return subprocess.run(
            [sys.executable, str(self.program), "cluster", *command],
            cwd=self.folder,
            env=self._environment(settings),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )

    def _environment(self, settings: dict[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        return {
            **kept,
            "CLUSTER": str(self.head),
            "CLUSTER_HERE": self.address,
            "CLUSTER_FILES": str(self.cluster),
            "DATA_DIR": str(self.folder / "data"),
            **settings,
        }

    @property
    def output(self) -> str:
        """Return all that the command has printed."""
        return (self.folder / "output").read_text(errors="replace")

    def processes(self, name: str) -> list[psutil.Process]:
        """Return the processes below the command whose command line or title has `name`."""
        assert self.process is not None
        below = psutil.Process(self.process.pid).children(recursive=True)
        return [process for process in below if name in _command_line(process)]

    def kill(self, name: str) -> None:
        """Kill processes of this machine as if they had crashed."""
        for process in self.processes(name):
            process.kill()

    def kill_everything(self) -> None:
        """End the machine as if its power had gone."""
        assert self.process is not None
        parent = psutil.Process(self.process.pid)
        for process in [parent, *parent.children(recursive=True)]:
            process.kill()
        self.process.wait()
        self.process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let the machine answer nothing inside the block, as if its line were cut."""
        assert self.process is not None
        processes = psutil.Process(self.process.pid).children(recursive=True)
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    def stop(self) -> None:
        """Stop the command as a service manager does."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        if self.process is not None:
            self.process.wait(TIMEOUT_S)
            self.process = None


def _command_line(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess):  # it is ending
        return " ".join(process.cmdline())
    return ""


@contextmanager
def cluster_on_loopback(folder: Path) -> Iterator[Machines]:
    """Yield machines that know each other by the files of one cluster; stop all at the end."""
    files = ClusterFiles(folder / "cluster")
    files.create()
    machines = Machines(folder, files)
    try:
        yield machines
    finally:
        for machine in reversed(machines.all):
            machine.stop()


class Machines:
    """The head and the nodes of a test."""

    def __init__(self, folder: Path, files: ClusterFiles) -> None:
        self.folder, self.files = folder, files
        self.head_address = Head(HEAD_HOST, free_ports())
        self.all: list[Machine] = []
        self.head = self.add(HEAD_HOST, "head")

    def add(self, address: str, name: str) -> Machine:
        """Return another machine, which runs nothing yet."""
        machine = Machine(self.folder / name, self.files.folder, address, self.head_address)
        self.all.append(machine)
        return machine

    @property
    def access(self) -> ClusterAccess:
        """Return how the bot reaches the head."""
        return ClusterAccess(self.head_address, HEAD_HOST, self.files)

    def start_head(self) -> None:
        """Start the head, and wait until it answers."""
        self.head.run("head", "--store", STORE_MB)
        wait_until(lambda: not _is_free(self.head_address.port))

    def start_node(self, address: str, name: str, **settings: str) -> Machine:
        """Start a node that generates on the CPU."""
        node = next((each for each in self.all if each.folder.name == name), None) or self.add(address, name)
        port = self.head_address.port + PORTS_OF_A_MACHINE * self.all.index(node)
        given = {"NODE_NAME": name, "DEVICE": "cpu", "JOBS_AT_ONCE": "3", "THREADS": "1", **settings}
        node.run("join", "--port", str(port), "--store", STORE_MB, **given)
        return node


def wait_until(test: Callable[[], object], seconds: float = TIMEOUT_S) -> None:
    """Wait until `test` returns true."""
    deadline = time.monotonic() + seconds
    while not test():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
