"""What `imagine --dry-run` prints of a prompt."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bot.config import Config
from bot.dry_run import print_dry_run
from bot.registry import load_registry
from generation.models.adapters import Adapters
from generation.models.files.controls import ControlNet

CONFIG = Config()


def dry_run(capsys, prompt: str, *, with_image: bool = False, with_control: bool = False) -> tuple[int, dict]:
    code = print_dry_run(CONFIG, prompt, with_image=with_image, with_control=with_control)
    return code, json.loads(capsys.readouterr().out)


def test_a_dry_run_prints_what_was_read(capsys):
    link = "https://example.org/a.png"
    code, printed = dry_run(capsys, f"{link} fox::−0.5 moon::2 --ar 3:2 --no text, people --s 50 --q .5 --raw --fast")
    assert code == 0
    assert printed == {
        "text": [{"text": "fox", "weight": -0.5}, {"text": "moon", "weight": 2.0}],
        "parameters": {
            "aspect": "3:2",
            "no": ["text", "people"],
            "stylize": 50,
            "quality": 0.5,
            "raw": True,
            "fast": True,
        },
        "links": [link],
        "left_out": [],
        "faults": [],
    }


@pytest.mark.parametrize("typed", ["a [red:blue:.4] boat", "a [red：blue：０.4] boat"])
def test_a_dry_run_prints_how_words_change(capsys, typed):
    code, printed = dry_run(capsys, typed)
    assert code == 0
    assert printed["text"] == [{"text": "a red boat", "weight": 1.0, "edited": "a [red:blue:0.4] boat"}]


def test_a_dry_run_prints_controlnets_and_their_picture(capsys, monkeypatch):
    registry = load_registry(CONFIG)
    canny = ControlNet("canny", Path("a"), registry.default.cross_attention_dim, "canny")
    monkeypatch.setattr("bot.dry_run.load_registry", lambda _: replace(registry, adapters=Adapters(controls=(canny,))))
    code, printed = dry_run(capsys, "a fox --control canny:0.5 4f2a1c")
    assert (code, printed["parameters"]) == (0, {"control": [{"name": "canny", "weight": 0.5}, "4f2a1c"]})
    code, printed = dry_run(capsys, "a fox --control canny:0.5", with_control=True)
    assert (code, printed["parameters"]) == (0, {"control": [{"name": "canny", "weight": 0.5}]})


def test_a_dry_run_prints_the_faults_beside_what_was_read(capsys):
    code, printed = dry_run(capsys, "a fox --ar 3:2 --seed x --oref y")
    assert code == 2
    assert (printed["text"], printed["parameters"]) == ([{"text": "a fox", "weight": 1.0}], {"aspect": "3:2"})
    assert [fault.split("`")[1] for fault in printed["faults"]] == ["--seed", "--oref"]


def test_a_dry_run_names_the_settings_that_are_not_used(capsys):
    code, printed = dry_run(capsys, "a fox\nNegative prompt: ugly\nSteps: 30, Seed: 5, Model: gone, Clip skip: 2")
    assert (code, printed["parameters"]) == (0, {"negative": "ugly", "steps": 30, "seed": 5})
    assert printed["left_out"] == ["Clip skip", "Model"]


@pytest.mark.parametrize(("with_image", "code"), [(False, 2), (True, 2)])
def test_a_prompt_without_words_is_a_fault(capsys, with_image, code):
    assert dry_run(capsys, "--ar 3:2", with_image=with_image)[0] == code


def test_a_dry_run_imports_neither_torch_nor_discord():
    code = "import sys; from bot.dry_run import print_dry_run; from bot.config import Config; "
    code += "print_dry_run(Config(), 'a fox', with_image=False); "
    code += "sys.exit(any(name in sys.modules for name in ('torch', 'diffusers', 'discord')))"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=False).returncode == 0
