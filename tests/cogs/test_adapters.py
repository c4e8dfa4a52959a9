"""LoRAs and embeddings in a server: used, offered, listed, and reported when they are removed."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

from bot.config import Config
from bot.doctor.adapters import check_adapters
from bot.doctor.result import CheckStatus
from bot.registry import load_registry
from generation.models.model import EMBEDDED
from generation.params import LoraWeight
from tests.support.bot_harness import first_tile, make_model

LAYER = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"


def write_lora(folder, name, width=768, **notes):
    folder.mkdir(parents=True, exist_ok=True)
    down, up = np.zeros((2, width), np.float32), np.zeros((8, 2), np.float32)
    tensors = {f"{LAYER}.lora_down.weight": down, f"{LAYER}.lora_up.weight": up}
    save_file(tensors, folder / f"{name}.safetensors", {f"modelspec.{key}": note for key, note in notes.items()})


@pytest.fixture
def settings(harness):
    """Return a model of 1.x, two LoRAs for it, one for XL, and an embedding."""
    loras, words = harness.folder / "loras", harness.folder / "words"
    write_lora(loras, "ink", trigger_phrase="ink wash")
    write_lora(loras / "styles", "Moss Green")
    write_lora(loras, "big", width=2048)
    words.mkdir()
    save_file({"emb_params": np.zeros((2, 768), np.float32)}, words / "owl-eyes.safetensors")
    model = make_model(harness.folder / "first", name="First")
    (harness.folder / "first" / "unet").mkdir()
    (harness.folder / "first" / "unet" / "config.json").write_text('{"cross_attention_dim": 768}')
    return {"models": (model,), "loras": loras, "embeddings": words}


async def load_record(services, message):
    return await services.db.jobs.get(first_tile(message).job_id)


async def test_a_prompts_loras_are_shown_and_kept_by_the_buttons(harness, settings):
    async with harness.bot(**settings) as services:
        await harness.imagine("a fox with <owl-eyes> --lora INK:0.8 --seed 5")
        grid = await harness.result(text=r"a fox with \<owl-eyes\> --lora ink:0.8** - <@")
        await harness.person(harness.ada).press(grid, "V1")
        child = await load_record(services, await harness.result(text="Variations"))
        assert child.job.params.loras == (LoraWeight("ink", 0.8),)


async def test_compatible_loras_are_offered_and_the_option_counts_as_typed(harness, settings):
    async with harness.bot(**settings) as services:
        ada = harness.person(harness.ada)

        async def offered(typed):
            return {
                each["value"]: each["name"]
                for each in await ada.autocomplete("imagine", harness.channel, "lora", typed)
            }

        assert await offered("") == {"ink": "ink · ink wash", "Moss-Green": "Moss-Green"}
        assert list(await offered("moss")) == ["Moss-Green"]
        assert list(await offered("ink:0.5")) == ["ink:0.5"]
        assert list(await offered("ink:0.5, mo")) == ["ink:0.5, Moss-Green"]
        assert await offered("big") == {}
        await harness.imagine("a fox --ar 3:2", lora="ink:0.5, Moss-Green")
        grid = await harness.result(text="--lora ink:0.5, Moss-Green** - <@")
        assert (await load_record(services, grid)).job.params.aspect == (3, 2)
        refused = await (await harness.imagine("a fox", lora="big")).message()
        assert "Cannot use the LoRA `big` with First: it is made for Stable Diffusion XL" in refused.content


async def test_the_help_lists_compatible_loras_and_embeddings(harness, settings):
    async with harness.bot(**settings):
        ada = harness.person(harness.ada)
        message = await (await ada.command("help", harness.channel)).message()
        await ada.select(message, "LoRAs and embeddings")
        await harness.server.wait_until(lambda: "- `ink` · ink wash · Stable Diffusion 1.x" in message.content)
        assert "`Moss-Green`" in message.content
        assert "`<owl-eyes>`" in message.content
        assert "big" not in message.content


async def test_images_of_a_removed_lora_are_refused_with_the_reason(harness, settings):
    async with harness.bot(**settings):
        await harness.imagine("a fox --lora ink")
        grid = await harness.result()
    async with harness.bot(**settings | {"loras": None}):
        answer = await (await harness.person(harness.ada).press(grid, "🔄")).message()
        assert "This was drawn with the LoRA ink, which is no longer installed." in answer.content


def test_unusable_files_are_skipped_and_logged(tmp_path, caplog):
    write_lora(tmp_path, "ink")
    write_lora(tmp_path / "more", "Ink")
    (tmp_path / "old.pt").write_bytes(b"pickled")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10")
    (tmp_path / "ink.png").write_bytes(b"a picture of it")
    registry = load_registry(Config(models=(EMBEDDED,), loras=tmp_path))
    assert [lora.name for lora in registry.adapters.loras] == ["ink"]
    logged = "\n".join(record.getMessage() for record in caplog.records)
    for named in ("old.pt is pickled", "cut.safetensors is damaged or not a safetensors file", "would be called Ink"):
        assert named in logged
    assert "ink.png" not in logged


def test_a_missing_folder_is_reported_at_the_start(tmp_path):
    for setting in ("loras", "embeddings"):
        with pytest.raises(FileNotFoundError, match=r"no folder at .*gone"):
            load_registry(Config(models=(EMBEDDED,), **{setting: tmp_path / "gone"}))


def test_the_doctor_lists_adapters_incompatible_ones_and_unusable_ones(tmp_path, harness, settings):
    (settings["loras"] / "old.pt").write_bytes(b"pickled")
    counted, refused = check_adapters(Config(**settings))
    assert (counted.status, counted.text) == (
        CheckStatus.PASSED,
        "LoRAs: 3, embeddings: 1; compatible with none of the models: big",
    )
    assert refused.status is CheckStatus.FAILED
    assert "old.pt is pickled" in refused.text
    (gone,) = check_adapters(Config(models=(EMBEDDED,), loras=tmp_path / "gone"))
    assert gone.status is CheckStatus.FAILED
    assert check_adapters(Config(models=(EMBEDDED,))) == []
