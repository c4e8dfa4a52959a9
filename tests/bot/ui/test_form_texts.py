"""Texts of forms, selects and buttons are as short as Discord wants them, in every language."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bot.ui.i18n import CATALOGUES, ENGLISH
from cogs.prompt_modal import MODAL_TITLES, PromptTarget, _field_description
from cogs.use_picture import _labels
from tests.support.languages import run_in

ROOT = Path(__file__).parents[3]
MAX_TITLE, MAX_DESCRIPTION = 45, 100  # characters of the title of a form or a field, and of a description
LIMITS: dict[str, dict[str | int, int]] = {  # by the class or function, and the name or position of the argument
    "PersistentModal": {1: MAX_TITLE},
    "Label": {"text": MAX_TITLE, "description": MAX_DESCRIPTION},
    "TextInput": {"placeholder": 100},
    "Select": {"placeholder": 150},
    "SelectOption": {"label": 100, "description": MAX_DESCRIPTION},
    "add_option": {"label": 100, "description": MAX_DESCRIPTION},
    "Button": {"label": 80},
}
LANGUAGES = (ENGLISH, *CATALOGUES)


def translatable(expression: ast.AST, assigned: Mapping[str, list[ast.AST]]) -> Iterator[str]:
    """Yield the texts that are translated in an expression, and in what was assigned to it in the same function."""
    if isinstance(expression, ast.Name):
        for value in assigned.get(expression.id, []):
            yield from translatable(value, {})
    for node in ast.walk(expression):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("tr", "trn"):
            texts = node.args[: 2 if node.func.id == "trn" else 1]
            yield from (text.value for text in texts if isinstance(text, ast.Constant))


def called(call: ast.Call) -> str:
    function = call.func.value if isinstance(call.func, ast.Subscript) else call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def argument(call: ast.Call, name: str | int) -> ast.AST | None:
    if isinstance(name, int):
        return call.args[name] if len(call.args) > name else None
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def limited_texts() -> Iterator[tuple[str, int]]:
    """Yield the texts of forms, selects and buttons in the source, each with how long it may be."""
    for path in (path for folder in ("bot", "cogs") for path in (ROOT / folder).rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            assigned: dict[str, list[ast.AST]] = defaultdict(list)
            for node in ast.walk(function):
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    assigned[node.targets[0].id].append(node.value)
            for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
                for name, limit in LIMITS.get(called(call), {}).items():
                    if (expression := argument(call, name)) is not None:
                        yield from ((text, limit) for text in translatable(expression, assigned))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_of_a_form_a_select_or_a_button_fits(language):
    found = set(limited_texts())
    assert len(found) > 80, "the search itself works"
    translate = CATALOGUES[language].gettext if language in CATALOGUES else str
    assert [text for text, limit in sorted(found) if len(translate(text)) > limit] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_titles_and_hints_of_prompt_forms_fit(language):
    translate = CATALOGUES[language].gettext if language in CATALOGUES else str
    assert [title for title in MODAL_TITLES.values() if len(translate(title)) > MAX_TITLE] == []
    targets = [PromptTarget(action, payload=payload) for action in MODAL_TITLES for payload in ("", "0a")]
    hints = run_in(language, lambda: [_field_description(target) or "" for target in targets])
    assert max(map(len, hints)) <= MAX_DESCRIPTION
    purposes = run_in(language, _labels).values()
    assert max(len(text) for purpose in purposes for text in purpose) <= MAX_DESCRIPTION
