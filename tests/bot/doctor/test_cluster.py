"""The doctor says what keeps machines of the cluster from generating, and what to do."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from bot.config import Config
from bot.doctor import cluster as doctor
from bot.doctor.cluster import check_cluster
from bot.doctor.result import CheckStatus
from bot.machines import cluster_files
from generation.cluster.hello import answering
from generation.cluster.node import Node
from generation.cluster.ray_settings import Head
from generation.cluster.versions import Versions
from generation.command_line import as_typed

VERSIONS = Versions("0.2.0-12345678", "2.60.0", "3.11.7")
OTHER = replace(VERSIONS, python="3.11.8")


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "own_versions", lambda: VERSIONS)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1] - 1
    found = Config(data_dir=tmp_path, cluster=f"127.0.0.2:{port}", cluster_here="127.0.0.2")
    cluster_files(found).create()
    return found


def head_answers(config, versions=VERSIONS):
    head = Head("127.0.0.2", int(config.cluster.rpartition(":")[2]))
    return answering(head, cluster_files(config).for_machine("127.0.0.2"), versions)


async def texts(config):
    return [(result.status, str(result)) for result in await check_cluster(config)]


async def test_without_a_cluster_there_is_nothing_to_check():
    assert await check_cluster(Config()) == []


async def test_a_head_that_does_not_run_is_told(config):
    ((status, text),) = await texts(config)
    assert status is CheckStatus.FAILED
    assert as_typed("cluster head") in text


async def test_missing_files_are_told(config):
    cluster_files(config).token.unlink()
    ((status, text),) = await texts(config)
    assert status is CheckStatus.FAILED
    assert "cluster init" in text


async def test_each_machine_is_told_and_one_that_differs_with_what_to_install(config, monkeypatch):
    nodes = [Node("1", "alpha", "10.0.0.6", 1, VERSIONS), Node("2", "beta", "10.0.0.7", 2, OTHER)]
    monkeypatch.setattr(doctor, "list_nodes", lambda *_: nodes)
    with head_answers(config):
        (first, alpha), (second, beta) = await texts(config)
    assert first is CheckStatus.PASSED
    assert "alpha (10.0.0.6), 1 device" in alpha
    assert second is CheckStatus.FAILED
    assert "Install Python 3.11.7" in beta


async def test_machines_with_one_name_are_told(config, monkeypatch):
    nodes = [Node("1", "alpha-1", "10.0.0.6", 1, VERSIONS), Node("2", "alpha", "10.0.0.7", 2, VERSIONS)]
    monkeypatch.setattr(doctor, "list_nodes", lambda *_: nodes)
    with head_answers(config):
        found = await texts(config)
    assert [status for status, _ in found] == [CheckStatus.FAILED] * 2
    assert all("set NODE_NAME" in text for _, text in found)


async def test_no_machine_and_another_version_of_the_head_are_told(config, monkeypatch):
    monkeypatch.setattr(doctor, "list_nodes", lambda *_: [])
    with head_answers(config):
        ((_, text),) = await texts(config)
    assert "no machine has joined" in text
    with head_answers(config, OTHER):
        ((_, text),) = await texts(config)
    assert "Install Python 3.11.8" in text
