"""Extract the texts for translation, update every catalogue and compile it: `python -m scripts.translations`.

A language code as an argument adds that language: `python -m scripts.translations fr`. The script prints the texts that
still need a translation. Babel fills a new text from a similar one and marks it fuzzy. A fuzzy text is not compiled
until the mark is removed.
"""

from __future__ import annotations

import ast
import asyncio
import io
import sys
import tomllib
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any

import discord
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from discord import app_commands

from bot.policy import summary
from bot.ui import job_text, job_views
from bot.ui.command_translator import is_translatable
from bot.ui.i18n import DOMAIN, LOCALES
from cogs import batch, prompt_modal, settings
from cogs import help as help_pages
from cogs.config import commands, contests, panel_fields, reports, stats, stats_chart, word_rules
from cogs.image_buttons import animate, region
from cogs.together import family
from cogs.together.contest import phases as contest_phases
from cogs.together.jam import rules as jam_rules
from generation.models.capabilities import Capability
from generation.prompt.parameters import PARAMETERS
from scripts.commands_doc import offline_client

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = LOCALES / f"{DOMAIN}.pot"
SOURCES = ("bot", "cogs", "generation")
KEYWORDS = {
    "tr": None,
    "trn": (1, 2),
    "Text": None,
    "plural": (1, 2),
}  # the positions of the texts among the arguments; None: the first
# Texts that `tr` gets from a table, by the file of the table.
TABLES: dict[str, tuple[Mapping[Any, str], ...]] = {
    "bot/ui/job_text.py": (job_text._ACTION_LABELS, job_text._SPEED_LABELS, job_text._FILM_DESCRIPTIONS),
    "bot/ui/job_views.py": (job_views.text_labels(),),
    "cogs/batch.py": ({"confirm": batch.CONFIRM_LABEL},),
    "cogs/help.py": ({title: title for title in help_pages.PAGES}, {each.name: each.help for each in PARAMETERS}),
    "cogs/image_buttons/region.py": ({name: name for name in (*region.PRESETS, *region.SQUARE_NAMES)},),
    "cogs/prompt_modal.py": (prompt_modal.MODAL_TITLES,),
    "cogs/settings.py": (
        {label: label for *_, label in settings._BUTTONS},
        settings._SWITCHES,
        settings._STYLIZE_LABELS,
    ),
    "bot/policy/summary.py": (summary.PLACEMENT_LABELS,),
    "cogs/image_buttons/animate.py": (animate.KIND_LABELS,),
    "cogs/config/commands.py": (dict(enumerate(commands.FEATURE_FIELDS)),),
    "cogs/config/panel_fields.py": (panel_fields.TITLES, panel_fields.CHOICES),
    "cogs/config/reports.py": (reports.BUTTON_LABELS, reports.OUTCOME_TEXTS),
    "cogs/config/stats.py": (stats.PERIOD_TITLES,),
    "cogs/config/stats_chart.py": (stats_chart.ACTION_LABELS,),
    "cogs/config/word_rules.py": (word_rules.RULE_LABELS,),
    "cogs/config/contests.py": (contests.THEME_BY_TEXTS,),
    "cogs/together/contest/phases.py": (contest_phases.THEMES,),
    "cogs/together/jam/rules.py": (jam_rules.MOVES,),
    "cogs/together/family.py": (family._VERBS, family._KIND_VERBS, {"": family.OTHER_VERB}),
    "generation/models/capabilities.py": ({each.name: each.value for each in Capability},),
}
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
NO_DESCRIPTION = "…"  # discord.py's description of an option that has none
MAINTAINERS = "maintainers"
HEADER = "# Texts are added and removed by `python -m scripts.translations`; their translations are written here."
LINE_WIDTH = 120


class TextRecorder(app_commands.Translator):
    """Record the texts that discord.py would have translated."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def translate(
        self, string: app_commands.locale_str, _: discord.Locale, context: app_commands.TranslationContextTypes
    ) -> None:
        """Record a text once, and translate nothing."""
        text = string.message
        if is_translatable(context) and text != NO_DESCRIPTION and text not in self.texts:
            self.texts.append(text)


@cache
def command_texts() -> dict[str, list[str]]:
    """Return the texts of the commands that Discord shows, by the file of the command."""
    return asyncio.run(_record_command_texts())


async def _record_command_texts() -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {}
    async with offline_client() as client:
        for command in client.tree.get_commands():
            recorder = TextRecorder()
            await command.get_translated_payload(client.tree, recorder)
            texts.setdefault(f"{(command.module or '').replace('.', '/')}.py", []).extend(recorder.texts)
    return texts


def extract() -> Catalog:
    """Return a template with every text passed to `tr`, `trn`, `Text` or `Text.plural`, and those of the commands."""
    template = _new_catalogue("# Written by `python -m scripts.translations`.")
    for top in SOURCES:
        for filename, line, message, comments, context in _calls_in(top):
            location = f"{top}/{Path(filename).as_posix()}"
            template.add(message, None, [(location, line)], auto_comments=comments, context=context)
    for location, tables in TABLES.items():
        for text in (text for table in tables for text in table.values() if text):
            template.add(text, None, [(location, 0)])
    for location, texts in sorted(command_texts().items()):
        for text in texts:
            template.add(text, None, [(location, 0)])
    return template


@cache
def _calls_in(top: str) -> list[Any]:
    method = "scripts.translations:extract_calls"
    return list(extract_from_dir(ROOT / top, [("**.py", method)], keywords=KEYWORDS))


def extract_calls(
    file: IO[bytes], keywords: Collection[str], comment_tags: Collection[str], options: dict[str, Any]
) -> Iterator[tuple[int, str, list[str | None], list[str]]]:
    """Yield the calls of the keywords in Babel's format; Babel's own extractor misses calls inside f-strings."""
    for node in _in_source_order(ast.parse(file.read())):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args) if name in keywords:
                yield node.lineno, name, [_literal(arg) for arg in args], []


def _in_source_order(node: ast.AST) -> Iterator[ast.AST]:
    nodes = [node]
    while nodes:
        node = nodes.pop()
        yield node
        nodes += reversed(list(ast.iter_child_nodes(node)))


def _literal(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def catalogue_path(language: str, suffix: str = "po") -> Path:
    """Return the path of a language's catalogue: its source (`po`) or its compiled form (`mo`)."""
    return LOCALES / language / "LC_MESSAGES" / f"{DOMAIN}.{suffix}"


def languages() -> list[str]:
    """Return the languages that have a catalogue."""
    return sorted(path.parents[1].name for path in LOCALES.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))


def read(path: Path, language: str | None = None) -> Catalog:
    """Read a catalogue, or the template."""
    with path.open("rb") as file:
        return read_po(file, locale=language, domain=DOMAIN, abort_invalid=True)


def messages(catalogue: Catalog) -> dict[str | tuple[str, ...], Message]:
    """Return the messages of a catalogue, without its header, by their text or by their singular and plural."""
    return {
        message.id if isinstance(message.id, str) else tuple(message.id): message for message in catalogue if message.id
    }


def is_translated(message: Message) -> bool:
    """Return whether a message has all its forms, none of them guessed by Babel."""
    forms = [message.string] if isinstance(message.string, str) else message.string or [""]
    return not message.fuzzy and all(forms)


def main(added: Collection[str] = ()) -> None:
    """Write the template and all catalogues, and print the texts that need a translation."""
    template = extract()
    if TEMPLATE.exists():
        before = read(TEMPLATE)
        if messages(before).keys() == messages(template).keys():
            template.creation_date = before.creation_date  # a second run changes nothing
    _write_po(TEMPLATE, template)
    for language in sorted({*languages(), *added}):
        path = catalogue_path(language)
        catalogue = read(path, language) if path.exists() else _new_catalogue(HEADER, language)
        catalogue.update(template)
        _write_po(path, catalogue)
        catalogue = read(path, language)  # a new plural text has as many forms as the language only once it is read
        missing = [message for message in messages(catalogue).values() if not is_translated(message)]
        print(f"{language}: {len(messages(catalogue))} texts, {len(missing)} to translate")
        for message in missing:
            catalogue.delete(message.id)  # gettext would show the empty forms of a plural
        with catalogue_path(language, "mo").open("wb") as file:
            write_mo(file, catalogue)
        for message in missing:
            print(f"  {'fuzzy' if message.fuzzy else 'empty'}: {message.id!r}")


def _new_catalogue(header: str, language: str | None = None) -> Catalog:
    return Catalog(
        locale=language,
        header_comment=header,
        project="Atelier",
        version=VERSION,
        msgid_bugs_address=MAINTAINERS,
        last_translator=MAINTAINERS,
        language_team=MAINTAINERS,
        fuzzy=False,
    )


def _write_po(path: Path, catalogue: Catalog) -> None:
    content = io.BytesIO()
    # Line numbers would change these files with every change of the code.
    write_po(content, catalogue, width=LINE_WIDTH, include_lineno=False, ignore_obsolete=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.getvalue())


if __name__ == "__main__":
    main(sys.argv[1:])
