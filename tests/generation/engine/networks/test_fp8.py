"""UNets multiply in 8 bits where FP8=yes asks for it, on devices that can, and LoRAs and compiling work on top."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Linear

from generation.engine.denoising.engine import DenoisingEngine
from generation.engine.device.availability import DeviceUnavailable
from generation.engine.networks.compiled import BLOCKS, compile_blocks
from generation.engine.networks.fp8 import FP8, Fp8Linear, round_rows, use_fp8
from generation.engine.networks.lora import with_loras
from generation.engine.networks.pipeline_loader import Pipeline, load_pipeline
from generation.engine.serving.model_loader import LoadedModel, ModelLoader
from generation.models.files.lora import Lora
from tests.support.engine_harness import EngineHarness, assert_close, make_params, make_request
from tests.support.lora_file import merge_loras, random_layers, write_kohya
from tests.support.tiny_model import build_tiny_model

QUERY = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
CONV = "mid_block.resnets.0.conv1"


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny pipeline whose layers are as wide as those that are rounded: multiples of 16."""
    return build_tiny_model(tmp_path_factory.mktemp("wide"), channels=(16, 32))


@pytest.fixture(scope="module")
def exact(tiny_model: Path) -> Pipeline:
    return load_pipeline(str(tiny_model), "cpu", lambda _: None, torch.float32)


@pytest.fixture
def rounded(tiny_model: Path) -> Pipeline:
    return load_pipeline(str(tiny_model), "cpu", lambda _: None, torch.float32, fp8=True)


def sample(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(64,), (1, 64), (5, 64), (2, 7, 64), (2, 3, 4, 64)])
def test_a_layer_multiplies_its_rounded_weights_and_inputs(shape: tuple[int, ...], bias: bool) -> None:
    layer, values = Linear(64, 48, bias=bias), sample(*shape)
    weight, scales = round_rows(layer.weight.detach())
    rows, row_scales = round_rows(values.reshape(-1, 64))
    wanted = (rows.float() * row_scales) @ (weight.float() * scales).T
    output = Fp8Linear(layer)(values)
    assert output.shape == (*shape[:-1], 48) and output.dtype is torch.float32
    assert_close(output, (wanted + (layer.bias if bias else 0)).view(output.shape), 1 / 256)  # a product is in bfloat16


def test_rounding_keeps_each_row_within_its_scale() -> None:
    values = sample(8, 64) * torch.logspace(-6, 6, 8)[:, None]
    rows, scales = round_rows(values)
    assert rows.dtype is FP8 and rows.float().isfinite().all()
    assert ((rows.float() * scales - values).abs() <= values.abs() / 16 + scales / 512).all()
    zeros, scales = round_rows(torch.zeros(2, 16))
    assert not zeros.float().any() and scales.isfinite().all()


@torch.inference_mode()
def test_a_row_is_the_same_beside_one_that_is_a_thousand_times_larger() -> None:
    layer, row = Fp8Linear(Linear(64, 48)), sample(1, 64)
    beside = layer(torch.cat([row, 1000 * sample(1, 64, seed=1)]))
    assert_close(layer(row), beside[:1], 1e-6)


def test_the_linear_layers_of_the_transformers_are_rounded_and_no_others(rounded: Pipeline) -> None:
    layers = {name: layer for name, layer in rounded.unet.named_modules() if isinstance(layer, Linear)}
    rounded_names = {name for name, layer in layers.items() if isinstance(layer, Fp8Linear)}
    of_texts = {name for name in layers if name.endswith(("attn2.to_k", "attn2.to_v"))}
    assert rounded_names == {name for name in layers if "attentions" in name} - of_texts != set()
    assert rounded.unet.dtype is torch.float32


def test_layers_of_other_widths_than_multiples_of_16_stay_as_they_are(tiny_model: Path) -> None:
    narrow = load_pipeline(str(tiny_model), "cpu", lambda _: None, torch.float32).unet
    block = narrow.get_submodule("mid_block.attentions.0.transformer_blocks.0")
    block.attn1.to_k = Linear(24, block.attn1.to_k.out_features)
    use_fp8(narrow)
    assert type(block.attn1.to_k) is Linear
    assert type(block.attn1.to_v) is Fp8Linear


def test_the_weights_take_a_quarter_of_the_memory_in_the_budget(exact: Pipeline, rounded: Pipeline) -> None:
    layers = [layer for layer in rounded.unet.modules() if isinstance(layer, Fp8Linear)]
    saved = sum(3 * layer.weight.numel() - layer.weight_scales.nbytes for layer in layers)
    before, after = (LoadedModel(each.model, [each.unet], DenoisingEngine).size for each in (exact, rounded))
    assert saved and before - after == saved


def test_pictures_are_nearly_those_of_full_precision(exact: Pipeline, rounded: Pipeline) -> None:
    wanted, latents = draw(exact), draw(rounded)
    assert_close(latents, wanted, 0.1)
    assert (latents - wanted).abs().max() > 1e-4, "it multiplies in 8 bits"


def test_a_tile_is_the_same_alone_and_beside_other_jobs(rounded: Pipeline) -> None:
    alone = draw(rounded)
    harness = EngineHarness(rounded)
    harness.generate(make_request("a"), make_request("b", make_params("a blue moon", seed=9, guidance_scale=9.0)))
    harness.close()
    assert_close(harness.latents["a"], alone, 0.02)  # one bit less or more of bfloat16 may round otherwise


def test_a_lora_works_beside_rounded_weights(exact: Pipeline, rounded: Pipeline, tmp_path: Path) -> None:
    layers = random_layers(exact, 3, unet=(QUERY, CONV))
    lora = Lora("ink", write_kohya(tmp_path / "ink.safetensors", layers))
    wanted, latents = draw(merge_loras(exact, (layers, 1.0))), draw(with_loras(rounded, [(lora, 1.0)]))
    assert_close(latents, wanted, 0.1)
    assert (draw(exact) - wanted).abs().max() > (latents - wanted).abs().max(), "the LoRA changes the picture more"


def test_compiled_blocks_have_the_same_layers_in_one_graph(rounded: Pipeline) -> None:
    middle = rounded.unet.mid_block  # which has every kind of block that is compiled
    assert {type(each).__name__ for each in rounded.unet.modules()} & BLOCKS == {
        type(each).__name__ for each in middle.modules()
    } & BLOCKS
    given, text = (sample(2, 32, 4, 4), sample(2, 64)), sample(2, 77, 16)
    compiled = compile_blocks(middle, backend="aot_eager", fullgraph=True)
    with torch.inference_mode():
        assert_close(compiled(*given, encoder_hidden_states=text), middle(*given, encoder_hidden_states=text), 0.02)


def test_a_device_that_cannot_is_refused_in_one_sentence() -> None:
    with pytest.raises(DeviceUnavailable) as refused:
        ModelLoader("cpu", fp8=True)
    assert str(refused.value).startswith("FP8=yes, but cpu cannot multiply in 8 bits: it needs an NVIDIA GPU")
    assert "\n" not in str(refused.value)


def draw(pipeline: Pipeline, **changes: Any) -> Tensor:
    harness = EngineHarness(pipeline)
    harness.generate(make_request("a", make_params(**changes)))
    harness.close()
    return harness.latents["a"]
