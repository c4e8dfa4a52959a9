"""LoRAs generate what their matrices, merged into the model's weights, would generate."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from generation.engine.networks.pipeline_loader import Pipeline, load_pipeline
from generation.messages import Event, Failed, FailureReason, Finished
from generation.models.adapters import Adapters
from generation.models.files.lora import describe_lora
from generation.models.registry import ModelRegistry
from generation.params import LoraWeight, Params
from generation.worker.engine_loader import load_engine
from tests.support.engine_harness import EngineHarness, assert_close, make_params, make_request
from tests.support.lora_file import (
    CONVOLUTIONS,
    LINEAR,
    TEXT_LAYERS,
    Layers,
    merge_loras,
    random_layers,
    write_kohya,
    write_peft,
)
from tests.support.tiny_xl import build_tiny_xl

ALL = {"unet": (*LINEAR, *CONVOLUTIONS), "text_encoder": TEXT_LAYERS}


@contextmanager
def _harness(pipeline: Pipeline, *files: Path) -> Iterator[EngineHarness]:
    harness = EngineHarness(pipeline, adapters=Adapters(tuple(describe_lora(path, path.stem) for path in files)))
    yield harness
    harness.close()


def _params(*loras: tuple[str, float], **changes: object) -> Params:
    return make_params(num_inference_steps=2, loras=tuple(LoraWeight(*use) for use in loras), **changes)


def _latents(pipeline: Pipeline, wanted: Params, *files: Path) -> Tensor:
    with _harness(pipeline, *files) as harness:
        harness.generate(make_request("a", wanted))
        return harness.latents["a"]


@pytest.fixture(scope="module")
def layers(pipeline: Pipeline) -> Layers:
    return random_layers(pipeline, 1, **ALL)


@pytest.fixture(scope="module")
def file(layers: Layers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_kohya(tmp_path_factory.mktemp("loras") / "one.safetensors", layers)


@pytest.fixture(scope="module")
def other_layers(pipeline: Pipeline) -> Layers:
    return random_layers(pipeline, 2, rank=3, unet=LINEAR)


@pytest.fixture(scope="module")
def other_file(other_layers: Layers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_kohya(tmp_path_factory.mktemp("loras") / "two.safetensors", other_layers)


@pytest.mark.parametrize("weight", [0.6, -0.5])
def test_a_lora_acts_as_if_it_were_merged_into_the_weights(
    pipeline: Pipeline, layers: Layers, file: Path, weight: float
) -> None:
    mine = _latents(pipeline, _params(("one", weight)), file)
    assert_close(mine, _latents(merge_loras(pipeline, (layers, weight)), _params()))
    assert (mine - _latents(pipeline, _params())).abs().max() > 0.1


@pytest.mark.parametrize("network", ["unet", "text_encoder"])
def test_each_network_can_be_changed_alone(pipeline: Pipeline, tmp_path: Path, network: str) -> None:
    layers = random_layers(pipeline, 3, **{network: ALL[network]})
    path = write_kohya(tmp_path / "half.safetensors", layers)
    mine = _latents(pipeline, _params(("half", 1.0)), path)
    assert_close(mine, _latents(merge_loras(pipeline, (layers, 1.0)), _params()))
    assert (mine - _latents(pipeline, _params())).abs().max() > 0.01


def test_diffusers_layout_has_the_same_effect_as_kohyas(
    pipeline: Pipeline, layers: Layers, file: Path, tmp_path: Path
) -> None:
    path = write_peft(tmp_path / "peft.safetensors", layers)
    assert_close(
        _latents(pipeline, _params(("peft", 0.8)), path), _latents(pipeline, _params(("one", 0.8)), file), 1e-5
    )


def test_pefts_metadata_gives_the_alpha_where_a_layer_has_none(
    pipeline: Pipeline, layers: Layers, file: Path, tmp_path: Path
) -> None:
    bare = {key: replace(weights, alpha=float(len(weights.down))) for key, weights in layers.items()}
    alpha = next(iter(layers.values())).alpha
    noted = {"unet.lora_alpha": 9.0, "unet.alpha_pattern": {path: alpha for _, path in layers}}
    metadata = {"lora_adapter_metadata": json.dumps(noted | {"text_encoder.lora_alpha": alpha})}
    path = write_peft(tmp_path / "noted.safetensors", bare, **metadata)
    assert_close(
        _latents(pipeline, _params(("noted", 1.0)), path), _latents(pipeline, _params(("one", 1.0)), file), 1e-5
    )


def test_a_weight_of_zero_changes_nothing(pipeline: Pipeline, file: Path) -> None:
    assert torch.equal(_latents(pipeline, _params(("one", 0.0)), file), _latents(pipeline, _params()))


def test_several_loras_add_up_in_any_order(
    pipeline: Pipeline, layers: Layers, other_layers: Layers, file: Path, other_file: Path
) -> None:
    both = _latents(pipeline, _params(("one", 0.5), ("two", 0.7)), file, other_file)
    assert_close(both, _latents(merge_loras(pipeline, (layers, 0.5), (other_layers, 0.7)), _params()))
    assert torch.equal(both, _latents(pipeline, _params(("two", 0.7), ("one", 0.5)), file, other_file))


def test_jobs_with_different_loras_do_not_affect_each_other(pipeline: Pipeline, file: Path, other_file: Path) -> None:
    jobs = {"a": _params(("one", 1.0)), "b": _params(("two", 1.0)), "c": _params(), "d": _params(("one", 0.3))}
    with _harness(pipeline, file, other_file) as harness:
        harness.generate(*(make_request(name, wanted) for name, wanted in jobs.items()))
        together = dict(harness.latents)
    for name, wanted in jobs.items():
        assert_close(together[name], _latents(pipeline, wanted, file, other_file), 1e-5)


def test_jobs_with_the_same_loras_share_their_calls(pipeline: Pipeline, file: Path) -> None:
    with _harness(pipeline, file) as harness:
        requests = [make_request(name, _params(("one", 0.5), seed=seed)) for name, seed in (("a", 1), ("b", 2))]
        harness.generate(requests[0])  # so that the files are read
        harness.calls.clear()
        harness.generate(*(replace(request, job_id=f"{request.job_id}2") for request in requests))
        assert 4 in harness.calls, "two texts for each of two jobs"


def test_a_lora_applies_to_a_seamless_texture_too(pipeline: Pipeline, layers: Layers, file: Path) -> None:
    mine = _latents(pipeline, _params(("one", 1.0), seamless=True), file)
    assert_close(mine, _latents(merge_loras(pipeline, (layers, 1.0)), _params(seamless=True)))
    assert (mine - _latents(pipeline, _params(("one", 1.0)), file)).abs().max() > 0.01


def test_the_middle_matrix_of_a_convolution_is_applied(pipeline: Pipeline, tmp_path: Path) -> None:
    layers = random_layers(pipeline, 4, unet=CONVOLUTIONS[:1])
    (((_, path), weights),) = layers.items()
    first, middle = torch.randn(3, weights.down.shape[1], 1, 1), torch.randn(2, 3, 3, 3)
    name = f"lora_unet_{path.replace('.', '_')}"
    matrices = {"lora_down": first, "lora_mid": middle, "lora_up": weights.up}
    file = tmp_path / "mid.safetensors"
    save_file({f"{name}.{kind}.weight": tensor for kind, tensor in matrices.items()}, file)
    whole = torch.nn.functional.conv2d(middle, first.permute(1, 0, 2, 3).reshape(-1, 3, 1, 1))
    alike = {("unet", path): replace(weights, down=whole, alpha=2.0)}
    assert_close(
        _latents(pipeline, _params(("mid", 1.0)), file), _latents(merge_loras(pipeline, (alike, 1.0)), _params())
    )


def test_both_text_encoders_of_xl_are_changed(tmp_path: Path) -> None:
    pipeline = load_pipeline(str(build_tiny_xl(tmp_path / "xl")), "cpu", lambda _: None, torch.float32)
    linear = ("down_blocks.1.attentions.0.proj_in", "mid_block.attentions.0.transformer_blocks.1.attn2.to_k")
    layers = random_layers(pipeline, 5, unet=linear, text_encoder=TEXT_LAYERS, text_encoder_2=TEXT_LAYERS)
    path = write_kohya(tmp_path / "of_xl.safetensors", layers)
    mine = _latents(pipeline, _params(("of_xl", 0.7)), path)
    assert_close(mine, _latents(merge_loras(pipeline, (layers, 0.7)), _params()))
    without = {key: weights for key, weights in layers.items() if key[0] != "text_encoder_2"}
    assert (mine - _latents(merge_loras(pipeline, (without, 0.7)), _params())).abs().max() > 1e-3


def test_a_file_that_is_damaged_later_fails_only_its_jobs(pipeline: Pipeline, file: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(file.read_bytes())
    with _harness(pipeline, path) as harness:
        path.write_bytes(file.read_bytes()[:-100])
        failed, _ = harness.generate(make_request("a", _params(("cut", 1.0))), make_request("b", _params()))
        assert failed == Failed("a", FailureReason.USER_ERROR, "The file of the LoRA cut is missing or damaged.")
        assert "b" in harness.latents


def test_a_lora_for_another_kind_of_model_is_a_user_error(pipeline: Pipeline, layers: Layers, tmp_path: Path) -> None:
    wide = {key: replace(weights, down=torch.randn(2, 999)) for key, weights in [*layers.items()][:1]}
    unknown = {("unet", "down_blocks.7.resnets.0.conv1"): next(iter(layers.values()))}
    second = {("text_encoder_2", TEXT_LAYERS[0]): next(iter(layers.values()))}
    for number, wrong in enumerate((wide, unknown, second)):
        with _harness(pipeline, write_kohya(tmp_path / f"w{number}.safetensors", wrong)) as harness:
            (end,) = harness.generate(make_request("a", _params((f"w{number}", 1.0))))
        text = f"The LoRA w{number} does not fit tiny: it was made for another kind of model."
        assert end == Failed("a", FailureReason.USER_ERROR, text)


def test_a_lora_that_was_removed_is_a_user_error(pipeline: Pipeline) -> None:
    with _harness(pipeline) as harness:
        (end,) = harness.generate(make_request("a", _params(("gone", 1.0))))
        assert end == Failed(
            "a", FailureReason.USER_ERROR, "This was drawn with the LoRA gone, which is no longer installed."
        )


def test_layers_that_generation_does_not_use_are_ignored(
    pipeline: Pipeline, layers: Layers, file: Path, tmp_path: Path
) -> None:
    tensors = load_file(file)
    spare = {
        f"lora_te_text_model_encoder_layers_23_mlp_fc1.{kind}.weight": torch.ones(1, 1)
        for kind in ("lora_down", "lora_up")
    }
    path = tmp_path / "more.safetensors"
    save_file(tensors | spare, path)
    assert torch.equal(
        _latents(pipeline, _params(("more", 1.0)), path), _latents(pipeline, _params(("one", 1.0)), file)
    )


def test_the_engine_of_the_gpu_process_has_the_registrys_loras(
    tiny_model: Path, pipeline: Pipeline, file: Path
) -> None:
    finished: dict[str, Finished] = {}

    def emit(event: Event) -> None:
        if isinstance(event, Finished):
            finished[event.job_id] = event

    registry = ModelRegistry.from_refs([str(tiny_model)], Adapters((describe_lora(file, "one"),)))
    engine = load_engine(registry, "cpu", 1, emit)
    for name, wanted in (("with", _params(("one", 1.0))), ("without", _params())):
        engine.add(make_request(name, wanted))
    while engine.busy:
        engine.step()
    engine.close()
    assert finished["with"].grid.tiles != finished["without"].grid.tiles
