"""Print results, and append them to a file at once: a part that is stopped keeps those it has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Results:
    """The results of one part."""

    def __init__(self, part: str, folder: Path) -> None:
        self.part, self.folder = part, folder

    def add(self, what: str, **facts: Any) -> None:
        """Print a result, and append it to results.jsonl."""
        print(f"{self.part}, {what}: " + ", ".join(f"{name} {value}" for name, value in facts.items()), flush=True)
        line = {"part": self.part, "what": what} | {name: str(value) for name, value in facts.items()}
        with (self.folder / "results.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
