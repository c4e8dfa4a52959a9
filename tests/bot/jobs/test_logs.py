"""Every log line names its job and requester."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

from generation import logs
from tests.support.bot_harness import eventually

JOB = "0123456789ab"


class LogLines:
    """Return the log lines as JSON objects."""

    def __init__(self) -> None:
        self.written = io.StringIO()

    def all(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in self.written.getvalue().splitlines()]

    def for_job(self, job_id: str) -> list[dict[str, str]]:
        return [line for line in self.all() if line.get("job") == job_id]


@pytest.fixture
def lines() -> Iterator[LogLines]:
    lines = LogLines()
    handler = logging.StreamHandler(lines.written)
    handler.setFormatter(logs.JsonFormatter("bot"))
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel("INFO")
    yield lines
    root.setLevel(level)
    root.removeHandler(handler)


@pytest.fixture
def text() -> Iterator[io.StringIO]:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logs.TextFormatter("%(levelname)s %(message)s"))
    logger = logging.getLogger("tests.text")
    logger.addHandler(handler)
    logger.propagate = False
    yield written
    logger.removeHandler(handler)


def test_a_line_has_the_fields_of_its_context(lines):
    with logs.log_context(interaction=1441155180072407040, guild=None), logs.log_context(job=JOB):
        logging.getLogger("tests").warning("half %d%%", 50)
    (line,) = lines.all()
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "WARNING",
        "process": "bot",
        "logger": "tests",
        "message": "half 50%",
        "interaction": "1441155180072407040",
        "job": JOB,
    }


def test_an_error_is_always_one_line():
    # Not logged: pytest shows what is logged, and cannot pass on every character from one process to another.
    try:
        raise ValueError("a\nb \ud800 🦊")
    except ValueError:
        record = logging.LogRecord("tests", logging.ERROR, "", 0, "it failed:\n%s", ("🦊\x1b[31m",), sys.exc_info())
    written = logs.JsonFormatter("bot").format(record)
    line = json.loads(written)
    assert line["message"] == "it failed:\n🦊\x1b[31m"
    assert "ValueError: a\nb" in line["error"]
    assert written.isascii()
    assert "\n" not in written


def test_a_line_that_names_a_job_has_its_field(lines):
    logging.getLogger("tests").warning("job %s: cancelled by a moderator", JOB)
    assert [line["job"] for line in lines.all()] == [JOB]


def test_the_context_of_a_block_ends_with_it():
    with pytest.raises(KeyError), logs.log_context(job=JOB):
        raise KeyError
    assert dict(logs.current_context()) == {}


def test_the_text_names_the_job_once(text):
    with logs.log_context(job=JOB):
        logging.getLogger("tests.text").warning("it failed")
        logging.getLogger("tests.text").warning("job %s: it failed", JOB)
    logging.getLogger("tests.text").warning("nobody's")
    assert text.getvalue().splitlines() == [
        f"WARNING it failed [job {JOB}]",
        f"WARNING job {JOB}: it failed",
        "WARNING nobody's",
    ]


async def test_a_job_is_named_from_the_interaction_to_the_image(harness, lines):
    harness.server.faults.fail("DELETE", "/webhooks/*", status=403, times=100)
    async with harness.bot():
        interaction = await harness.imagine("a fox")
        await harness.result()
        await eventually(lambda: not harness.tasks)
    (job_id,) = {line["job"] for line in lines.all() if "job" in line}
    assert len(lines.for_job(job_id)) >= 2
    for line in lines.for_job(job_id):
        assert line["person"] == str(harness.ada.id)
        assert line["guild"] == str(harness.guild.id)
        assert line["interaction"] == str(interaction.id)


async def test_after_a_restart_the_lines_still_name_the_requester(harness, lines):
    async with harness.bot():
        await harness.imagine("slow fox", harness.ben)
        await harness.status_message("(25%)")
    before = len(lines.all())
    harness.release_slow_jobs()
    async with harness.bot():
        await harness.result()
        await eventually(lambda: not harness.tasks)
    after = [line for line in lines.all()[before:] if "job" in line]
    assert after
    assert {line["person"] for line in after} == {str(harness.ben.id)}
    assert {line["guild"] for line in after} == {str(harness.guild.id)}


async def test_a_pressed_button_is_logged_with_its_user(harness, lines):
    async with harness.bot():
        await harness.imagine("a fox")
        grid = await harness.result()
        await harness.person(harness.ben).press(grid, "U1")
        await harness.result(text="Image #1")
        await eventually(lambda: not harness.tasks)
    assert {line["person"] for line in lines.all() if "job" in line} == {str(harness.ada.id), str(harness.ben.id)}
