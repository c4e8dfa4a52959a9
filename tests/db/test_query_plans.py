"""Every statement of db/ finds its rows by an index, however many jobs there are."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

from db.connection import Connection

ROOT = Path(__file__).resolve().parents[2]
# Backups and the doctor look at the whole file, in processes of their own; the migrations are what makes the tables.
EXEMPT_MODULES = {"backup", "connection", "integrity", "__init__"}
STATEMENT = re.compile(r"\s*(SELECT|WITH|INSERT|UPDATE|DELETE)\s")
SMALL_TABLES = {
    "askers": "the people that the statement itself finds, one after another",
    "guilds": "a row a server, read once a day",
    "erasures": "a row a person who has just asked for it",
    "tallies": "what was erased in the last day, cleared once a day",
    "memos": "a handful of rows",
}


def statements():
    """Give every piece of SQL in db/ by where it stands; None for one that is only put together when it is used."""
    for path in sorted((ROOT / "db").glob("*.py")):
        if path.stem in EXEMPT_MODULES:
            continue
        names = vars(importlib.import_module(f"db.{path.stem}"))
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


@pytest.fixture
async def connection(path):
    async with Connection.open(path) as connection:
        yield connection


def test_the_statements_are_found():
    assert len(STATEMENTS) > 60
    put_together = [place.partition(":")[0] for place, sql in STATEMENTS.items() if not sql]
    assert put_together == ["jobs"], "the moves of a job, which test_store looks at"


@pytest.mark.parametrize("sql", [pytest.param(sql, id=place) for place, sql in STATEMENTS.items() if sql])
async def test_no_statement_goes_through_all_rows(connection, sql):
    values = dict.fromkeys(re.findall(r":([a-z_]+)", sql), 1)
    rows = await connection.fetch_all(f"EXPLAIN QUERY PLAN {sql}", values)
    assert [row["detail"] for row in rows if _is_full_scan(row["detail"])] == []


def _is_full_scan(step):
    match re.match(r"SCAN (\S+)(.*)", step):
        case None:
            return False
        case found if (
            "VIRTUAL TABLE" in found[2] or found[1] in ("CONSTANT", *SMALL_TABLES) or found[1].startswith("(")
        ):
            return False
        case found:
            return not re.search(r"INDEX jobs_(open|noticed|to_remove)$", found[2])  # of the few jobs under way
