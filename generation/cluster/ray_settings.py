"""How Ray is started here: its environment, its ports and its command line. Imports nothing of Ray."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from generation.cluster.files import MachineFiles
from generation.command_line import ROOT

DEFAULT_PORT = 6380  # Redis has 6379
# Of each machine, counted from the head's port: what `docs/self-hosting.md` says a firewall must let through.
HELLO, NODE_MANAGER, OBJECT_MANAGER, RUNTIME_ENV_AGENT, METRICS_AGENT, METRICS_EXPORT, AGENT_LISTEN = range(1, 8)
WORKER_PORTS = 20, 99  # the first and the last
DEFAULT_STORE_MB = 512  # of shared memory, for messages such as images
RECONNECT_TIMEOUT_S = 10  # then a process without its head ends


@dataclass(frozen=True, slots=True)
class Head:
    """Where the head of a cluster listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def hello_port(self) -> int:
        """Return the port that tells a machine what it needs to join."""
        return self.port + HELLO


def ray_environment(files: MachineFiles) -> dict[str, str]:
    """Return what each process of Ray needs: where Atelier is, the token, TLS, how soon a lost machine is noticed."""
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", "")))),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(files.token.resolve()),
        "RAY_USE_TLS": "1",
        "RAY_TLS_SERVER_CERT": str(files.certificate.resolve()),
        "RAY_TLS_SERVER_KEY": str(files.key.resolve()),
        "RAY_TLS_CA_CERT": str(files.authority.resolve()),
        "RAY_health_check_initial_delay_ms": "1000",
        "RAY_health_check_period_ms": "1000",
        "RAY_health_check_timeout_ms": "2000",
        "RAY_health_check_failure_threshold": "3",
        "RAY_gcs_rpc_server_reconnect_timeout_s": str(RECONNECT_TIMEOUT_S),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DEDUP_LOGS": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        # Which GPU a process sees is for the node's DEVICE to say, as on the bot's machine.
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }


def head_command(head: Head, folder: Path, store_bytes: int) -> list[str]:
    """Return the command that runs a head, which generates nothing itself."""
    return [
        *_start(head.host, head.port, folder, store_bytes),
        "--head",
        f"--port={head.port}",
        "--include-dashboard=false",
        "--disable-usage-stats",
        "--no-monitor",
    ]


def node_command(
    head: Head, here: str, port: int, folder: Path, resources: str, labels: str, store_bytes: int
) -> list[str]:
    """Return the command that joins a cluster as a node; its own ports are counted from `port`."""
    return [
        *_start(here, port, folder, store_bytes),
        f"--address={head}",
        f"--resources={resources}",
        f"--labels={labels}",
    ]


def _start(here: str, port: int, folder: Path, store_bytes: int) -> list[str]:
    first, last = WORKER_PORTS
    return [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block"),
        f"--node-ip-address={here}",
        *("--num-cpus=0", "--num-gpus=0", "--include-log-monitor=false"),
        f"--temp-dir={folder}",
        f"--object-store-memory={store_bytes}",
        f"--node-manager-port={port + NODE_MANAGER}",
        f"--object-manager-port={port + OBJECT_MANAGER}",
        f"--runtime-env-agent-port={port + RUNTIME_ENV_AGENT}",
        f"--dashboard-agent-grpc-port={port + METRICS_AGENT}",
        f"--metrics-export-port={port + METRICS_EXPORT}",
        f"--dashboard-agent-listen-port={port + AGENT_LISTEN}",
        f"--min-worker-port={port + first}",
        f"--max-worker-port={port + last}",
    ]
