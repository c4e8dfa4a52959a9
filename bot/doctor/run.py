"""Run all checks concurrently and print their results."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from pathlib import Path

from bot.config import Config
from bot.doctor.account import check_account
from bot.doctor.adapters import check_adapters
from bot.doctor.cluster import check_cluster
from bot.doctor.device import check_device
from bot.doctor.model import check_classifier, check_describer, check_models, check_models_load, check_upscaler
from bot.doctor.result import CheckResult, CheckStatus, in_daemon_thread, with_timeout
from bot.doctor.settings import check_settings
from bot.doctor.storage import check_database, check_disk

CHECK_TIMEOUT_S = 60.0  # seconds; the account checks have timeouts of their own too
DEVICE_TIMEOUT_S = 180.0  # loading PyTorch from a cold disk takes long
NOTICE_AFTER_S = 3.0  # seconds of silence after which a line names the check that takes long

_Check = tuple[str, asyncio.Future[list[CheckResult]]]


async def run_checks(config: Config) -> int:
    """Check the whole installation and return the exit code: 0 only if every check passed."""
    checks = _start_checks(config)
    try:
        return _summarize(await _print_results(checks))
    finally:
        await _end([check for _, check in checks])


async def _print_results(checks: list[_Check]) -> list[CheckResult]:
    results: list[CheckResult] = []
    for subject, check in checks:
        if not (await asyncio.wait({check}, timeout=NOTICE_AFTER_S))[0]:
            print(f"...  {subject}: still checking", file=sys.stderr, flush=True)
        for result in await check:
            print(result, flush=True)
            results.append(result)
    return results


async def _end(checks: list[asyncio.Future[list[CheckResult]]]) -> None:
    """Cancel the checks that go on, as when nobody reads their results.

    `asyncio.run` would also cancel what asyncio does for them to start a process, and wait for its end for ever.
    """
    for check in checks:
        check.cancel()
    await asyncio.wait(checks)


def _start_checks(config: Config) -> list[_Check]:
    """Start all checks at once; return them with their subjects, in the order in which their results are shown."""

    def check(subject: str, seconds: float, work: Awaitable[list[CheckResult]]) -> _Check:
        return subject, asyncio.ensure_future(with_timeout(seconds, subject, work))

    return [
        check("settings", CHECK_TIMEOUT_S, in_daemon_thread(lambda: check_settings(Path(".env")))),
        check("token", 3 * CHECK_TIMEOUT_S, check_account(config)),
        check("model", CHECK_TIMEOUT_S, in_daemon_thread(lambda: check_models(config.models))),
        check("model", DEVICE_TIMEOUT_S, check_models_load(config.models)),
        check("adapters", CHECK_TIMEOUT_S, in_daemon_thread(lambda: check_adapters(config))),
        check("classifier", CHECK_TIMEOUT_S, in_daemon_thread(lambda: check_classifier(config.sensitive_classifier))),
        check("describer", CHECK_TIMEOUT_S, in_daemon_thread(lambda: check_describer(config.describer))),
        check("upscaler", CHECK_TIMEOUT_S, in_daemon_thread(lambda: check_upscaler(config.upscaler))),
        check("device", DEVICE_TIMEOUT_S, check_device(config.device, config.models, fp8=config.fp8)),
        check("cluster", DEVICE_TIMEOUT_S, check_cluster(config)),
        check("disk", CHECK_TIMEOUT_S, in_daemon_thread(lambda: check_disk(config.data_dir))),
        check("database", CHECK_TIMEOUT_S, in_daemon_thread(lambda: check_database(config.data_dir))),
    ]


def _summarize(results: list[CheckResult]) -> int:
    failures = sum(result.status is CheckStatus.FAILED for result in results)
    skips = sum(result.status is CheckStatus.SKIPPED for result in results)
    if failures or skips:
        print(f"\n{failures} problem{'' if failures == 1 else 's'}, {skips} skipped")
        return 1
    print("\nAll checks passed.")
    return 0
