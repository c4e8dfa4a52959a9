"""The architecture of docs/architecture.md: who may import whom, and what every part must have."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from dotenv import dotenv_values

from bot.config import Config, env_name

ROOT = Path(__file__).resolve().parents[1]

# main → cogs → bot → db → generation; the rest stands beside it.
ALLOWED_IMPORTS = {
    "main": {"cogs", "bot", "db", "generation", "preview"},
    "cogs": {"cogs", "bot", "db", "generation"},
    "bot": {"bot", "db", "generation"},
    "db": {"db", "generation"},
    "generation": {"generation"},
    "preview": {"preview"},
    "training": {"training", "generation"},
}
# These look at the house from outside, so they may see all of it.
UNRESTRICTED = {"tests", "benchmarks", "scripts"}
RESTRICTED_LIBRARIES = {
    "discord": ("cogs", "bot"),
    "aiosqlite": ("db",),
    "sqlite3": ("db",),
    "ray": ("generation.cluster.remote",),
    "torch": ("generation.engine", "generation.worker.engine_loader", "training"),
    "diffusers": ("generation.engine", "generation.worker.engine_loader", "training"),
    "transformers": ("generation.engine", "generation.worker.engine_loader", "training"),
}
# Inside these packages a module imports only from groups that stand before its own, or from its own part.
ORDERS = {
    "bot": (
        ("config", "discord_calls", "discord_responses", "admission"),
        ("registry",),
        ("env_file", "instance_lock", "ui"),
        ("policy", "images"),
        ("machines", "draining", "workers"),
        ("services", "gateway_hooks"),
        ("finding",),
        ("jobs", "monitoring"),
        ("sessions",),
        ("client",),
        ("gallery",),
        ("dry_run",),
        ("app", "cli"),
        ("doctor",),
        ("setup",),
        ("cluster",),
    ),
    "generation": (
        ("edited_text",),
        ("errors", "logs", "params", "text", "command_line"),
        ("models", "job"),
        ("planning", "messages"),
        ("prompt",),
        ("files",),
        ("films",),
        ("engine",),
        ("worker",),
        ("queue",),
        ("cluster",),
    ),
    "generation.engine": (
        ("device", "images", "base"),
        ("networks", "output"),
        ("conditioning", "pipelines"),
        ("denoising",),
        ("serving",),
    ),
}
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}


@cache
def sources() -> list[Path]:
    """Return every Python file of the repository, relative to its root."""
    tops = [path for path in ROOT.iterdir() if not path.name.startswith(".") and path.name not in ("build", "data")]
    files = [path for top in tops for path in ([top] if top.is_file() else top.rglob("*.py"))]
    return sorted(path.relative_to(ROOT) for path in files if path.suffix == ".py")


def module_name(path: Path) -> str:
    """Return the dotted name under which a file is imported."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(path: Path, code: str) -> tuple[str, ...]:
    """Return every module that `code` imports, wherever it does so, relative and literal dynamic imports included."""
    return tuple(_imports(path, code))


def _imports(path: Path, code: str) -> Iterator[str]:
    package = module_name(path).split(".")[: None if path.name == "__init__.py" else -1]
    for node in ast.walk(ast.parse(code, str(path))):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = [*package[: len(package) - level + 1], *filter(None, [module])] if level else [module or ""]
                yield from (".".join([*base, alias.name]) for alias in names)
            case ast.Call(func=ast.Name(id="__import__") | ast.Attribute(attr="import_module"), args=[first, *_]):
                yield first.value if isinstance(first, ast.Constant) else "a module that nobody can foretell"


def forbidden_imports(path: Path, code: str) -> list[str]:
    """Return the imports of a file that the architecture does not allow."""
    module, top = module_name(path), path.with_suffix("").parts[0]
    if top in UNRESTRICTED:
        return []
    allowed = ALLOWED_IMPORTS[top]
    return [
        name
        for name in imports(path, code)
        if (first := name.partition(".")[0]) not in allowed
        and (
            first in ALLOWED_IMPORTS.keys() | UNRESTRICTED
            or " " in name
            or (
                first in RESTRICTED_LIBRARIES
                and not any(is_within(module, home) for home in RESTRICTED_LIBRARIES[first])
            )
        )
    ]


def is_within(module: str, package: str) -> bool:
    return f"{module}.".startswith(f"{package}.")


def test_imports_run_one_way():
    found = {str(path): forbidden_imports(path, (ROOT / path).read_text(encoding="utf-8")) for path in sources()}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("generation/queue/queue.py", "import db"),
        ("generation/queue/queue.py", "from db import jobs"),
        ("generation/queue/queue.py", "from db.jobs import JobStore"),
        ("generation/queue/queue.py", "def late():\n    from bot.config import Config"),
        ("generation/queue/queue.py", "if TYPE_CHECKING:\n    from cogs.imagine import Imagine"),
        ("generation/queue/queue.py", "import discord"),
        ("generation/queue/queue.py", "import torch.nn as nn"),
        ("generation/queue/queue.py", "import importlib\nimportlib.import_module('torch')"),
        ("generation/queue/queue.py", "import importlib\nimportlib.import_module(name)"),
        ("generation/queue/queue.py", "__import__('aiosqlite')"),
        ("generation/queue/queue.py", "import main"),
        ("generation/queue/queue.py", "from tests.generation import tiny_model"),
        ("generation/engines.py", "import torch"),
        ("generation/worker/engine_loaders.py", "import torch"),
        ("db/jobs.py", "from bot.config import Config"),
        ("db/jobs.py", "from discord import Embed"),
        ("bot/app.py", "from cogs.imagine import Imagine"),
        ("bot/app.py", "from ..cogs import imagine"),
        ("bot/app.py", "from preview import StandIn"),
        ("bot/app.py", "import sqlite3"),
        ("bot/app.py", "import aiosqlite"),
        ("cogs/imagine.py", "from preview.state.world import World"),
        ("cogs/imagine.py", "import generation.models, transformers"),
        ("preview/server.py", "import discord"),
        ("preview/server.py", "from generation.params import Tile"),
        ("main.py", "import training.unet"),
        ("main.py", "import torch"),
        ("generation/cluster/scout.py", "import ray"),
        ("bot/machines.py", "from ray.util import state"),
    ],
)
def test_an_import_in_the_wrong_direction_is_noticed(path, code):
    assert len(forbidden_imports(Path(path), code)) == 1


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("main.py", "from preview import StandIn"),
        ("main.py", "def late():\n    from bot.app import run"),
        ("cogs/imagine.py", "from bot.client import Client"),
        ("bot/app.py", "from . import config"),
        ("bot/app.py", "from .config import Config"),
        ("bot/app.py", "from discord.http import Route"),
        ("db/jobs.py", "import aiosqlite, generation.params"),
        ("generation/worker/engine_loader.py", "def late():\n    import torch"),
        ("generation/engine/denoising/job.py", "import torch\nfrom generation.engine.networks import vae"),
        ("training/unet.py", "import diffusers"),
        ("tests/generation/tiny_model.py", "import torch, discord, aiosqlite"),
    ],
)
def test_an_allowed_import_passes(path, code):
    assert forbidden_imports(Path(path), code) == []


@cache
def import_graph() -> dict[str, set[str]]:
    """Return the modules that each module of the product imports, TYPE_CHECKING and late imports included."""
    paths = {module_name(path): path for path in sources() if path.with_suffix("").parts[0] in ALLOWED_IMPORTS}
    graph = {}
    for module, path in paths.items():
        imported = set(imports(path, (ROOT / path).read_text(encoding="utf-8")))
        # `from a.b import c` names the module a.b.c, or something inside a.b.
        targets = {name if name in paths else name.rpartition(".")[0] for name in imported}
        graph[module] = targets & paths.keys() - {module}
    return graph


def group_of(module: str, package: str) -> int:
    """Return the place of a module's part in its package's order; fails for a part that the order does not name."""
    part = module.removeprefix(f"{package}.").partition(".")[0]
    return next(place for place, parts in enumerate(ORDERS[package]) if part in parts)


def violations_of_order(package: str, graph: dict[str, set[str]]) -> list[str]:
    """Return the imports inside a package that do not go to an earlier group, or stay in their own part."""
    inside = {module for module in graph if module.startswith(f"{package}.")}

    def part(module: str) -> str:
        return module.removeprefix(f"{package}.").partition(".")[0]

    return [
        f"{module} imports {target}"
        for module in sorted(inside)
        for target in sorted(graph[module] & inside)
        if part(module) != part(target) and group_of(target, package) >= group_of(module, package)
    ]


def find_cycle(graph: dict[str, set[str]]) -> list[str]:
    """Return the modules of an import cycle, in the order of their imports; empty where there is none."""
    done: set[str] = set()

    def visit(module: str, path: list[str]) -> list[str]:
        if module in path:
            return path[path.index(module) :]
        if module in done:
            return []
        found = next(filter(None, (visit(target, [*path, module]) for target in sorted(graph[module]))), [])
        done.add(module)
        return found

    return next(filter(None, (visit(module, []) for module in sorted(graph))), [])


def test_there_is_no_import_cycle():
    assert find_cycle(import_graph()) == []


@pytest.mark.parametrize("package", ORDERS)
def test_the_parts_of_a_package_keep_their_order(package):
    assert violations_of_order(package, import_graph()) == []


def test_a_cycle_and_a_violation_of_the_order_are_noticed():
    assert find_cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]
    assert find_cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    graph = {"bot.ui.text": {"bot.services"}, "bot.services": {"bot.ui.text", "bot.gateway_hooks"}}
    graph["bot.gateway_hooks"] = set()
    assert violations_of_order("bot", graph) == [
        "bot.services imports bot.gateway_hooks",
        "bot.ui.text imports bot.services",
    ]


def test_every_file_is_in_a_known_package():
    assert {path.with_suffix("").parts[0] for path in sources()} <= ALLOWED_IMPORTS.keys() | UNRESTRICTED
    assert set(ALLOWED_IMPORTS) - {path.with_suffix("").parts[0] for path in sources()} == set()


def test_no_module_has_a_name_that_says_nothing():
    assert [path for path in sources() if VAGUE_NAMES & {part.lower() for part in path.with_suffix("").parts}] == []


def test_the_bots_process_imports_neither_torch_nor_ray_nor_their_friends():
    code = (
        "import sys, main\n"
        "print(*{'numpy'} & sys.modules.keys())\n"  # which would add a third to the start of a command; few need it
        "import bot.app, bot.cli, bot.cluster.commands, cogs.imagine\n"
        "print(*{'torch', 'diffusers', 'transformers', 'training', 'ray', 'cryptography'} & sys.modules.keys())"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


def test_the_example_of_settings_names_each_once_with_its_default():
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    settings = [match[1] for line in lines if (match := re.fullmatch(r"#?([A-Z_0-9]+=.*)", line))]
    names = [setting.partition("=")[0] for setting in settings]
    assert sorted(names) == sorted(env_name(name) for name in Config.__dataclass_fields__)


def test_the_example_of_settings_is_what_holds_without_it(tmp_path):
    example = re.sub(r"^#(?=[A-Z_0-9]+=)", "", (ROOT / ".env.example").read_text(encoding="utf-8"), flags=re.MULTILINE)
    (tmp_path / ".env").write_text(example, encoding="utf-8")
    given = {name: value or "" for name, value in dotenv_values(tmp_path / ".env").items()}
    given["MODEL"] = str(ROOT / given["MODEL"])
    assert Config.read(given) == Config()


def test_the_example_of_settings_explains_each():
    blocks = re.split(r"\n\s*\n", (ROOT / ".env.example").read_text(encoding="utf-8"))
    assigning = [block for block in blocks if re.search(r"^#?[A-Z_0-9]+=", block, re.MULTILINE)]
    assert [block for block in assigning if not block.startswith("# ")] == []
