"""Every statement of db/ uses an index, so that its time does not grow with the number of jobs."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Backups and the doctor read the whole file, in their own processes; the migrations create the tables.
EXEMPT_MODULES = {"backup", "connection", "integrity", "__init__"}
# Unfinished jobs and sessions only.
SMALL_INDEXES = r"INDEX (jobs_(open|noticed|to_remove)|collab_sessions_active)$"
STATEMENT = re.compile(r"\s*(SELECT|WITH|INSERT|UPDATE|DELETE)\s")
SMALL_TABLES = {
    "deferrals": "responses under way",
    "direct_messages": "direct messages under way",
    "askers": "the recursive table of a statement",
    "counted": "the recursive table of a statement",
    "entered": "the jobs that a statement names, and what was taken out of them",
    "guilds": "a row per server, read once a day",
    "erasures": "a row per user with an erasure in progress",
    "tallies": "usage of jobs erased in the last day, deleted once a day",
    "line": "the recursive table of a statement",
    "made": "what was made from the jobs that a statement names",
    "memos": "a few rows",
    "to_index": "results posted a moment ago",
}


def statements():
    """Yield every SQL statement in db/ with its location; the text is empty if it is only built at run time."""
    for path in sorted((ROOT / "db").rglob("*.py")):
        if path.stem in EXEMPT_MODULES:
            continue
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        names = vars(importlib.import_module(module))
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        parts = {part for node in nodes for part in _inner_constants(node)}
        for node in nodes:
            if id(node) not in parts and (text := _text(node, names)) is not None:
                yield f"{path.stem}:{node.lineno}", text


def _inner_constants(node):
    return [id(value) for value in node.values] if isinstance(node, ast.JoinedStr) else []


def _text(node, names):
    match node:
        case ast.Constant(value=str(text)) if STATEMENT.match(text):
            return text
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]) if STATEMENT.match(text):
            try:
                return eval(compile(ast.Expression(node), "db", "eval"), names)
            except NameError:
                return ""
    return None


STATEMENTS = dict(statements())


def test_the_statements_are_found():
    assert len(STATEMENTS) > 60
    built_at_run_time = [location.partition(":")[0] for location, sql in STATEMENTS.items() if not sql]
    assert built_at_run_time == ["jobs"], "a job's transitions, which test_jobs checks"


async def test_no_statement_scans_a_large_table(connection):
    scans = []
    for location, sql in STATEMENTS.items():
        if sql:
            values = dict.fromkeys(re.findall(r":([a-z_]+)", sql), 1)
            rows = await connection.fetch_all(f"EXPLAIN QUERY PLAN {sql}", values)
            scans += [(location, row["detail"]) for row in rows if _is_full_scan(row["detail"])]
    assert scans == []


def _is_full_scan(step):
    match re.match(r"SCAN (\S+)(.*)", step):
        case None:
            return False
        case found if (
            "VIRTUAL TABLE" in found[2] or found[1] in ("CONSTANT", *SMALL_TABLES) or found[1].startswith("(")
        ):
            return False
        case found:
            return not re.search(SMALL_INDEXES, found[2])
