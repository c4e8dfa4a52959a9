"""The commands of `main.py cluster`, without Ray: what they write, ask and refuse."""

from __future__ import annotations

import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bot.cluster import commands
from bot.cluster.ray_process import MAX_SOCKET_PATH, SOCKET_IN_SESSION, session_folder, taken_port
from bot.config import Config, ConfigError
from bot.machines import make_cluster, own_address
from generation.cluster.files import ClusterFiles
from generation.cluster.hello import answering
from generation.cluster.node import Node
from generation.cluster.ray_settings import NODE_MANAGER, Head
from generation.cluster.versions import Versions
from generation.command_line import ROOT, as_typed, tool_as_typed
from generation.errors import UserError
from generation.models.model import EMBEDDED
from generation.models.registry import ModelRegistry
from generation.queue.limits import QueueLimits
from generation.queue.queue import Queue
from generation.worker.fleet import Fleet

VERSIONS = Versions("0.2.0-12345678", "2.60.0", "3.11.7")
HERE = "127.0.0.1"


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setattr(commands, "own_versions", lambda: VERSIONS)
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        port = probe.getsockname()[1] - 1
    return Config(data_dir=tmp_path, cluster=f"127.0.0.2:{port}", cluster_here=HERE, device="cpu", node_name="alpha")


def test_init_says_what_to_do_next_and_never_replaces_a_cluster(config, capsys):
    assert commands.init(config) == 0
    printed = capsys.readouterr().out
    assert as_typed("cluster head") in printed
    assert as_typed("cluster join") in printed
    files = ClusterFiles(config.data_dir / "cluster")
    assert all(str(file) in printed for file in files.folder.iterdir()), "all that has to be copied is named"
    assert files.token.read_text() not in printed
    with pytest.raises(UserError, match="already"):
        commands.init(config)


def use_cluster(config):
    """Let the bot use the machines of the cluster."""
    return make_cluster(config, Fleet([], ModelRegistry.from_refs([EMBEDDED])), Queue([], QueueLimits()))


@pytest.mark.parametrize("command", [commands.init, use_cluster])
def test_elsewhere_than_on_linux_neither_files_are_written_nor_machines_used(tmp_path, monkeypatch, command):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises((UserError, ConfigError), match="Linux only"):
        command(Config(data_dir=tmp_path, cluster="10.0.0.5:6380"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "command", [lambda config: commands.head(config, 1), lambda config: commands.join(config, 1, 1)]
)
def test_nobody_starts_without_the_files_or_an_address(config, command):
    with pytest.raises(UserError, match="cluster init"):
        command(config)
    with pytest.raises(ConfigError, match="CLUSTER is not set"):
        command(replace(config, cluster=""))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"atelier": "0.1.0-00000000"}, "scripts/update"),
        ({"ray": "2.61.0"}, tool_as_typed("pip", "install ray==2.61.0")),
        ({"python": "3.11.8"}, "Install Python 3.11.8"),
    ],
)
def test_a_machine_that_does_not_fit_is_told_what_to_install_before_ray_is_asked(config, change, told):
    commands.init(config)
    files = commands.cluster_files(config)
    head = Head("127.0.0.2", commands.head_of(config).port)
    with (
        answering(head, files.for_machine("127.0.0.2"), replace(VERSIONS, **change)),
        pytest.raises(ConfigError) as refused,
    ):
        commands.join(config, 1, 1)
    assert told in str(refused.value)


def test_a_machine_without_a_device_or_with_unusable_models_does_not_join(config, tmp_path):
    commands.init(config)
    with pytest.raises(ConfigError, match="DEVICE=none"):
        commands.join(replace(config, device="none"), 1, 1)
    with pytest.raises(ConfigError, match="MODEL"):
        commands.join(replace(config, models=(str(tmp_path / "missing"),)), 1, 1)


def test_show_says_that_the_head_does_not_run(config):
    commands.init(config)
    with pytest.raises(ConfigError, match="cluster head` running there"):
        commands.show(config)


def test_show_says_which_machines_fit_and_which_have_one_name(config, monkeypatch, capsys):
    commands.init(config)
    nodes = [Node(str(number), name, f"10.0.0.{number}", 1, VERSIONS) for number, name in enumerate(("a", "b", "b"))]
    monkeypatch.setattr(commands, "list_nodes", lambda *_: nodes)
    head = commands.head_of(config)
    with answering(head, commands.cluster_files(config).for_machine(head.host), VERSIONS):
        commands.show(config)
    fits, *same = capsys.readouterr().out.splitlines()[-3:]
    assert fits.endswith("fits")
    assert all("does not fit: another has this name: set NODE_NAME" in line for line in same)


def test_each_cluster_has_a_folder_of_its_own_for_sockets_whose_path_fits(tmp_path):
    near, long, other = (session_folder(Path("/srv", part, "ray")) for part in ("atelier", "a" * 90, "b" * 90))
    assert near == Path("/srv/atelier/ray")
    assert long != other
    assert max(len(str(folder / SOCKET_IN_SESSION)) for folder in (near, long, other)) <= MAX_SOCKET_PATH


@pytest.mark.parametrize("interface", ["", HERE])
def test_a_port_that_another_program_has_is_named(interface):
    # Below the ports that a system gives away by itself, so that no other test takes one meanwhile.
    first = next(first for first in range(20_000, 30_000, 10) if taken_port(first) is None)
    with socket.create_server((interface, first + NODE_MANAGER)):
        assert taken_port(first) == first + NODE_MANAGER
    assert taken_port(first) is None


@pytest.mark.parametrize("address", ["localhost:6380", "127.0.0.1:6380", "10.0.0.5", "10.0.0.5:80", "nonsense"])
def test_an_address_that_other_machines_cannot_use_is_refused(address):
    with pytest.raises(ConfigError, match="CLUSTER"):
        Config.read({"CLUSTER": address})


def test_a_bot_without_any_device_needs_a_cluster():
    with pytest.raises(ConfigError, match="DEVICE is none"):
        Config.read({"DEVICE": "none"})
    assert Config.read({"DEVICE": "none", "CLUSTER": "10.0.0.5:6380"}).device == "none"


def test_the_own_address_is_the_heads_on_its_machine_and_one_of_the_same_network_elsewhere(config):
    head = Head("127.0.0.2", 6380)
    assert own_address(replace(config, cluster_here=""), head) == "127.0.0.2"
    assert own_address(replace(config, cluster_here="10.0.0.9"), head) == "10.0.0.9"


@pytest.mark.parametrize(("unit", "command"), [("head", "cluster head"), ("node", "cluster join")])
def test_the_service_files_run_the_commands_and_stop_on_a_wrong_setting(unit, command):
    text = (ROOT / "deploy" / f"atelier-{unit}.service").read_text(encoding="utf-8")
    assert f"main.py {command}\n" in text
    assert "RestartPreventExitStatus=2\n" in text
    assert "UMask=0077\n" in text
