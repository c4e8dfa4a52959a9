"""A machine of a cluster: how it describes itself, and its own settings."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from generation.cluster.inventory import Inventory, take_inventory
from generation.cluster.versions import Versions
from generation.models.adapters import scan_adapters
from generation.models.registry import ModelRegistry

SETTINGS_VARIABLE = "ATELIER_NODE"  # JSON of `NodeSettings`, in the environment of a node's processes
RESOURCE = "atelier"  # one for each device
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")  # what Ray allows in a label
NAME_TAKEN = "another has this name: set NODE_NAME on one of them, unless it is itself, from before a loss."


@dataclass(frozen=True, slots=True)
class Node:
    """A machine that has joined: `id` is Ray's, and new each time; `name` is what people call it."""

    id: str
    name: str
    address: str
    devices: int
    versions: Versions

    @property
    def worker_names(self) -> tuple[str, ...]:
        """Return what the worker of each device is called."""
        numbers = range(1, self.devices + 1)
        return (self.name,) if self.devices == 1 else tuple(f"{self.name}-{number}" for number in numbers)

    @property
    def names(self) -> set[str]:
        """Return every name by which people call this machine or a worker of it."""
        return {self.name, *self.worker_names}

    def problems(self, versions: Versions, others: Iterable[Node]) -> list[str]:
        """Return what to change on this machine, so that it fits a bot with these versions, and the `others` there."""
        taken = {name for other in others if other.id != self.id for name in other.names}
        return self.versions.mismatches(versions) + ([NAME_TAKEN] if self.names & taken else [])


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """The settings of a node's own `.env` that matter for generating; paths are those of that machine."""

    models: tuple[str, ...]
    devices: tuple[str, ...]
    loras: str = ""
    embeddings: str = ""
    controls: str = ""
    image_adapters: str = ""
    upscaler: str = ""
    classifier: str = ""
    describer: str = ""
    threads: int = 0
    memory: int = 0
    capacity: int = 0
    compile_unets: bool = False
    fp8: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> NodeSettings:
        """Return the settings that `cluster join` left in the environment."""
        values: dict[str, Any] = json.loads(environment[SETTINGS_VARIABLE])
        return cls(**{**values, "models": tuple(values["models"]), "devices": tuple(values["devices"])})

    def as_environment(self) -> dict[str, str]:
        """Return the environment that gives these settings to a node's processes."""
        return {SETTINGS_VARIABLE: json.dumps(asdict(self))}

    def load_registry(self) -> ModelRegistry:
        """Describe this machine's models and adapters. Raises like `ModelRegistry.from_refs` and `scan_adapters`."""
        folders = self.loras, self.embeddings, self.controls, self.image_adapters
        adapters, _ = scan_adapters(*map(_path, folders))
        return ModelRegistry.from_refs(self.models, adapters)

    def take_inventory(self) -> Inventory:
        """Return what this machine can generate with."""
        return take_inventory(self.load_registry(), self.classifier, _path(self.upscaler), self.describer)


def labels_of(name: str, versions: Versions) -> str:
    """Return the labels of a node as Ray's command line takes them."""
    labels = {"atelier-name": name, **versions.as_labels()}
    return ",".join(f"{key}={value}" for key, value in labels.items())


def node_from_ray(found: Mapping[str, Any]) -> Node | None:
    """Return a node as `ray.nodes()` describes it; None for the head and for machines that are gone."""
    labels, devices = found["Labels"], int(found["Resources"].get(RESOURCE, 0))
    if not found["Alive"] or not devices or "atelier-name" not in labels:
        return None
    versions = Versions.from_labels(labels)
    return Node(found["NodeID"], labels["atelier-name"], found["NodeManagerAddress"], devices, versions)


def restricted(registry: ModelRegistry, models: frozenset[str]) -> ModelRegistry:
    """Return a registry with some of its models only, in the same order."""
    return replace(registry, models=tuple(model for model in registry.models if model.name in models))


def _path(text: str) -> Path | None:
    return Path(text) if text else None
