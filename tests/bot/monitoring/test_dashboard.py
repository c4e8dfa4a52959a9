"""The Grafana dashboard asks for metrics, labels and states that the bot has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bot.monitoring.worker_metrics import WORKER_STATES
from db.jobs import JobState
from tests.test_frozen import METRICS as METRICS_OF_ONE_WORKER
from tests.test_frozen import METRICS_OF_SEVERAL_WORKERS

METRICS = METRICS_OF_ONE_WORKER | METRICS_OF_SEVERAL_WORKERS
DASHBOARD = json.loads((Path(__file__).parents[3] / "deploy" / "grafana-dashboard.json").read_text(encoding="utf-8"))
TARGETS = [target for panel in DASHBOARD["panels"] for target in panel["targets"]]
SUFFIX = re.compile(r"_(total|bucket|sum|count)$")


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target["expr"][:40])
def test_each_query_uses_metrics_and_labels_of_the_bot(target):
    names = re.findall(r"\b(?:atelier|process)_\w+", target["expr"])
    families = {name if name in METRICS else SUFFIX.sub("", name) for name in names if name.startswith("atelier_")}
    assert names
    assert families <= METRICS.keys()
    labels = {label for family in families for label in METRICS[family]} | {"le", "job", "reason"} | families
    used = re.findall(r"(\w+)=", target["expr"]) + re.findall(r"by \((\w+)\)", target["expr"])
    assert set(used) <= labels
    assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels


def test_each_state_exists():
    states = {state for target in TARGETS for state in re.findall(r'state="(\w+)"', target["expr"])}
    assert states <= {state.value for state in JobState} | set(WORKER_STATES.values())
    assert "ready" in WORKER_STATES.values()


def test_every_metric_of_the_bot_is_on_the_dashboard():
    asked = " ".join(target["expr"] for target in TARGETS)
    assert [name for name in METRICS if name not in asked] == []


def test_the_panels_do_not_overlap():
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [
        (x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
