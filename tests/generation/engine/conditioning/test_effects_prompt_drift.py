"""Effects of chaos and weirdness on the images of the embedded model, and their reproducibility."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from generation.engine.conditioning.prompt_drift import drift_targets
from generation.params import MAX_SEED, PromptPart
from tests.support.conditioning import encode
from tests.support.embedded_model import (
    Drawing,
    EmbeddedModelHarness,
    distance,
    high_frequency_energy,
    is_increasing,
    tile_spread,
)
from tests.support.engine_harness import EngineHarness, assert_close, make_params, make_request

PROMPTS = ("a red boat on the sea", "a green tree in a meadow")
# Tiles differ by their noise already: by how much more they do with little chaos, varies from prompt to prompt.
SPREAD_PROMPTS = ("a castle in the mountains", "a fox in the snow")
CHAOS = (0, 15, 45, 100)
WEIRD = (0, 300, 1000, 3000)


def _mean_spreads(drawings: list[Drawing]) -> list[float]:
    """Return the mean spread for each value of chaos; the drawings are ordered by prompt, then chaos."""
    spreads = np.array([tile_spread(drawing) for drawing in drawings]).reshape(len(PROMPTS), -1)
    return list(spreads.mean(0))


def test_chaos_spreads_the_tiles_of_a_grid(embedded_model: EmbeddedModelHarness) -> None:
    drawings = embedded_model.generate(
        *(f"{prompt} --chaos {chaos} --raw" for prompt in SPREAD_PROMPTS for chaos in CHAOS), count=4
    )
    assert is_increasing(_mean_spreads(drawings), 2)


@pytest.fixture(scope="module")
def chaos_drawings(embedded_model: EmbeddedModelHarness) -> list[Drawing]:
    prompts = (f"{prompt} --chaos {chaos} --sameseed --raw" for prompt in PROMPTS for chaos in CHAOS)
    return embedded_model.generate(*prompts, count=2)


def test_chaos_alone_spreads_tiles_that_start_from_the_same_noise(chaos_drawings: list[Drawing]) -> None:
    assert is_increasing(_mean_spreads(chaos_drawings), 4)


def test_without_chaos_the_same_noise_gives_identical_images(chaos_drawings: list[Drawing]) -> None:
    for drawing in chaos_drawings[:: len(CHAOS)]:
        assert (drawing.tiles == drawing.tiles[0]).all()


@pytest.fixture(scope="module")
def weird_drawings(embedded_model: EmbeddedModelHarness) -> list[Drawing]:
    return embedded_model.generate(*(f"{prompt} --weird {weird} --raw" for prompt in PROMPTS for weird in WEIRD))


def test_weird_moves_away_from_the_plain_image(weird_drawings: list[Drawing]) -> None:
    """An image cannot be farther away than any other image, so the last step is measured over all of them."""
    distances = [
        [distance(weird_drawings[start], drawing) for drawing in weird_drawings[start : start + len(WEIRD)]]
        for start in range(0, len(weird_drawings), len(WEIRD))
    ]
    assert all(is_increasing(by_weird[:-1], 3) for by_weird in distances)
    assert is_increasing(np.mean(distances, axis=0).tolist(), 3)


def test_even_the_weirdest_image_is_not_noise(
    embedded_model: EmbeddedModelHarness, weird_drawings: list[Drawing]
) -> None:
    """Noise has as much energy in fine detail as elsewhere; images have far less."""
    noise = np.random.default_rng(0).normal(128, 40, (1, 128, 128, 3)).astype(np.float32)
    for drawing in weird_drawings:
        assert (
            high_frequency_energy(drawing.tiles) / drawing.tiles.var()
            < 0.2 * high_frequency_energy(noise) / noise.var()
        )


@pytest.mark.parametrize("changes", [{"chaos": 60}, {"weird": 900}, {"chaos": 30, "weird": 100, "no": ("fog",)}])
def test_a_perturbed_tile_can_be_generated_alone(harness: EngineHarness, changes: dict[str, object]) -> None:
    grid = make_params(count=3, **changes)
    harness.denoise(make_request("grid", grid), make_request("alone", replace(grid, seed=grid.seed + 1, count=1)))
    assert_close(harness.latents["alone"], harness.latents["grid"][1:2], 1e-5)


@pytest.mark.parametrize("rows", [1, 3, 5])
def test_a_job_with_chaos_is_the_same_in_several_calls(harness: EngineHarness, rows: int) -> None:
    wanted = make_params(count=2, chaos=70, no=("fog",))
    harness.engine._batcher.budget = 64 * 64 * 64
    harness.denoise(make_request("whole", wanted))
    harness.engine._batcher.budget = rows * 64 * 64
    harness.denoise(make_request("parts", wanted))
    assert_close(harness.latents["parts"], harness.latents["whole"], 1e-5)


@pytest.mark.parametrize("changes", [{"chaos": 60}, {"weird": 900}, {"chaos": 100, "weird": 3000}])
def test_chaos_and_weird_cost_no_rows(harness: EngineHarness, changes: dict[str, object]) -> None:
    harness.denoise(make_request("a", make_params(count=4, num_inference_steps=2, **changes)))
    assert harness.calls == [8, 8]


def test_only_chaos_gives_each_tile_an_embedding_of_its_own(harness: EngineHarness) -> None:
    encoder = harness.engine._variants.base.encoder
    chaotic, weird = (encode(encoder, make_params(count=4, **to)) for to in ({"chaos": 50}, {"weird": 50}))
    assert (len(chaotic.embeddings), chaotic.embedding_indices.tolist()) == (5, [0, 1, 2, 3, 4, 4, 4, 4])
    assert (len(weird.embeddings), weird.embedding_indices.tolist()) == (2, [0, 0, 0, 0, 1, 1, 1, 1])


def test_negative_texts_are_not_perturbed(harness: EngineHarness) -> None:
    encoder = harness.engine._variants.base.encoder
    wanted = make_params(parts=(PromptPart("fox"), PromptPart("fog", -0.5)), negative_prompt="snow")
    plain, perturbed = encode(encoder, wanted), encode(encoder, replace(wanted, chaos=50, weird=50))
    assert (plain.embeddings[0] != perturbed.embeddings[0]).any()
    assert (plain.embeddings[1:] == perturbed.embeddings[1:]).all()


def test_chaos_phrases_depend_on_the_seed_and_weird_ones_on_the_prompt() -> None:
    wanted = make_params(seed=MAX_SEED, chaos=50, weird=50)
    (_, chaos_phrases), (_, weird_phrases) = drift_targets(wanted, 1)
    assert drift_targets(replace(wanted, seed=0), 0) == drift_targets(wanted, 1)
    assert drift_targets(replace(wanted, seed=1), 0)[0][1] != chaos_phrases
    assert drift_targets(replace(wanted, seed=1), 0)[1][1] == weird_phrases
    assert drift_targets(replace(wanted, parts=(PromptPart("a blue owl"),)), 1)[1][1] != weird_phrases
