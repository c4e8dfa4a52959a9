"""What a machine learns from the head before it joins."""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from dataclasses import replace

import pytest

from generation.cluster import hello, versions
from generation.cluster.files import ClusterFiles
from generation.cluster.hello import HeadUnreachable, answering, ask
from generation.cluster.ray_settings import Head
from generation.cluster.versions import Versions, atelier_version, own_versions
from generation.command_line import tool_as_typed
from generation.errors import UserError

VERSIONS = Versions("0.2.0-12345678", "2.60.0", "3.11.7")


@pytest.fixture
def files(tmp_path):
    found = ClusterFiles(tmp_path / "cluster")
    found.create()
    return found


@pytest.fixture
def head():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Head("127.0.0.1", probe.getsockname()[1] - 1)


def test_a_machine_with_the_same_files_learns_the_versions(files, head):
    with answering(head, files.for_machine("127.0.0.1"), VERSIONS):
        answer = ask(head, files.for_machine("127.0.0.3"))
    assert answer.versions == VERSIONS
    assert answer.knows_token


def test_another_token_is_recognized(files, head):
    machine = files.for_machine("127.0.0.1")
    with answering(head, machine, VERSIONS):
        files.token.write_text("another")
        assert not ask(head, machine).knows_token


def test_the_files_of_another_cluster_are_recognized(files, head, tmp_path):
    other = ClusterFiles(tmp_path / "other")
    other.create()
    with answering(head, files.for_machine("127.0.0.1"), VERSIONS), pytest.raises(UserError, match="another cluster"):
        ask(head, other.for_machine("127.0.0.1"))


def test_a_head_that_does_not_run_may_come_back(files, head):
    with pytest.raises(HeadUnreachable, match=r"127\.0\.0\.1:\d+ does not answer"):
        ask(head, files.for_machine("127.0.0.1"))


def test_a_stranger_is_told_nothing_and_harms_nothing(files, head):
    with answering(head, files.for_machine("127.0.0.1"), VERSIONS):
        with socket.create_connection((head.host, head.hello_port)) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with suppress(ConnectionResetError):
                assert b"2.60" not in stranger.recv(4096)
        assert ask(head, files.for_machine("127.0.0.1")).knows_token


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"atelier": "0.2.0-87654321"}, "scripts/update"),
        ({"ray": "2.59.0"}, tool_as_typed("pip", "install ray==2.60.0")),
        ({"python": "3.11.8"}, "Install Python 3.11.7"),
    ],
)
def test_each_mismatch_says_what_to_install(change, told):
    (text,) = replace(VERSIONS, **change).mismatches(VERSIONS)
    assert told in text
    assert VERSIONS.mismatches(VERSIONS) == []


@pytest.mark.parametrize(
    "told",
    [
        {"atelier": "0.9.0-87654321", "ray": "2.60.0", "python": "3.11.7", "torch": "3.0"},
        {"atelier": "0.9.0-87654321", "interpreter": "3.14"},
        {},
    ],
)
def test_a_head_that_tells_other_versions_is_a_mismatch_in_words(files, head, monkeypatch, told):
    monkeypatch.setattr(hello, "asdict", lambda _: told)
    with answering(head, files.for_machine("127.0.0.1"), VERSIONS):
        answer = ask(head, files.for_machine("127.0.0.1"))
    (text,) = VERSIONS.mismatches(answer.versions)
    assert f"the bot has {told.get('atelier', '?')}: update both" in text


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_only_linux_can_be_part_of_a_cluster_with_ray_or_without(monkeypatch, system):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(versions, "version", lambda _: "2.60.0")
    with pytest.raises(UserError, match="Linux only"):
        own_versions()


def test_a_node_with_labels_of_another_version_is_a_mismatch_too():
    labels = {"atelier-name": "alpha", "atelier-version": "0.9.0-87654321"}
    assert Versions.from_labels(VERSIONS.as_labels() | labels) == replace(VERSIONS, atelier="0.9.0-87654321")
    assert len(Versions.from_labels(labels).mismatches(VERSIONS)) == 1


def test_the_version_has_a_fingerprint_of_the_code():
    number, _, digits = atelier_version().rpartition("-")
    assert number.count(".") == 2
    assert len(digits) == 8
