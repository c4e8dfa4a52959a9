"""The UNet's conditioning: weights, negative prompts, long prompts and odd ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline

from generation.engine.conditioning.encoder import PromptEncoder
from generation.engine.networks.pipeline_loader import Pipeline
from generation.params import PromptPart
from generation.planning.guidance import guidance_weights
from tests.support.conditioning import encode
from tests.support.engine_harness import EngineHarness, assert_close, make_params, make_request

CONTEXT = 77


@pytest.fixture
def encoder(pipeline: Pipeline) -> PromptEncoder:
    return PromptEncoder(pipeline)


@pytest.fixture(scope="module")
def stock(tiny_model: Path) -> StableDiffusionPipeline:
    return StableDiffusionPipeline.from_pretrained(tiny_model)


def _parts(*parts: tuple[str, float]) -> tuple[PromptPart, ...]:
    return tuple(PromptPart(text, weight) for text, weight in parts)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"a red fox": 5.0, "": -4.0}),
        ({"guidance_scale": 1.0}, {"a red fox": 1.0}),
        ({"guidance_scale": 0.0}, {"a red fox": 1.0}),
        ({"negative_prompt": "snow"}, {"a red fox": 5.0, "snow": -4.0}),
        ({"parts": _parts(("sun", 3), ("moon", 1)), "guidance_scale": 4.0}, {"sun": 3.0, "moon": 1.0, "": -3.0}),
        ({"parts": _parts(("sun", 1), ("moon", 1)), "guidance_scale": 1.0}, {"sun": 0.5, "moon": 0.5}),
        ({"parts": _parts(("sun", 1), ("sun", 1))}, {"sun": 5.0, "": -4.0}),
        ({"parts": _parts(("sun", 1), ("moon", 0))}, {"sun": 5.0, "": -4.0}),
        ({"no": ("snow",), "guidance_scale": 8.0}, {"a red fox": 8.0, "snow": -4.0, "": -3.0}),
        ({"parts": _parts(("", 1))}, {"": 1.0}),
        ({"house_style": "oil", "stylize": 0}, {"a red fox": 5.0, "": -4.0}),
        ({"house_style": "oil", "stylize": 100}, {"a red fox, oil": 5.0, "": -4.0}),
        ({"house_style": "oil", "stylize": 40}, {"a red fox": 3.0, "a red fox, oil": 2.0, "": -4.0}),
        ({"house_style": "oil", "stylize": 1000}, {"a red fox": -2.5, "a red fox, oil": 7.5, "": -4.0}),
        ({"house_style": "oil", "stylize": 1000, "guidance_scale": 1.0}, {"a red fox": -0.5, "a red fox, oil": 1.5}),
        ({"house_style": "oil", "parts": _parts(("", 1))}, {"oil": 5.0, "": -4.0}),
        (
            {"house_style": "oil", "stylize": 50, "parts": _parts(("sun", 3), ("moon", 1)), "no": ("snow",)},
            {"sun": 1.875, "sun, oil": 1.875, "moon": 0.625, "moon, oil": 0.625, "snow": -0.625, "": -3.375},
        ),
    ],
)
def test_the_guided_prediction_is_the_formula_gathered_by_text(
    changes: dict[str, Any], expected: dict[str, float]
) -> None:
    weights = {text.text: weight for text, weight in guidance_weights(make_params(**changes)).items()}
    assert weights == pytest.approx(expected)


def test_a_weighted_prompt_is_guided_by_the_formula(harness: EngineHarness, stock: Any) -> None:
    guidance, weights = 6.0, {"sun": 0.75, "moon": 0.25, "snow": -0.125}
    wanted = make_params(
        parts=_parts(("sun", 3), ("moon", 1), ("snow", -0.5)), guidance_scale=guidance, num_inference_steps=1
    )
    harness.denoise(make_request("a", wanted))
    stock.scheduler.set_timesteps(1)
    start = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(wanted.seed))
    timestep = stock.scheduler.timesteps[0]

    def predicted(text: str) -> torch.Tensor:
        embedding = stock.encode_prompt(text, "cpu", 1, False)[0]
        return stock.unet(start, timestep, encoder_hidden_states=embedding).sample

    with torch.inference_mode():
        u = predicted("")
        noise = u + guidance * sum(weight * (predicted(text) - u) for text, weight in weights.items())
        expected = stock.scheduler.step(noise, timestep, start).prev_sample
    assert_close(harness.latents["a"], expected)


@pytest.mark.parametrize(
    "text", ["", "a red fox", "🦊 日本 ☃️ \x00 \u202e", "<|endoftext|> fox", "A  Red\nFOX", "é" * 30]
)
def test_a_normal_prompt_is_embedded_as_the_stock_pipeline_does(encoder: PromptEncoder, stock: Any, text: str) -> None:
    theirs, negative = stock.encode_prompt(text, "cpu", 1, True)
    conditioning = encode(encoder, make_params(text, negative_prompt="blurry" if text == "" else None))
    assert torch.allclose(conditioning.embeddings[0], theirs[0], atol=1e-5)
    if text:
        assert torch.allclose(conditioning.embeddings[1], negative[0], atol=1e-5)


def test_a_long_prompt_is_not_truncated(encoder: PromptEncoder) -> None:
    start = "a very long description " * 12
    fox, owl = (encode(encoder, make_params(start + end)).embeddings for end in ("fox", "owl"))
    assert fox.shape[1] == 4 * CONTEXT
    assert not torch.allclose(fox, owl)


def test_the_chunks_of_a_long_prompt_are_embedded_like_separate_prompts(encoder: PromptEncoder) -> None:
    length = CONTEXT - 2
    both = encode(encoder, make_params("1" * length + "2" * length, guidance_scale=1.0)).embeddings
    each = [encode(encoder, make_params(digit * length, guidance_scale=1.0)).embeddings for digit in "12"]
    assert torch.allclose(both, torch.cat(each, dim=1), atol=1e-5)


@pytest.mark.parametrize(("tokens", "chunks"), [(0, 1), (75, 1), (76, 2), (150, 2), (151, 3)])
def test_a_prompt_takes_as_many_encoder_passes_as_it_needs(encoder: PromptEncoder, tokens: int, chunks: int) -> None:
    conditioning = encode(encoder, make_params("1" * tokens, negative_prompt="snow"))
    assert conditioning.embeddings.shape[:2] == (2, chunks * CONTEXT)


def test_a_long_negative_prompt_makes_the_prompt_as_long(encoder: PromptEncoder, harness: EngineHarness) -> None:
    wanted = make_params("fox", negative_prompt="1" * 100)
    assert encode(encoder, wanted).embeddings.shape[1] == 2 * CONTEXT
    harness.denoise(make_request("a", wanted))
    assert torch.isfinite(harness.latents["a"]).all()


def test_a_text_is_embedded_once(encoder: PromptEncoder, pipeline: Pipeline) -> None:
    passes: list[int] = []
    hook = pipeline.text_encoder.register_forward_pre_hook(lambda *_: passes.append(1))
    for seed in range(5):
        encode(encoder, make_params("a castle", seed=seed, no=("snow",)))
    hook.remove()
    assert len(passes) == 3


def test_a_weighted_word_is_that_far_from_the_empty_text(encoder: PromptEncoder) -> None:
    """ComfyUI's formula for `(word:1.3)`; the weights of padding and of the marks at both ends are 1."""
    empty, plain, weighted = (
        encode(encoder, make_params(text, guidance_scale=1.0)).embeddings for text in ("", "12", "1(2:1.3)")
    )
    expected = plain.clone()
    expected[:, 2] = empty[:, 2] + 1.3 * (plain[:, 2] - empty[:, 2])
    assert torch.allclose(weighted, expected, atol=1e-6)
    assert torch.equal(weighted[:, 3:], plain[:, 3:])


def test_weights_of_one_change_nothing(encoder: PromptEncoder) -> None:
    plain, weighted = (encode(encoder, make_params(text)).embeddings for text in ("12", "(1:1.0)(2:1.0)"))
    assert torch.equal(plain, weighted)


def test_a_weight_reaches_words_in_every_chunk(encoder: PromptEncoder) -> None:
    digits = "1" * (CONTEXT - 2)
    plain, weighted = (
        encode(encoder, make_params(digits + text, guidance_scale=1.0)).embeddings for text in ("2", "(2:1.5)")
    )
    assert torch.equal(plain[:, :CONTEXT], weighted[:, :CONTEXT])
    assert not torch.allclose(plain[:, CONTEXT + 1], weighted[:, CONTEXT + 1])
