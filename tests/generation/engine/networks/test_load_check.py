"""The doctor finds without the weights what loading would find with them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import diffusers
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError
from safetensors.torch import load_file, save_file

from bot.doctor.model import check_model, check_models_load
from bot.doctor.result import CheckStatus
from generation.engine.networks.load_check import find_load_problem
from generation.engine.serving.model_loader import ModelLoader
from generation.errors import ModelUnreachable, UserError
from generation.models.model import EMBEDDED, describe_model
from tests.support.tiny_xl import build_tiny_xl


def test_complete_models_have_no_problem(
    tiny_model: Path,
    first: tuple[Path, Path],
    second: tuple[Path, Path],
    third: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    for ref in (EMBEDDED, tiny_model, build_tiny_xl(tmp_path / "xl"), *first, *second, *third, "nobody/has-this"):
        assert find_load_problem(describe_model(str(ref))) is None


UNET = Path("unet", "diffusion_pytorch_model.safetensors")


def _change(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    weights = load_file(path)
    change(weights)
    save_file(weights, path)


def _configure(part: Path, **settings: object) -> None:
    config = part / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | settings))


def _describe_differently(model: Path) -> None:
    _configure(model / "unet", block_out_channels=[16, 16])


HARMLESS = ("an empty vocabulary", "files of macOS", "a list beside")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a missing weight": lambda model: _change(model / UNET, lambda weights: weights.pop("conv_in.bias")),
    "another shape": _describe_differently,
    "a text encoder without weights": lambda model: _change(
        model / "text_encoder" / "model.safetensors", lambda weights: weights.pop(max(weights))
    ),
    "an empty vocabulary": lambda model: [path.unlink() for path in (model / "tokenizer").glob("[mv]*")],
    "a tokenizer of another program": lambda model: (model / "tokenizer" / "tokenizer.json").write_text("{}"),
    "weights of eight bits": lambda model: _change(
        model / UNET, lambda weights: weights.update({name: each.to(torch.int8) for name, each in weights.items()})
    ),
    "a quantised UNet": lambda model: _configure(
        model / "unet", quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True}
    ),
    "a quantised text encoder": lambda model: _configure(
        model / "text_encoder", quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True}
    ),
    "a VAE with more channels": lambda model: _configure(model / "vae", latent_channels=16),
    "files of macOS": lambda model: (model / "unet" / "._config.json").write_bytes(b"\0\5\x16\7\xff"),
    "a list beside": lambda model: (model / "unet" / "notes.json").write_text("[1]"),
    "an odd configuration": lambda model: (model / "vae" / "config.json").write_text('{"block_out_channels": [3, 5]}'),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_the_doctor_and_the_worker_agree(tiny_model: Path, tmp_path: Path, name: str) -> None:
    model = shutil.copytree(tiny_model, tmp_path / "model")
    DAMAGES[name](model)
    try:
        ModelLoader("cpu").load(describe_model(str(model)), lambda _: None)
    except UserError as error:
        worker = str(error)
    else:
        worker = ""
    problem = find_load_problem(describe_model(str(model)))
    assert (problem is None) == (worker == "")
    assert name in HARMLESS or worker
    assert "for inpainting" not in worker


def test_the_doctor_calls_a_refiner_a_refiner(tmp_path: Path) -> None:
    model = build_tiny_xl(tmp_path)
    index = json.loads((model / "model_index.json").read_text())
    (model / "model_index.json").write_text(json.dumps(index | {"text_encoder": [None, None], "tokenizer": None}))
    (found,) = check_model(str(model))
    assert (found.status, "is a refiner" in found.text) == (CheckStatus.FAILED, True)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_named(tiny_model: Path, tmp_path: Path, part: str, value: float) -> None:
    model = shutil.copytree(tiny_model, tmp_path / "model")
    (file,) = (model / part).glob("*.safetensors")
    _change(file, lambda weights: weights[max(weights)].view(-1)[:1].fill_(value))
    with pytest.raises(UserError, match=rf"the {part} of .* has values that are no numbers"):
        ModelLoader("cpu").load(describe_model(str(model)), lambda _: None)


LOST = (
    "model.diffusion_model.out.2.bias",
    "first_stage_model.decoder.conv_in.bias",
    "cond_stage_model.transformer.text_model.final_layer_norm.bias",
)


@pytest.mark.parametrize("lost", LOST)
def test_the_doctor_finds_what_a_single_file_lacks(first: tuple[Path, Path], tmp_path: Path, lost: str) -> None:
    file, weights = tmp_path / "it.safetensors", load_file(first[1])
    del weights[lost]
    save_file(weights, file)
    with pytest.raises(UserError) as worker:
        ModelLoader("cpu").load(describe_model(str(file)), lambda _: None)
    assert str(find_load_problem(describe_model(str(file)))) == str(worker.value)


async def test_the_doctor_says_why_a_model_cannot_be_loaded(tiny_model: Path, tmp_path: Path) -> None:
    model = shutil.copytree(tiny_model, tmp_path / "model")
    _describe_differently(model)
    assert check_model(str(model))[0].status is CheckStatus.PASSED
    (found,) = await check_models_load([EMBEDDED, str(model), "nobody/has-this-model", str(tmp_path / "gone")])
    assert (found.status, "weights of another shape" in found.text) == (CheckStatus.FAILED, True)


async def test_nothing_is_loaded_for_models_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")  # then Python ends before it runs anything
    assert await check_models_load([str(tmp_path / "gone")]) == []


async def test_a_check_that_ends_without_a_result_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")  # then Python ends before it runs anything
    (found,) = await check_models_load([EMBEDDED])
    assert (found.status, "the check of the models ended" in found.text) == (CheckStatus.FAILED, True)


@pytest.mark.parametrize(
    ("cause", "says"),
    [
        (LocalEntryNotFoundError("no connection"), "somebody/dreams is not on this machine, and huggingface.co cannot"),
        (RepositoryNotFoundError.__new__(RepositoryNotFoundError), "huggingface.co has no somebody/dreams, or only"),
    ],
)
def test_a_model_that_cannot_be_downloaded_is_not_said_to_lack_a_file(
    cause: Exception, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """diffusers says of every failure at the hub that a file is missing; a later try may succeed."""

    def fail(ref: str) -> None:
        try:
            raise cause
        except (LocalEntryNotFoundError, RepositoryNotFoundError):
            raise OSError(f"{ref} does not appear to have a file named model_index.json.")  # noqa: B904

    monkeypatch.setattr(diffusers.DiffusionPipeline, "load_config", fail)
    model = replace(describe_model("storybook"), ref="somebody/dreams")
    with pytest.raises(ModelUnreachable, match=re.escape(says)):
        ModelLoader("cpu").load(model, lambda _: None)
