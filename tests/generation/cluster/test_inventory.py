"""Two machines generate the same only with the same files: names alone do not tell."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from generation.cluster.inventory import SAMPLE_BYTES, SAMPLES, Inventory, common, take_inventory
from generation.messages import Offered
from generation.models.adapters import Adapters
from generation.models.files.controls import ControlNet
from generation.models.files.image_adapters import ImageAdapter, ImageEncoder
from generation.models.files.lora import Lora
from generation.models.model import EMBEDDED, Model
from generation.models.registry import ModelRegistry
from generation.params import ControlWeight, LoraWeight, PromptPart, ReadingKind, Upload
from generation.worker.offer import covers
from tests.generation.worker.test_worker import request


def inventory_of(*refs):
    return take_inventory(ModelRegistry.from_refs(map(str, refs)))


def test_a_copy_of_a_model_is_the_same_wherever_it_lies(tmp_path):
    copy = tmp_path / "elsewhere" / "storybook"
    shutil.copytree(EMBEDDED, copy)
    assert inventory_of(copy) == inventory_of(EMBEDDED)
    assert inventory_of(copy).problems(inventory_of(EMBEDDED)) == []


@pytest.mark.parametrize("changed", ["vae/diffusion_pytorch_model.safetensors", "atelier.json"])
def test_a_changed_file_of_a_model_is_another_model(tmp_path, changed):
    copy = tmp_path / "storybook"
    shutil.copytree(EMBEDDED, copy)
    file = copy / changed
    data = file.read_bytes()
    changed_data = data[:-1] + bytes([data[-1] ^ 1]) if file.suffix == ".safetensors" else data.replace(b"256", b"128")
    assert changed_data != data
    file.write_bytes(changed_data)
    assert common(inventory_of(copy).models, inventory_of(EMBEDDED).models) == frozenset()
    assert "none of the bot's models" in " ".join(inventory_of(copy).problems(inventory_of(EMBEDDED)))


def test_large_files_are_sampled_from_their_beginning_to_their_end(tmp_path):
    file = tmp_path / "large.safetensors"
    header = b"{}".ljust(64)
    size = 2 * SAMPLES * SAMPLE_BYTES

    def fingerprint(data):
        file.write_bytes(len(header).to_bytes(8, "little") + header + data)
        return take_inventory(ModelRegistry(()), upscaler=file).upscaler

    plain = fingerprint(bytes(size))
    assert fingerprint(bytes(size - 1) + b"\x01") != plain
    assert fingerprint(b"\x01" + bytes(size - 1)) != plain
    assert fingerprint(bytes(size)) == plain


def test_what_a_machine_lacks_or_has_in_another_form_is_named():
    bot = Inventory({"one": "a", "two": "b"}, loras={"ink": "c"}, embeddings={"sad": "d"})
    node = Inventory({"one": "a", "two": "x"}, loras={}, embeddings={"sad": "y"})
    assert node.problems(bot) == []
    assert node.differences(bot) == [
        "it has another file as the model two",
        "it lacks the LoRA ink",
        "it has another file as the embedding sad",
    ]


def test_a_machine_without_the_bots_captioner_goes_without_descriptions_by_it():
    bot, other, same = (Inventory({"one": "a"}, captioner=each) for each in ("hub b", "hub c", "hub b"))
    assert not other.has_captioner_of(bot)
    (difference,) = other.differences(bot)
    assert "DESCRIBER" in difference
    assert same.has_captioner_of(bot)
    assert same.differences(bot) == []
    none = Inventory({"one": "a"})
    assert not none.has_captioner_of(none)
    assert same.differences(none) == []


def test_a_picture_is_described_where_a_captioner_is_or_a_model_that_lists_its_words():
    registry = ModelRegistry.from_refs(["some/one", EMBEDDED])
    offered = Offered(frozenset({"one", "Storybook"}), frozenset(), frozenset())
    params = replace(request("").params, model="one", reading=ReadingKind.DESCRIBE)
    assert not covers(offered, registry, params)
    assert covers(replace(offered, captioner=True), registry, params)
    assert covers(offered, registry, replace(params, model="storybook"))


@pytest.mark.parametrize("setting", ["classifier", "upscaler"])
def test_a_machine_without_the_bots_classifier_or_upscaler_is_refused(setting):
    node = Inventory({"one": "a"})
    (problem,) = node.problems(replace(node, **{setting: "a"}))
    assert setting.upper() in problem


def test_a_job_goes_only_where_its_model_and_adapters_are(tmp_path):
    lora = Lora("ink", tmp_path)
    registry = replace(ModelRegistry.from_refs(["some/one", "some/two"]), adapters=Adapters((lora,)))
    offered = Offered(frozenset({"one"}), frozenset(), frozenset({"sad"}))
    params = request("a fox").params
    assert covers(offered, registry, params)
    assert covers(offered, registry, replace(params, parts=(PromptPart("a sad fox"),)))
    assert covers(offered, registry, replace(params, model="ONE"))
    assert not covers(offered, registry, replace(params, model="two"))
    assert covers(offered, registry, replace(params, model="removed", loras=(LoraWeight("removed"),)))
    assert not covers(offered, registry, replace(params, loras=(LoraWeight("Ink"),)))
    assert covers(replace(offered, loras=frozenset({"ink"})), registry, replace(params, loras=(LoraWeight("Ink"),)))
    assert not covers(offered, registry, replace(params, parts=(PromptPart("a <Sad> fox"),)))
    assert not covers(offered, registry, replace(params, negative_prompt="<sad>"))


def test_a_job_goes_only_where_its_controlnet_for_its_model_is(tmp_path):
    first, xl = ControlNet("canny", tmp_path / "a", 768), ControlNet("canny", tmp_path / "b", 2048)
    models = (Model(name="one", ref="m", cross_attention_dim=768), Model(name="two", ref="m", cross_attention_dim=2048))
    registry = ModelRegistry(models, Adapters(controls=(first, xl)))
    offered = Offered(frozenset({"one", "two"}), frozenset(), frozenset(), controls=frozenset({first.key}))
    params = replace(request("a fox").params, controls=(ControlWeight("canny"),))
    assert covers(offered, registry, replace(params, model="one"))
    assert not covers(offered, registry, replace(params, model="two"))
    assert covers(offered, registry, replace(params, model="two", controls=(ControlWeight("canny", 0),)))


def test_a_job_goes_only_where_its_image_adapter_for_its_model_is(tmp_path):
    encoder = ImageEncoder(tmp_path, 8, 4)
    first, xl = (ImageAdapter("face", tmp_path / "a", encoder, width, 16) for width in (768, 2048))
    models = (Model(name="one", ref="m", cross_attention_dim=768), Model(name="two", ref="m", cross_attention_dim=2048))
    registry = ModelRegistry(models, Adapters(images=(first, xl)))
    offered = Offered(frozenset({"one", "two"}), frozenset(), frozenset(), image_adapters=frozenset({first.key}))
    params = replace(request("a fox").params, character=Upload("0" * 64), character_adapter="face")
    assert covers(offered, registry, replace(params, model="one"))
    assert not covers(offered, registry, replace(params, model="two"))
    assert covers(offered, registry, replace(params, model="two", character_weight=0))
