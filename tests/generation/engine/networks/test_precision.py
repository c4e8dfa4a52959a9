"""Half precision, in which some networks overflow."""

from __future__ import annotations

import copy
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from generation.engine.networks.pipeline_loader import Pipeline, load_pipeline
from generation.engine.networks.vae import Vae
from generation.messages import Failed, FailureReason, Finished
from generation.models.model import EMBEDDED
from tests.support.engine_harness import EngineHarness, make_request
from tests.support.tiny_xl import build_tiny_xl

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def _overflowing(vae: Any) -> Any:
    """Return a VAE whose first layers exceed the range of float16, and the next ones return to it."""
    vae = copy.deepcopy(vae)
    for half in (vae.encoder, vae.decoder):
        half.conv_in.weight.data = half.conv_in.weight.data.sign() * 3e4
    return vae


def test_an_overflow_in_half_precision_is_retried_in_float32(pipeline: Pipeline) -> None:
    full = _overflowing(pipeline.vae)
    narrow = copy.deepcopy(full).half()
    latents, pixels = torch.full((1, 4, 8, 8), 9.0), torch.ones(1, 3, 64, 64)
    with torch.inference_mode():
        assert not narrow.decode(latents.half()).sample.isfinite().all()
        assert not narrow.encode(pixels.half()).latent_dist.mean.isfinite().all()
    exact, rescued = (Vae(replace(pipeline, vae=vae)) for vae in (full, narrow))
    assert torch.allclose(rescued.decode(latents), exact.decode(latents), atol=0.02)
    assert torch.allclose(rescued.encode_mean(pixels), exact.encode_mean(pixels), atol=0.02)


def test_latents_are_scaled_in_full_precision_while_a_half_model_loads(pipeline: Pipeline) -> None:
    scale = Vae(pipeline)._latent_statistics
    torch.set_default_dtype(torch.float16)
    try:
        meanwhile = Vae(pipeline)._latent_statistics
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(map(torch.equal, meanwhile, scale))


@pytest.mark.parametrize(("overflows", "expected"), [(True, torch.float32), (False, torch.float16)])
def test_xls_vae_stays_in_full_precision_unless_it_is_fp16_safe(
    tmp_path: Path, overflows: bool, expected: torch.dtype
) -> None:
    folder = build_tiny_xl(tmp_path, vae={"force_upcast": overflows})
    loaded = load_pipeline(str(folder), "cpu", lambda _: None, torch.float16)
    assert (loaded.unet.dtype, loaded.vae.dtype) == (torch.float16, expected)


@pytest.mark.parametrize(("multiplies", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_xls_vae_takes_bfloat16_where_the_gpu_multiplies_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, multiplies: bool, expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: multiplies)
    folder = build_tiny_xl(tmp_path, vae={"force_upcast": True})
    loaded = load_pipeline(str(folder), "cpu", lambda _: None, torch.float16)
    assert (loaded.unet.dtype, loaded.vae.dtype) == (torch.float16, expected)


def test_a_vae_in_bfloat16_decodes_nearly_the_same() -> None:
    pipeline = load_pipeline(EMBEDDED, "cpu", lambda _: None, torch.float32)
    narrow = Vae(replace(pipeline, vae=copy.deepcopy(pipeline.vae).to(torch.bfloat16)))
    moments = Vae(pipeline).encode(torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(1)) * 2 - 1)
    exact, rounded = (vae.decode(moments.mean).float().clamp(-1, 1) for vae in (Vae(pipeline), narrow))
    psnr = 10 * torch.log10(4 / (exact - rounded).square().mean())
    assert psnr > 40


@pytest.mark.parametrize(("precision", "preferred"), [(torch.float16, "half"), (torch.float32, "full")])
def test_weights_in_the_precision_that_fits_are_preferred(
    tiny_model: Path, tmp_path: Path, precision: torch.dtype, preferred: str
) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "it")
    values = {"full": 0.25, "half": 0.5}
    files = {"full": folder / "unet" / WEIGHTS, "half": (folder / "unet" / WEIGHTS).with_suffix(".fp16.safetensors")}
    weights = load_file(files["full"])
    for kind, file in files.items():
        save_file({name: torch.full_like(weight, values[kind]) for name, weight in weights.items()}, file)
    for kind in (preferred, *(files.keys() - {preferred})):
        unet = load_pipeline(str(folder), "cpu", lambda _: None, precision).unet
        assert {float(weight.min()) for weight in unet.state_dict().values()} == {values[kind]}
        files[kind].unlink()


def test_an_overflow_is_a_user_error_and_not_a_black_image(harness: EngineHarness, pipeline: Pipeline) -> None:
    hook = pipeline.unet.register_forward_hook(lambda _, __, output: (output[0] * float("inf"),))
    (failed,) = harness.generate(make_request("a"))
    hook.remove()
    assert isinstance(failed, Failed)
    assert (failed.reason, "precision" in failed.text) == (FailureReason.USER_ERROR, True)
    assert isinstance(harness.generate(make_request("b"))[0], Finished)
