"""Find out whether a model on this machine can be loaded, without its weights: by the shapes in the files' headers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from accelerate import init_empty_weights
from torch import Tensor

from generation.engine.networks.ldm_checkpoint import LdmCheckpoint
from generation.engine.networks.pipeline_loader import DiffusersLayout
from generation.engine.networks.text_encoder_files import SkipInitialization
from generation.errors import UserError, first_line
from generation.models.catalogue import PIPELINE_ONLY
from generation.models.files.checkpoint import inspect_checkpoint
from generation.models.files.model_files import WEIGHT_FILES, check_model_files, weight_files
from generation.models.files.safetensors_header import read_header
from generation.models.model import Model

Shapes = Mapping[str, tuple[int, ...]]


def find_load_problem(model: Model) -> UserError | None:
    """Return why a model could not be loaded; None if it can, as far as this is known without its weights."""
    try:
        check_model_files(model)
        path = Path(model.ref)
        if path.is_file():
            _check_file(path, model)
        elif path.is_dir() and model.family not in PIPELINE_ONLY:
            _check_folder(path, model)
    except UserError as error:
        return error
    except OSError as error:  # it is not on this machine, or not complete
        return None if not Path(model.ref).exists() else UserError(f"{model.ref} cannot be loaded: {first_line(error)}")
    except Exception as error:  # the libraries raise many kinds of errors for odd files
        return UserError(f"{model.ref} cannot be loaded: {type(error).__name__}: {first_line(error)}")
    return None


def _check_file(path: Path, model: Model) -> None:
    shapes = read_header(path).shapes
    weights = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    checkpoint = LdmCheckpoint(inspect_checkpoint(path), model, weights)
    for part in checkpoint.parts:
        checkpoint.load(part, torch.float32)


def _check_folder(folder: Path, model: Model) -> None:
    layout = DiffusersLayout(model)
    for part in layout.parts:
        if part not in WEIGHT_FILES:
            layout.load(part, torch.float32)
            continue
        present = {
            name: shape
            for file in weight_files(folder / part, WEIGHT_FILES[part])
            for name, shape in read_header(file).shapes.items()
        }
        _require_shapes(folder / part, dict(_expected(layout, part)), present)


def _expected(layout: DiffusersLayout, part: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the weights that a network's configuration asks for."""
    with init_empty_weights(), SkipInitialization():
        network = layout.build(part)
    weights: dict[str, Tensor] = network.state_dict()
    yield from ((name, tuple(weight.shape)) for name, weight in weights.items())


def _require_shapes(folder: Path, expected: Shapes, present: Shapes) -> None:
    """Raise UserError where the weights in a folder are not those of its configuration."""
    plain = {_plain(name): shape for name, shape in present.items()}
    for name, shape in expected.items():
        found = plain.get(_plain(name))
        if found is None and not name.endswith("position_ids") and not _has_old_names(present):
            missing = sum(_plain(each) not in plain for each in expected)
            raise UserError(f"{folder} lacks {missing} of its weights, {name} among them.")
        if found is not None and found != shape:
            raise UserError(
                f"{folder} has weights of another shape than its config.json says: {name} is {found}, not {shape}."
            )


def _plain(name: str) -> str:
    return name.removeprefix("text_model.")  # only some releases of transformers have it


def _has_old_names(present: Shapes) -> bool:
    """Return whether attention layers have the names of early releases, which diffusers translates."""
    return any(name.endswith(".query.weight") for name in present)
