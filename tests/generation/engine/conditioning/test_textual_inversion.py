"""Textual inversion embeddings: stock diffusers is the oracle of what they generate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import save_file
from torch import Generator, Tensor

from generation.engine.conditioning.encoder import PromptEncoder
from generation.engine.conditioning.textual_inversion import with_embeddings
from generation.engine.networks.pipeline_loader import Pipeline, load_pipeline
from generation.errors import UserError
from generation.messages import Failed, FailureReason
from generation.models.adapters import Adapters
from generation.models.files.textual_inversion import TextualInversion, describe_embedding
from generation.params import Params
from tests.support.conditioning import encode
from tests.support.engine_harness import EngineHarness, assert_close, make_params, make_request
from tests.support.tiny_model import WIDTH
from tests.support.tiny_xl import WIDTHS, build_tiny_xl

ONE = torch.randn(WIDTH, generator=Generator().manual_seed(1))
THREE = torch.randn(3, WIDTH, generator=Generator().manual_seed(2))


@pytest.fixture(scope="module")
def inversions(tmp_path_factory: pytest.TempPathFactory) -> tuple[TextualInversion, ...]:
    folder = tmp_path_factory.mktemp("embeddings")
    save_file({"<moss-cat>": ONE}, folder / "learned_embeds.safetensors")
    save_file({"emb_params": THREE}, folder / "brush.safetensors")
    paths = (folder / "learned_embeds.safetensors", folder / "brush.safetensors")
    return tuple(describe_embedding(path, path.stem) for path in paths)


@pytest.fixture(scope="module")
def stock(tiny_model: Path) -> StableDiffusionPipeline:
    pipeline = StableDiffusionPipeline.from_pretrained(tiny_model)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_textual_inversion({"<moss-cat>": ONE})
    pipeline.load_textual_inversion({"emb_params": THREE}, token="<brush>")
    return pipeline


@contextmanager
def _harness(pipeline: Pipeline, inversions: tuple[TextualInversion, ...]) -> Iterator[EngineHarness]:
    harness = EngineHarness(pipeline, adapters=Adapters(embeddings=inversions))
    yield harness
    harness.close()


def _latents(pipeline: Pipeline, inversions: tuple[TextualInversion, ...], wanted: Params) -> Tensor:
    with _harness(pipeline, inversions) as harness:
        harness.denoise(make_request("a", wanted))
        return harness.latents["a"]


@pytest.mark.parametrize(
    "text",
    [
        "a <moss-cat> on a mat",
        "<moss-cat>",
        "a fox,<brush>, at night",
        "<brush> <moss-cat> <brush>",
    ],
)
def test_an_embedding_generates_what_it_generates_in_diffusers(
    pipeline: Pipeline, inversions: tuple[TextualInversion, ...], stock: Any, text: str
) -> None:
    wanted = make_params(text, negative_prompt="<brush> blurry", num_inference_steps=2)
    theirs = stock(
        text,
        negative_prompt="<brush> blurry",
        num_inference_steps=2,
        guidance_scale=wanted.guidance_scale,
        generator=Generator("cpu").manual_seed(wanted.seed),
        width=64,
        height=64,
        output_type="latent",
    ).images
    assert_close(_latents(pipeline, inversions, wanted), theirs)


def _encode(pipeline: Pipeline, text: str) -> tuple[Tensor, Tensor]:
    with torch.inference_mode():
        conditioning = encode(PromptEncoder(pipeline), make_params(text, guidance_scale=1.0))
    return conditioning.embeddings, conditioning.pooled


def test_a_tokens_case_does_not_matter_but_its_brackets_do(
    pipeline: Pipeline, inversions: tuple[TextualInversion, ...]
) -> None:
    extended = with_embeddings(pipeline, inversions)
    known, _ = _encode(extended, "a <moss-cat>")
    assert torch.equal(known, _encode(extended, "a <Moss-Cat>")[0])
    assert not torch.equal(known, _encode(extended, "a moss-cat")[0])


@pytest.mark.parametrize("text", ["a red fox", "a <wild> fox", "moss-cat", "3 < 4 > 2", ""])
def test_texts_without_a_token_are_embedded_as_before(
    pipeline: Pipeline, inversions: tuple[TextualInversion, ...], text: str
) -> None:
    assert torch.equal(_encode(with_embeddings(pipeline, inversions), text)[0], _encode(pipeline, text)[0])


def test_the_original_pipeline_is_unchanged(pipeline: Pipeline, inversions: tuple[TextualInversion, ...]) -> None:
    before = _encode(pipeline, "a <moss-cat>")[0]
    with_embeddings(pipeline, inversions)
    assert torch.equal(_encode(pipeline, "a <moss-cat>")[0], before)


def test_an_embedding_for_other_text_encoders_stays_text(pipeline: Pipeline, tmp_path: Path) -> None:
    save_file({"emb_params": torch.ones(2, WIDTH + 1)}, tmp_path / "wide.safetensors")
    wide = describe_embedding(tmp_path / "wide.safetensors", "wide")
    assert with_embeddings(pipeline, [wide]) is pipeline


def test_an_xl_embedding_is_used_by_both_text_encoders(tmp_path: Path) -> None:
    pipeline = load_pipeline(str(build_tiny_xl(tmp_path / "xl")), "cpu", lambda _: None, torch.float32)
    fox = [
        encoder.get_input_embeddings().weight[pipeline.tokenizer("fo").input_ids[1:-1]]
        for encoder in pipeline.text_encoders
    ]
    vectors = {name: table.detach().clone() for name, table in zip(("clip_l", "clip_g"), fox, strict=True)}
    assert tuple(table.shape[1] for table in vectors.values()) == WIDTHS
    save_file(vectors, tmp_path / "fo.safetensors")
    inversion = describe_embedding(tmp_path / "fo.safetensors", "same")
    extended = with_embeddings(pipeline, [inversion])
    plain = pipeline.tokenizer("the fo in the sea").input_ids
    assert len(extended.tokenizers[1]("the <same> in the sea", add_special_tokens=False).input_ids) == len(plain) - 2
    for mine, theirs in zip(
        _encode(extended, "the <same> in the sea"), _encode(pipeline, "the fo in the sea"), strict=True
    ):
        torch.testing.assert_close(mine, theirs)


def test_a_missing_file_fails_only_the_jobs_that_use_its_token(
    pipeline: Pipeline, inversions: tuple[TextualInversion, ...], tmp_path: Path
) -> None:
    path = tmp_path / "lost.safetensors"
    save_file({"emb_params": THREE}, path)
    lost = describe_embedding(path, "lost")
    path.unlink()
    with _harness(pipeline, (*inversions, lost)) as harness:
        wanted = [make_params(text, num_inference_steps=1) for text in ("a <lost> fox", "a <brush> fox")]
        failed, _ = harness.generate(*(make_request(name, each) for name, each in zip("ab", wanted, strict=True)))
        assert failed == Failed("a", FailureReason.USER_ERROR, "The file of <lost> is missing or damaged.")
        assert "b" in harness.latents


@pytest.mark.parametrize(
    ("tensors", "keys", "widths", "vectors"),
    [
        ({"emb_params": torch.ones(4, 768)}, ("emb_params",), (768,), 4),
        ({"<x>": torch.ones(1024)}, ("<x>",), (1024,), 1),
        ({"clip_l": torch.ones(2, 768), "clip_g": torch.ones(2, 1280)}, ("clip_l", "clip_g"), (768, 1280), 2),
    ],
)
def test_an_embedding_is_described_by_its_header(
    tmp_path: Path, tensors: dict[str, Tensor], keys: tuple[str, ...], widths: tuple[int, ...], vectors: int
) -> None:
    save_file(tensors, tmp_path / "a.safetensors")
    read = describe_embedding(tmp_path / "a.safetensors", "a")
    assert (read.keys, read.widths, read.vectors, read.cross_attention_dim) == (keys, widths, vectors, sum(widths))
    assert read.name == ("x" if "<x>" in keys else "a")


@pytest.mark.parametrize(
    "tensors",
    [
        {"a": torch.ones(3), "b": torch.ones(3)},
        {"emb_params": torch.ones(2, 3, 4)},
        {"emb_params": torch.ones(0, 4)},
        {"clip_l": torch.ones(2, 768), "clip_g": torch.ones(3, 1280)},
    ],
)
def test_other_files_are_refused(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match=r"a\.safetensors"):
        describe_embedding(tmp_path / "a.safetensors", "a")
