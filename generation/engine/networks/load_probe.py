"""Print what is wrong with models, one problem a line: python -m generation.engine.networks.load_probe MODEL…

The doctor runs this in a process of its own, since the bot's process does not import torch.
"""

from __future__ import annotations

import sys

from generation.engine.device.lean_imports import import_libraries, without_garbage_collection
from generation.errors import UserError
from generation.models.model import describe_model


def main(refs: list[str]) -> None:
    """Print the problems of the models at `refs`."""
    with without_garbage_collection():
        import_libraries()
        from generation.engine.networks.load_check import find_load_problem

    for ref in refs:
        try:
            problem: Exception | None = find_load_problem(describe_model(ref))
        except (UserError, OSError) as error:
            problem = error
        if problem:
            print(f"{ref}\t{' '.join(str(problem).split())}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
