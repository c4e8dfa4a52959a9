"""What people report: kept once a person and picture, until somebody has dealt with it."""

from __future__ import annotations

import asyncio

import pytest

from db.connection import Connection
from db.reports import Report, ReportStore

GUILD, ADA, BEN, JOB = 1, 11, 12, "0123456789ab"


@pytest.fixture
async def reports(path, clock):
    async with Connection.open(path) as connection:
        yield ReportStore(connection, clock)


async def test_a_report_is_open_until_it_is_dealt_with(reports, clock):
    assert await reports.add(GUILD, JOB, ADA, "not for here")
    (report,) = await reports.list_open(GUILD)
    assert report == Report(
        id=report.id, guild_id=GUILD, job_id=JOB, person_id=ADA, reason="not for here", at=clock.now, outcome=None
    )
    assert await reports.list_open(2) == []
    assert await reports.close(report.id, "removed")
    assert not await reports.close(report.id, "left")
    assert await reports.list_open(GUILD) == []


async def test_pressing_twice_reports_once(reports):
    outcomes = await asyncio.gather(*(reports.add(GUILD, JOB, ADA, "x") for _ in range(5)))
    assert [bool(outcome) for outcome in outcomes].count(True) == 1


async def test_reports_are_separate_per_user_and_image_and_can_be_repeated(reports, clock):
    for person, job in ((ADA, JOB), (BEN, JOB), (ADA, "f" * 12)):
        clock.now += 1
        assert await reports.add(GUILD, job, person, "x")
    opened = await reports.list_open(GUILD)
    assert [(report.person_id, report.job_id) for report in opened] == [(ADA, JOB), (BEN, JOB), (ADA, "f" * 12)]
    await reports.close(opened[0].id, "left")
    assert await reports.add(GUILD, JOB, ADA, "again")
