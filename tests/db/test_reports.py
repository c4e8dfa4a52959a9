"""Reports are stored once per user and job, until a moderator closes them."""

from __future__ import annotations

import asyncio

import pytest

from db.reports import Report, ReportStore

GUILD, ADA, BEN, JOB = 1, 11, 12, "0123456789ab"


@pytest.fixture
def reports(connection, clock):
    return ReportStore(connection, clock)


async def test_a_report_is_open_until_it_is_closed(reports, clock):
    assert await reports.add(GUILD, JOB, ADA, "not for here")
    (report,) = await reports.list_open(GUILD)
    assert report == Report(
        id=report.id, guild_id=GUILD, job_id=JOB, person_id=ADA, reason="not for here", at=clock.now, outcome=None
    )
    assert await reports.list_open(2) == []
    assert await reports.close(report.id, "removed")
    assert not await reports.close(report.id, "left")
    assert await reports.list_open(GUILD) == []


async def test_concurrent_reports_of_one_user_are_stored_once(reports):
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
