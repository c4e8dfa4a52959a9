"""Seamless textures: their edges meet, and other jobs are unaffected."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from generation.engine.networks.pipeline_loader import Pipeline
from generation.engine.networks.seamless import seamless_copy
from generation.engine.networks.vae import Vae
from tests.support.embedded_model import SOURCE, Drawing, EmbeddedModelHarness, plain_png, read_pixels
from tests.support.engine_harness import EngineHarness, assert_close, make_params, make_request

TEXTURES = ("a meadow", "a forest", "under water", "space")


@pytest.fixture(scope="module")
def textures(embedded_model: EmbeddedModelHarness) -> list[Drawing]:
    return embedded_model.generate(*(f"{texture} --raw" for texture in TEXTURES), count=2, seamless=True)


@pytest.fixture(scope="module")
def images(embedded_model: EmbeddedModelHarness) -> list[Drawing]:
    return embedded_model.generate(*(f"{texture} --raw" for texture in TEXTURES[:2]), count=2)


@pytest.fixture(scope="module")
def larger(embedded_model: EmbeddedModelHarness) -> Drawing:
    [texture] = embedded_model.generate("a forest --raw --hd", seamless=True)
    return texture


def _seam_and_inside(drawing: Drawing, axis: int) -> tuple[float, np.ndarray]:
    """Return the mean step over the edge, and those over the lines inside where the latents' pixels meet as well."""
    steps = np.abs(drawing.tiles - np.roll(drawing.tiles, -1, axis)).mean((0, 3 - axis, 3))
    return float(steps[-1]), steps[7:-1:8]


@pytest.mark.parametrize("axis", [1, 2])
def test_the_seam_is_no_larger_than_the_steps_inside(textures: list[Drawing], axis: int) -> None:
    measured = [_seam_and_inside(texture, axis) for texture in textures]
    for seam, inside in measured:
        assert seam <= inside.max()
    assert np.mean([seam for seam, _ in measured]) < 1.5 * np.mean([inside.mean() for _, inside in measured])


@pytest.mark.parametrize("axis", [1, 2])
def test_the_hires_pass_keeps_the_edges_seamless(larger: Drawing, axis: int) -> None:
    seam, inside = _seam_and_inside(larger, axis)
    assert seam <= inside.max()


@pytest.mark.parametrize("axis", [1, 2])
def test_images_that_are_not_seamless_have_a_seam(images: list[Drawing], axis: int) -> None:
    for image in images:
        seam, inside = _seam_and_inside(image, axis)
        assert seam > 3 * inside.mean()


@pytest.mark.parametrize("part", ["unet", "decoder", "encoder"])
def test_a_seamless_copy_of_a_network_has_no_edge(pipeline: Pipeline, part: str) -> None:
    text = torch.randn(1, 77, 16, generator=torch.Generator().manual_seed(1))

    def run(network: torch.nn.Module, given: torch.Tensor) -> torch.Tensor:
        match part:
            case "unet":
                return network(given, 500, encoder_hidden_states=text).sample
            case "decoder":
                return network.decode(given).sample
        return network.encode(given).latent_dist.mean

    network = pipeline.unet if part == "unet" else pipeline.vae
    into, out_of = {"unet": (1, 1), "decoder": (1, 8), "encoder": (8, 1)}[part]
    given = torch.randn(
        1, 3 if part == "encoder" else 4, 16 * into, 8 * into, generator=torch.Generator().manual_seed(0)
    )
    seamless = seamless_copy(network)
    with torch.inference_mode():
        rolled = run(seamless, given.roll((4 * into, 2 * into), (2, 3)))
        there = run(seamless, given).roll((4 * out_of, 2 * out_of), (2, 3))
        plain_there = run(network, given).roll((4 * out_of, 2 * out_of), (2, 3))
    assert_close(rolled, there, 1e-4)
    assert float((rolled - plain_there).abs().max()) > 0.05


def test_a_seamless_copy_shares_weights_and_leaves_the_network_as_is(pipeline: Pipeline) -> None:
    for network in (pipeline.unet, pipeline.vae):
        before = [getattr(module, "padding_mode", None) for module in network.modules()]
        seamless = seamless_copy(network)
        assert all(mine is theirs for mine, theirs in zip(seamless.parameters(), network.parameters(), strict=True))
        assert [getattr(module, "padding_mode", None) for module in network.modules()] == before
        assert "circular" not in before


def test_a_seamless_copy_is_built_once_and_only_when_needed(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[object] = []

    def build(network: torch.nn.Module) -> torch.nn.Module:
        built.append(network)
        return seamless_copy(network)

    monkeypatch.setattr("generation.engine.denoising.model_variants.seamless_copy", build)
    monkeypatch.setattr("generation.engine.networks.vae.seamless_copy", build)
    harness = EngineHarness(pipeline)
    harness.generate(make_request("plain"))
    assert built == []
    harness.generate(
        make_request("one", make_params(seamless=True)), make_request("two", make_params(seamless=True, seed=6))
    )
    harness.generate(
        make_request("three", make_params(seamless=True, source=SOURCE, strength=0.5), source=plain_png("teal"))
    )
    assert sorted(map(id, built)) == sorted(map(id, (pipeline.unet, pipeline.vae)))
    harness.close()


def test_jobs_beside_a_seamless_one_are_unaffected(harness: EngineHarness) -> None:
    """Many of both, so that one kind is decoded on its thread while the other kind's steps run."""
    seamless = [make_params(seamless=True, seed=seed, num_inference_steps=2 + seed) for seed in range(6)]
    others = [replace(wanted, seamless=False) for wanted in seamless]
    for name, wanted in (("texture", seamless), ("image", others)):
        harness.generate(*(make_request(f"{name}-{place} alone", each) for place, each in enumerate(wanted)))
    ends = harness.generate(
        *(
            make_request(f"{name}-{place} beside", each, order=place)
            for place, pair in enumerate(zip(seamless, others, strict=True))
            for name, each in zip(("texture", "image"), pair, strict=True)
        )
    )
    assert all(len(harness.end_events(end.job_id)) == 1 for end in ends)
    for place in range(6):
        for name in ("texture", "image"):
            alone, beside = (harness.wait_for_end(f"{name}-{place} {company}") for company in ("alone", "beside"))
            assert_close(harness.latents[beside.job_id], harness.latents[alone.job_id], 1e-5)
            assert np.abs(read_pixels(beside.grid.tiles[0]) - read_pixels(alone.grid.tiles[0])).max() <= 1


def test_seamless_and_plain_rows_never_share_a_call(harness: EngineHarness) -> None:
    harness.generate(make_request("plain"), make_request("seamless", make_params(seamless=True)))
    assert harness.calls == [2] * 4


def test_a_large_texture_is_decoded_in_windows_that_wrap_around(pipeline: Pipeline) -> None:
    vae = Vae(pipeline).seamless
    latents = torch.randn(1, 4, 24, 24, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        whole, rolled = vae.decode(latents), vae.decode(latents.roll(6, 3))
    assert_close(rolled, whole.roll(48, 3), 1e-3)
