"""Every layout of a LoRA file changes the networks as its matrices, merged into the weights, would."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from generation.engine.conditioning.textual_inversion import with_embeddings
from generation.engine.networks.lora import with_loras
from generation.engine.networks.pipeline_loader import Pipeline, load_pipeline
from generation.errors import UserError
from generation.models.adapters import scan_adapters
from generation.models.files.lora import describe_lora
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

TIME = ("time_embedding.linear_1", "time_embedding.linear_2", "conv_in")
WEIGHT = 0.7


@pytest.fixture(scope="module")
def layers(pipeline: Pipeline) -> Layers:
    return random_layers(pipeline, 1, rank=4, unet=(*LINEAR, *CONVOLUTIONS, *TIME), text_encoder=TEXT_LAYERS)


@torch.inference_mode()
def _outputs(pipeline: Pipeline) -> list[Tensor]:
    """Return what the text encoders and the UNet make of the same inputs."""
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(0, 200, (1, 77), generator=generator)
    texts = [encoder(ids).last_hidden_state for encoder in pipeline.text_encoders]
    sample = torch.randn(1, 4, 8, 8, generator=generator)
    context = torch.randn(1, 77, pipeline.unet.config.cross_attention_dim, generator=generator)
    added: dict[str, Any] = {}
    if pipeline.text_encoder_2 is not None:
        pooled = pipeline.text_encoder_2.config.projection_dim
        added = {"text_embeds": torch.randn(1, pooled, generator=generator), "time_ids": torch.ones(1, 6)}
    return [*texts, pipeline.unet(sample, 400, context, added_cond_kwargs=added).sample]


def _assert_same_change(pipeline: Pipeline, path: Path, expected: Pipeline) -> None:
    loaded = _outputs(with_loras(pipeline, [(describe_lora(path, "it"), WEIGHT)]))
    for mine, wanted, before in zip(loaded, _outputs(expected), _outputs(pipeline), strict=True):
        change = (wanted - before).abs().max()
        assert change > 1e-3
        assert (mine - wanted).abs().max() < 1e-3 * change


def _renamed(path: Path, rename: Callable[[str], str]) -> Path:
    tensors = load_file(path)
    save_file({rename(key): tensor.clone() for key, tensor in tensors.items()}, path)
    return path


def _comfy(key: str) -> str:
    """Name a tensor of diffusers' layout as ComfyUI's LoraSave does."""
    key = key.replace("lora_A", "lora_down").replace("lora_B", "lora_up")
    for network, clip in (("text_encoder_2", "clip_g"), ("text_encoder", "clip_l")):
        key = key.replace(f"{network}.text_model", f"text_encoders.{clip}.transformer.text_model")
    return key


RENAMES: dict[str, Callable[[str], str]] = {
    "diffusers": lambda key: key,
    "an adapter's name": lambda key: key.replace(".weight", ".ink-2.weight"),
    "ComfyUI": _comfy,
    "OMI": lambda key: key.replace("text_encoder.text_model", "clip_l.text_model"),
    "peft around diffusers": lambda key: f"base_model.model.{key}",
}


@pytest.mark.parametrize("layout", RENAMES)
def test_every_dotted_layout_is_read(pipeline: Pipeline, layers: Layers, tmp_path: Path, layout: str) -> None:
    path = _renamed(write_peft(tmp_path / "it.safetensors", layers), RENAMES[layout])
    _assert_same_change(pipeline, path, merge_loras(pipeline, (layers, WEIGHT)))


def test_kohyas_layout_may_change_all_layers(pipeline: Pipeline, layers: Layers, tmp_path: Path) -> None:
    _assert_same_change(
        pipeline, write_kohya(tmp_path / "it.safetensors", layers), merge_loras(pipeline, (layers, WEIGHT))
    )


@pytest.mark.parametrize("network", ["unet", "text_encoder"])
def test_files_of_one_network_need_not_name_it(
    pipeline: Pipeline, layers: Layers, tmp_path: Path, network: str
) -> None:
    mine = {key: weights for key, weights in layers.items() if key[0] == network}
    merged = _outputs(merge_loras(pipeline, (mine, WEIGHT)))
    dotted = _renamed(
        write_peft(tmp_path / "peft.safetensors", mine),
        lambda key: f"base_model.model.{key.removeprefix(f'{network}.')}",
    )
    lycoris = _renamed(
        write_kohya(tmp_path / "lycoris.safetensors", mine),
        lambda key: key.replace("lora_unet_", "lycoris_").replace("lora_te_", "lycoris_"),
    )
    for path in (dotted, lycoris):
        loaded = _outputs(with_loras(pipeline, [(describe_lora(path, "it"), WEIGHT)]))
        assert all(torch.allclose(*pair, atol=1e-4) for pair in zip(loaded, merged, strict=True))
    assert not all(torch.allclose(*pair, atol=1e-2) for pair in zip(merged, _outputs(pipeline), strict=True))


@pytest.mark.parametrize("stabilised", [False, True])
@pytest.mark.parametrize("beside", [False, True])
def test_pefts_settings_scale_the_matrices(
    pipeline: Pipeline, layers: Layers, tmp_path: Path, stabilised: bool, beside: bool
) -> None:
    """They are in the file or in adapter_config.json; a rank-stabilised LoRA is divided by the root of the rank."""
    alpha = 3.0
    effective = alpha * (2 if stabilised else 1)  # the root of rank 4
    bare = {key: replace(weights, alpha=float(len(weights.down))) for key, weights in layers.items()}
    settings = {"lora_alpha": alpha, "use_rslora": stabilised, "r": 4, "alpha_pattern": {}}
    noted = {f"{network}.{name}": value for network in ("unet", "text_encoder") for name, value in settings.items()}
    path = write_peft(
        tmp_path / "it.safetensors", bare, **({} if beside else {"lora_adapter_metadata": json.dumps(noted)})
    )
    if beside:
        _renamed(path, lambda key: f"base_model.model.{key}")
        (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    wanted = {key: replace(weights, alpha=effective) for key, weights in layers.items()}
    _assert_same_change(pipeline, path, merge_loras(pipeline, (wanted, WEIGHT)))


@pytest.mark.parametrize("stabilised", [False, True])
def test_peft_itself_agrees(pipeline: Pipeline, tmp_path: Path, stabilised: bool) -> None:
    """peft is the oracle: its own file, with its own settings beside it."""
    peft = pytest.importorskip("peft")
    import copy

    config = peft.LoraConfig(
        r=4, lora_alpha=3, use_rslora=stabilised, init_lora_weights=False, target_modules=["to_k", "to_q", "proj_in"]
    )
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = peft.get_peft_model(copy.deepcopy(pipeline.unet), config)
    model.save_pretrained(str(tmp_path))
    model.merge_adapter()
    lora = describe_lora(tmp_path / "adapter_model.safetensors", "it")
    theirs, mine = (_outputs(each)[-1] for each in (replace(pipeline, unet=model), with_loras(pipeline, [(lora, 1.0)])))
    assert torch.allclose(mine, theirs, atol=1e-4)
    assert not torch.allclose(theirs, _outputs(pipeline)[-1], atol=1e-2)


@pytest.mark.parametrize("layout", ["kohya", "ComfyUI"])
def test_both_text_encoders_of_xl_are_found(tmp_path: Path, layout: str) -> None:
    xl = load_pipeline(str(build_tiny_xl(tmp_path / "xl")), "cpu", lambda _: None, torch.float32)
    layers = random_layers(
        xl, 1, unet=("mid_block.attentions.0.proj_in",), text_encoder=TEXT_LAYERS, text_encoder_2=TEXT_LAYERS
    )
    path = tmp_path / "it.safetensors"
    if layout == "kohya":
        _renamed(write_kohya(path, layers), lambda key: key.replace("lora_te_", "lora_te1_"))
    else:
        _renamed(write_peft(path, layers), _comfy)
    _assert_same_change(xl, path, merge_loras(xl, (layers, WEIGHT)))


def test_long_notes_about_the_training_do_not_matter(pipeline: Pipeline, layers: Layers, tmp_path: Path) -> None:
    tags = json.dumps({"10_ink": {f"tag number {number:>200}": 1 for number in range(50_000)}})
    assert len(tags) > 10_000_000
    path = write_kohya(tmp_path / "it.safetensors", layers, ss_tag_frequency=tags)
    _assert_same_change(pipeline, path, merge_loras(pipeline, (layers, WEIGHT)))


@pytest.mark.parametrize(
    ("embeddings", "widths"),
    [
        ({"bundle_emb.moss.string_to_param.*": (2, 768)}, (768,)),
        ({"bundle_emb.moss.clip_l": (2, 768), "bundle_emb.moss.clip_g": (2, 1280)}, (768, 1280)),
    ],
)
def test_embeddings_inside_a_lora_are_words_of_prompts(
    pipeline: Pipeline, layers: Layers, tmp_path: Path, embeddings: dict[str, tuple[int, ...]], widths: tuple[int, ...]
) -> None:
    path = write_kohya(tmp_path / "it.safetensors", layers)
    save_file(load_file(path) | {key: torch.rand(shape) for key, shape in embeddings.items()}, path)
    _assert_same_change(pipeline, path, merge_loras(pipeline, (layers, WEIGHT)))
    adapters, unusable = scan_adapters(tmp_path, None)
    assert ([lora.name for lora in adapters.loras], unusable) == (["it"], ())
    (word,) = adapters.embeddings
    assert (word.name, word.widths, word.vectors) == ("moss", widths, 2)


def test_an_embedding_inside_a_lora_extends_the_encoder(pipeline: Pipeline, layers: Layers, tmp_path: Path) -> None:
    vectors = torch.randn(2, pipeline.text_encoder.config.hidden_size)
    path = write_kohya(tmp_path / "it.safetensors", layers)
    save_file(load_file(path) | {"bundle_emb.moss.string_to_param.*": vectors}, path)
    extended = with_embeddings(pipeline, scan_adapters(tmp_path, None)[0].embeddings)
    ids = torch.tensor(extended.tokenizer("<moss>", add_special_tokens=False).input_ids)
    assert torch.equal(extended.text_encoder.get_input_embeddings()(ids), vectors)


def test_two_files_of_xl_are_one_embedding(tmp_path: Path) -> None:
    for name, width in (("learned_embeds", 768), ("learned_embeds_2", 1280)):
        save_file({"<cat>": torch.full((1, width), float(width))}, tmp_path / f"{name}.safetensors")
    adapters, unusable = scan_adapters(None, tmp_path)
    assert unusable == ()
    (word,) = adapters.embeddings
    assert (word.name, word.widths, word.cross_attention_dim) == ("cat", (768, 1280), 2048)
    assert [load_file(path)[key][0, 0] for path, key in word.sources] == [768.0, 1280.0]


def _with(path: Path, **changes: Tensor | None) -> Path:
    """Change tensors of the first layer in a file of kohya's, named by their ends."""
    tensors = load_file(path)
    layer = min(tensors).partition(".")[0]
    for end, tensor in changes.items():
        key = f"{layer}.{end}" if end == "alpha" else f"{layer}.lora_{end}.weight"
        del tensors[key]
        if tensor is not None:
            tensors[key] = tensor
    save_file(tensors, path)
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"down": torch.ones(3, 16)}, "do not match"),
        ({"up": torch.ones(16, 4, 3, 3)}, "do not match"),
        ({"down": torch.ones(0, 16), "up": torch.ones(16, 0)}, "do not match"),
        ({"up": None}, "lacks one of the two matrices"),
        ({"alpha": torch.ones(2)}, "do not match"),
    ],
)
def test_matrices_that_do_not_belong_together_are_refused(
    pipeline: Pipeline, layers: Layers, tmp_path: Path, changes: dict[str, Tensor | None], message: str
) -> None:
    path = _with(write_kohya(tmp_path / "it.safetensors", layers), **changes)
    with pytest.raises(UserError, match=rf"it\.safetensors is damaged.*{message}"):
        describe_lora(path, "it")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_lora_whose_training_failed_is_named(
    pipeline: Pipeline, layers: Layers, tmp_path: Path, value: float
) -> None:
    path = write_kohya(tmp_path / "ink.safetensors", layers)
    lora = describe_lora(path, "ink")
    _with(path, alpha=torch.tensor(value))
    with pytest.raises(UserError, match=r"ink\.safetensors is unusable: .* no numbers"):
        describe_lora(path, "ink")
    with pytest.raises(UserError, match=r"The LoRA ink is unusable: .* no numbers"):
        with_loras(pipeline, [(lora, 1.0)])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"unet.use_dora": True}, "is a DoRA"),
        ({"unet.init_lora_weights": "pissa_niter_16"}, "changes the model"),
        ({"unet.lora_alpha": "much"}, "damaged"),
        ({"unet.lora_alpha": 1e999}, "damaged"),
        ({"unet.alpha_pattern": [1]}, "damaged"),
    ],
)
def test_settings_that_ask_for_more_are_refused(
    layers: Layers, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    path = write_peft(tmp_path / "it.safetensors", layers, lora_adapter_metadata=json.dumps(settings))
    with pytest.raises(UserError, match=message):
        describe_lora(path, "it")


def test_a_file_with_two_loras_is_refused(layers: Layers, tmp_path: Path) -> None:
    path = write_peft(tmp_path / "it.safetensors", layers)
    tensors = load_file(path)
    save_file(tensors | {key.replace(".weight", ".b.weight"): each.clone() for key, each in tensors.items()}, path)
    with pytest.raises(UserError, match="more than one LoRA"):
        describe_lora(path, "it")


def test_text_layers_of_another_kind_are_not_skipped(pipeline: Pipeline, layers: Layers, tmp_path: Path) -> None:
    path = _renamed(
        write_kohya(tmp_path / "it.safetensors", layers), lambda key: key.replace("self_attn_q", "attention_q")
    )
    with pytest.raises(UserError, match="does not fit tiny"):
        with_loras(pipeline, [(describe_lora(path, "it"), 1.0)])
