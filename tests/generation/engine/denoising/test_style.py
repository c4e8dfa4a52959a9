"""Style references: rows that attend to another row, and predictions with its colours."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor2_0

from generation.engine.networks.pipeline_loader import Pipeline
from generation.engine.networks.shared_attention import SharedAttentionUnet
from generation.messages import Failed, FailureReason, Generate
from generation.params import Params
from generation.planning.compute_cost import compute_cost
from tests.support.engine_harness import EngineHarness, assert_close, limit_unet_rows, make_params, make_request
from tests.support.oracle import SOURCE, sample_image, to_png_bytes

REFERENCE = to_png_bytes(sample_image())


def _styled(weight: int = 100, **changes: Any) -> Params:
    return make_params(**{"count": 2, "style": SOURCE, "style_weight": weight} | changes)


def _request(job_id: str, params: Params) -> Generate:
    return make_request(job_id, params, style=REFERENCE)


def _unet_inputs(pipeline: Pipeline, rows: int) -> tuple[Any, ...]:
    generator = torch.Generator().manual_seed(4)
    width = pipeline.unet.config.cross_attention_dim
    texts = torch.randn(rows, 77, width, generator=generator)
    return torch.randn(rows, 4, 8, 8, generator=generator), torch.tensor(500), texts


@torch.inference_mode()
def test_a_row_without_a_leader_sees_what_it_sees_in_the_stock_unet(pipeline: Pipeline) -> None:
    latents, timestep, texts = _unet_inputs(pipeline, 3)
    leaders = {"indices": torch.arange(3), "shares": torch.zeros(3)}
    shared = SharedAttentionUnet(pipeline.unet)(latents, timestep, encoder_hidden_states=texts, leaders=leaders)
    assert_close(shared[0], pipeline.unet(latents, timestep, encoder_hidden_states=texts)[0], 1e-6)
    assert all(isinstance(each, AttnProcessor2_0) for each in pipeline.unet.attn_processors.values())


@torch.inference_mode()
def test_a_row_sees_its_leader_more_the_more_the_leader_counts(pipeline: Pipeline) -> None:
    latents, timestep, texts = _unet_inputs(pipeline, 2)
    unet = SharedAttentionUnet(pipeline.unet)

    def predicted(share: float) -> torch.Tensor:
        leaders = {"indices": torch.tensor([0, 0]), "shares": torch.tensor([0.0, share])}
        rows: torch.Tensor = unet(latents, timestep, encoder_hidden_states=texts, leaders=leaders)[0]
        return rows[1]

    plain = predicted(0.0)
    changes = [float((predicted(share) - plain).abs().mean()) for share in (0.1, 1.0, 8.0)]
    assert 0 < changes[0] < changes[1] < changes[2]


def test_the_reference_takes_one_row_more_in_each_call(harness: EngineHarness) -> None:
    harness.denoise(_request("a", _styled(num_inference_steps=3)))
    assert harness.calls == [2 * 2 + 1] * 3


def test_a_palette_moves_the_colours_and_takes_no_row(harness: EngineHarness) -> None:
    params = make_params(count=2)
    harness.denoise(make_request("plain", params))
    harness.calls.clear()
    harness.denoise(_request("held", _styled(style_is_palette=True)))
    assert harness.calls == [2 * 2] * 2
    harness.denoise(_request("far", _styled(style_is_palette=True, style_weight=1000)))
    assert harness.latents["far"].equal(harness.latents["held"]), "the weight is that of styles"
    assert compute_cost(_styled(style_is_palette=True), None) == compute_cost(params, None)
    plain, held = (harness.latents[name].mean((-2, -1)) for name in ("plain", "held"))
    assert not torch.allclose(plain, held)


def test_without_weight_the_picture_is_the_same_to_the_bit(harness: EngineHarness) -> None:
    harness.denoise(make_request("plain", make_params(count=2)), _request("weightless", _styled(0)))
    assert harness.latents["weightless"].equal(harness.latents["plain"])
    assert harness.calls == [8] * 2


def test_a_tile_alone_is_the_one_of_the_grid(harness: EngineHarness) -> None:
    harness.denoise(_request("grid", _styled()))
    harness.denoise(_request("alone", _styled(count=1, seed=6)))
    assert_close(harness.latents["alone"], harness.latents["grid"][1:])


@pytest.mark.parametrize("rows", [2, 3, 4])
def test_a_call_without_enough_memory_is_split_and_the_leader_repeated(
    pipeline: Pipeline, harness: EngineHarness, rows: int
) -> None:
    harness.denoise(_request("whole", _styled()))
    harness.calls.clear()
    shared = harness.engine._variants.base.unet(seamless=False, leaders=True)._unet
    hook = shared.register_forward_pre_hook(_refuse_more_than(rows))
    harness.denoise(_request("parts", _styled()))
    hook.remove()
    assert_close(harness.latents["parts"], harness.latents["whole"])


def _refuse_more_than(rows: int) -> Any:
    def refuse(_: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        if len(inputs[0]) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    return refuse


def test_a_single_row_and_its_leader_that_do_not_fit_fail_the_job(pipeline: Pipeline, harness: EngineHarness) -> None:
    hook = limit_unet_rows(pipeline, 1)
    end = harness.generate(_request("a", _styled(count=1)))[0]
    hook.remove()
    assert isinstance(end, Failed) and end.reason is FailureReason.OUT_OF_MEMORY


def test_an_unreadable_reference_is_a_users_error(harness: EngineHarness) -> None:
    end = harness.generate(make_request("a", _styled(), style=b"no picture"))[0]
    assert isinstance(end, Failed) and end.reason is FailureReason.USER_ERROR
