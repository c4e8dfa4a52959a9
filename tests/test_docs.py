"""Links, files and commands in the documentation exist."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
WITHOUT_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the page's headings."""
    headings = re.findall(r"^#+ (.+)$", WITHOUT_CODE.sub("", text(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    links = re.findall(r"\]\((?!https?://|mailto:)([^)\s]*)\)", WITHOUT_CODE.sub("", text(page)))
    for link in links:
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


FOR_DEVELOPERS = {"architecture.md", "performance.md", "CONTRIBUTING.md"}
NOT_IN_PATH = re.compile(r"(?<![/\w])(?:python main\.py|python -c|pip install|hf download)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_an_owner_types_works_without_an_active_environment(page):
    """Debian has no `python`, its `pip install` refuses, and nobody need activate `.venv`."""
    if page.name not in FOR_DEVELOPERS and page.parent.name != "decisions":
        assert NOT_IN_PATH.findall(text(page)) == []


OTHER_PATHS = {"health", "metrics", "together", "tmp"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_slash_command_exists(page):
    known = set(re.findall(r"^#+ /([a-z]+)", text(ROOT / "docs" / "commands.md"), re.MULTILINE))
    assert set(re.findall(r"`/([a-z_]+)(?=[ `])", text(page))) <= known | OTHER_PATHS


@cache
def commands() -> str:
    ended = subprocess.run([sys.executable, ROOT / "main.py", "--help"], capture_output=True, text=True, check=True)
    return ended.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_file_that_is_typed_exists(page):
    blocks = "\n".join(re.findall(r"^```(?:sh|powershell)?\n(.*?)^```", text(page), re.MULTILINE | re.DOTALL))
    typed = blocks + "\n".join(re.findall(r"`([^`\n]+)`", WITHOUT_CODE.sub("", text(page))))
    for name in re.findall(r"(?:main\.py|scripts/atelier) ([a-z]+)\b", typed):
        assert name in commands(), name
    for path in re.findall(r"\b((?:scripts|deploy)/[\w.-]+[\w])", typed.replace("scripts\\", "scripts/")):
        assert (ROOT / path).exists() or list(ROOT.glob(f"{path}*")), path
