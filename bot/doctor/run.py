"""Run all checks concurrently and print their results."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from bot.config import Config
from bot.doctor.account import check_account
from bot.doctor.adapters import check_adapters
from bot.doctor.device import check_device
from bot.doctor.model import check_classifier, check_models, check_models_load, check_upscaler
from bot.doctor.result import CheckResult, CheckStatus, in_daemon_thread, with_timeout
from bot.doctor.storage import check_database, check_disk

CHECK_TIMEOUT_S = 60.0  # seconds; the account checks have timeouts of their own too
DEVICE_TIMEOUT_S = 180.0  # loading PyTorch from a cold disk takes long


async def run_checks(config: Config) -> int:
    """Check the whole installation and return the exit code: 0 only if every check passed."""
    checks: list[Awaitable[list[CheckResult]]] = [
        with_timeout(3 * CHECK_TIMEOUT_S, "token", check_account(config)),
        with_timeout(CHECK_TIMEOUT_S, "model", in_daemon_thread(lambda: check_models(config.models))),
        with_timeout(DEVICE_TIMEOUT_S, "model", check_models_load(config.models)),
        with_timeout(CHECK_TIMEOUT_S, "adapters", in_daemon_thread(lambda: check_adapters(config))),
        with_timeout(
            CHECK_TIMEOUT_S, "classifier", in_daemon_thread(lambda: check_classifier(config.sensitive_classifier))
        ),
        with_timeout(CHECK_TIMEOUT_S, "upscaler", in_daemon_thread(lambda: check_upscaler(config.upscaler))),
        with_timeout(DEVICE_TIMEOUT_S, "device", check_device(config.device, config.models)),
        with_timeout(CHECK_TIMEOUT_S, "disk", in_daemon_thread(lambda: check_disk(config.data_dir))),
        with_timeout(CHECK_TIMEOUT_S, "database", in_daemon_thread(lambda: check_database(config.data_dir))),
    ]
    results: list[CheckResult] = []
    for check in [asyncio.ensure_future(check) for check in checks]:
        for result in await check:
            print(result, flush=True)
            results.append(result)
    return _summarize(results)


def _summarize(results: list[CheckResult]) -> int:
    failures = sum(result.status is CheckStatus.FAILED for result in results)
    skips = sum(result.status is CheckStatus.SKIPPED for result in results)
    if failures or skips:
        print(f"\n{failures} problem{'' if failures == 1 else 's'}, {skips} skipped")
        return 1
    print("\nAll checks passed.")
    return 0
