"""Check the cluster: its files, its head, and the machines that have joined."""

from __future__ import annotations

from bot.config import Config, ConfigError
from bot.doctor.result import CheckResult, failed, in_daemon_thread, passed
from bot.machines import cluster_files, head_of, list_nodes, own_address
from generation.cluster.files import ClusterFiles
from generation.cluster.hello import HeadUnreachable, ask
from generation.cluster.node import Node
from generation.cluster.ray_settings import Head
from generation.cluster.versions import Versions, own_versions
from generation.command_line import as_typed
from generation.errors import UserError

SUBJECT = "cluster"


async def check_cluster(config: Config) -> list[CheckResult]:
    """Check that the head answers and which machines fit; nothing where CLUSTER is not set."""
    return await in_daemon_thread(lambda: _check(config)) if config.cluster else []


def _check(config: Config) -> list[CheckResult]:
    head, files = head_of(config), cluster_files(config)
    try:
        versions = own_versions()
        here = own_address(config, head)
        answer = ask(head, files.for_machine(here))
    except HeadUnreachable as error:
        return [failed(SUBJECT, str(error), f"Run `{as_typed('cluster head')}` on the bot's machine.")]
    except UserError as error:
        return [failed(SUBJECT, str(error), "See Several machines in docs/self-hosting.md.")]
    if not answer.knows_token:
        return [
            failed(
                SUBJECT,
                f"the head at {head} has another token",
                "Copy the files of `cluster init` from its machine again.",
            )
        ]
    if mismatches := versions.mismatches(answer.versions):
        return [failed(SUBJECT, "this machine and the head differ", " ".join(mismatches))]
    return _check_nodes(head, here, files, versions)


def _check_nodes(head: Head, here: str, files: ClusterFiles, versions: Versions) -> list[CheckResult]:
    try:
        nodes = list_nodes(head, here, files)
    except ConfigError as error:
        return [failed(SUBJECT, str(error), "Look at the output of `cluster head`; restart it.")]
    if not nodes:
        fix = f"Run `{as_typed(f'cluster join {head}')}` on a machine with a GPU."
        return [failed(SUBJECT, f"the head at {head} runs, but no machine has joined", fix)]
    return [_evaluate(node, node.problems(versions, nodes)) for node in nodes]


def _evaluate(node: Node, problems: list[str]) -> CheckResult:
    text = f"{node.name} ({node.address}), {node.devices} device{'' if node.devices == 1 else 's'}"
    if problems:
        return failed(SUBJECT, f"{text} does not fit", " ".join(problems))
    return passed(SUBJECT, text)
