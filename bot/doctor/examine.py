"""Make every check beside the others, and print what each found."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from bot.config import Config
from bot.doctor.account import check_account
from bot.doctor.additions import check_additions
from bot.doctor.device import check_device
from bot.doctor.finding import Finding, Verdict, aside, within
from bot.doctor.model import check_classifier, check_models
from bot.doctor.storage import check_database, check_disk

PATIENCE = 60.0  # seconds; the account's checks have their own as well
DEVICE_PATIENCE = 180.0  # a cold disk takes long to give PyTorch


async def examine(config: Config) -> int:
    """Check the whole installation, and give the exit code: 0 only when all is well."""
    checks: list[Awaitable[list[Finding]]] = [
        within(3 * PATIENCE, "token", check_account(config)),
        within(PATIENCE, "model", aside(lambda: check_models(config.models))),
        within(PATIENCE, "additions", aside(lambda: check_additions(config))),
        within(PATIENCE, "classifier", aside(lambda: check_classifier(config.sensitive_classifier))),
        within(DEVICE_PATIENCE, "device", check_device(config.device, config.models)),
        within(PATIENCE, "disk", aside(lambda: check_disk(config.data_dir))),
        within(PATIENCE, "database", aside(lambda: check_database(config.data_dir))),
    ]
    findings: list[Finding] = []
    for check in [asyncio.ensure_future(check) for check in checks]:
        for finding in await check:
            print(finding, flush=True)
            findings.append(finding)
    return _conclude(findings)


def _conclude(findings: list[Finding]) -> int:
    wrong = sum(finding.verdict is Verdict.BAD for finding in findings)
    unsaid = sum(finding.verdict is Verdict.UNKNOWN for finding in findings)
    if wrong or unsaid:
        print(f"\n{wrong} to be mended, {unsaid} not checked")
        return 1
    print("\nAll is well.")
    return 0
