"""The upscaler network that a bot operator may configure: which files are one, and what it computes."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from generation.engine.images.io import read_source
from generation.engine.images.upscaler import Upscaler
from generation.errors import UserError
from generation.models.files.upscaler import describe_upscaler
from generation.params import Upload
from tests.support.engine_harness import make_params, make_request

CPU = torch.device("cpu")


class ResidualDenseBlock(nn.Module):
    """A dense block as in BasicSR, with which the files were trained."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, growth, 3, 1, 1)
        self.conv2 = nn.Conv2d(features + growth, growth, 3, 1, 1)
        self.conv3 = nn.Conv2d(features + 2 * growth, growth, 3, 1, 1)
        self.conv4 = nn.Conv2d(features + 3 * growth, growth, 3, 1, 1)
        self.conv5 = nn.Conv2d(features + 4 * growth, features, 3, 1, 1)
        self.act = nn.LeakyReLU(0.2)

    def forward(self, x: Tensor) -> Tensor:
        x1 = self.act(self.conv1(x))
        x2 = self.act(self.conv2(torch.cat((x, x1), 1)))
        x3 = self.act(self.conv3(torch.cat((x, x1, x2), 1)))
        x4 = self.act(self.conv4(torch.cat((x, x1, x2, x3), 1)))
        return self.conv5(torch.cat((x, x1, x2, x3, x4), 1)) * 0.2 + x


class RRDB(nn.Module):
    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (ResidualDenseBlock(features, growth) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.rdb3(self.rdb2(self.rdb1(x))) * 0.2 + x


class RRDBNet(nn.Module):
    def __init__(self, scale: int = 4, features: int = 8, growth: int = 4, blocks: int = 2) -> None:
        super().__init__()
        self.unshuffle = {4: 1, 2: 2, 1: 4}[scale]
        self.conv_first = nn.Conv2d(3 * self.unshuffle**2, features, 3, 1, 1)
        self.body = nn.Sequential(*(RRDB(features, growth) for _ in range(blocks)))
        self.conv_body = nn.Conv2d(features, features, 3, 1, 1)
        self.conv_up1 = nn.Conv2d(features, features, 3, 1, 1)
        self.conv_up2 = nn.Conv2d(features, features, 3, 1, 1)
        self.conv_hr = nn.Conv2d(features, features, 3, 1, 1)
        self.conv_last = nn.Conv2d(features, 3, 3, 1, 1)
        self.act = nn.LeakyReLU(0.2)

    @torch.inference_mode()
    def forward(self, x: Tensor) -> Tensor:
        feat = self.conv_first(nn.functional.pixel_unshuffle(x, self.unshuffle))
        feat = feat + self.conv_body(self.body(feat))
        feat = self.act(self.conv_up1(nn.functional.interpolate(feat, scale_factor=2, mode="nearest")))
        feat = self.act(self.conv_up2(nn.functional.interpolate(feat, scale_factor=2, mode="nearest")))
        return self.conv_last(self.act(self.conv_hr(feat)))


def network(scale: int = 4) -> RRDBNet:
    torch.manual_seed(3)
    model = RRDBNet(scale)
    for weight in model.parameters():
        weight.data *= 3  # as initialised, the result would be nearly grey
    return model


def weights(scale: int = 4) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network(scale).state_dict().items()}


def old_release_name(name: str) -> str:
    """Return a layer's name in the files of the first ESRGAN."""
    if match := re.match(r"body\.(\d+)\.rdb(\d)\.conv(\d)\.(\w+)", name):
        return f"model.1.sub.{match[1]}.RDB{match[2]}.conv{match[3]}.0.{match[4]}"
    layer, _, kind = name.partition(".")
    place = {"conv_first": "0", "conv_body": "1.sub.2", "conv_up1": "3", "conv_up2": "6", "conv_hr": "8"}
    return f"model.{place.get(layer, '10')}.{kind}"


LAYOUTS = {
    "new": lambda name: name,
    "as trained": lambda name: f"params_ema.{name}",
    "first release": old_release_name,
}


def write_weights(folder: Path, tensors: dict[str, Tensor]) -> Path:
    save_file(tensors, folder / "upscaler.safetensors")
    return folder / "upscaler.safetensors"


def random_image(height: int = 20, width: int = 28) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(4)) * 2 - 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_of_the_weights_is_the_same_network(tmp_path, layout):
    path = write_weights(tmp_path, {LAYOUTS[layout](name): value for name, value in weights().items()})
    info = describe_upscaler(path)
    assert (info.factor, info.blocks, info.features, info.growth) == (4, 2, 8, 4)
    expected = (network()(random_image() / 2 + 0.5) * 2 - 1).clamp(-1, 1)
    assert torch.allclose(Upscaler(info, CPU).upscale(random_image()), expected, atol=1e-5)
    assert 0.1 < expected.std() < 0.9, "the image is not uniform"


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_smaller_factors_are_supported(tmp_path, scale):
    info = describe_upscaler(write_weights(tmp_path, weights(scale)))
    expected = (network(scale)(random_image() / 2 + 0.5) * 2 - 1).clamp(-1, 1)
    assert info.factor == scale
    assert torch.allclose(Upscaler(info, CPU).upscale(random_image()), expected, atol=1e-5)


def test_an_image_of_any_size_is_upscaled_by_exactly_the_factor(tmp_path):
    upscaler = Upscaler(describe_upscaler(write_weights(tmp_path, weights(2))), CPU)
    assert upscaler.upscale(random_image(17, 31)).shape == (1, 3, 34, 62)


def test_a_large_image_is_upscaled_in_windows_without_seams(tmp_path, monkeypatch):
    upscaler = Upscaler(describe_upscaler(write_weights(tmp_path, weights())), CPU)
    smooth = nn.functional.interpolate(random_image(6, 6), (80, 96), mode="bicubic").clamp(-1, 1)
    whole = upscaler.upscale(smooth)
    shapes = []
    forward = upscaler._forward
    monkeypatch.setattr(upscaler, "_forward", lambda view: shapes.append(view.shape[-2:]) or forward(view))
    monkeypatch.setattr("generation.engine.images.upscaler.WINDOW_SIZE", 32)
    assert (upscaler.upscale(smooth) - whole).abs().mean() < 0.01
    assert len(shapes) > 6
    assert set(shapes) == {(32, 32)}


def _without_a_layer() -> dict[str, Tensor]:
    return {name: value for name, value in weights().items() if not name.startswith("conv_hr")}


def _with_a_wrong_layer() -> dict[str, Tensor]:
    return weights() | {"conv_body.weight": torch.zeros(8, 9, 3, 3)}


@pytest.mark.parametrize(
    "tensors",
    [
        {"unet.conv_in.weight": torch.zeros(3)},
        {"conv_first.weight": torch.zeros(8, 3, 3, 3)},
        {"conv_first.weight": torch.zeros(8)},
        {"model.0.weight": torch.zeros(8, 3, 3, 3), "model.10.weight": torch.zeros(3, 8, 3, 3)},
        {"body.0.weight": torch.zeros(64, 3, 3, 3), "body.1.weight": torch.zeros(64)},
        _without_a_layer(),
        _with_a_wrong_layer(),
    ],
)
def test_other_weights_are_refused_by_name(tmp_path, tensors):
    path = write_weights(tmp_path, tensors)
    with pytest.raises(UserError, match=r"upscaler\.safetensors is not an RRDBNet"):
        describe_upscaler(path)


@pytest.mark.parametrize("data", [b"", b"\x00" * 8, b"not weights at all, but long enough", b"\x05\0\0\0\0\0\0\0[1,2]"])
def test_a_file_of_another_kind_is_refused(tmp_path, data):
    path = tmp_path / "upscaler.safetensors"
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"upscaler\.safetensors is damaged or not a safetensors file"):
        describe_upscaler(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no upscaler at .*missing"):
        describe_upscaler(tmp_path / "missing.safetensors")


def test_a_source_that_becomes_much_larger_is_upscaled_by_the_network(tmp_path):
    upscaler = Upscaler(describe_upscaler(write_weights(tmp_path, weights())), CPU)
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(2).integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(file, "PNG")
    for side, goes_through in ((128, True), (40, False)):
        wanted = make_params(width=side, height=side, source=Upload("0" * 64), strength=0.3)
        request = make_request("a", wanted, source=file.getvalue())
        with_it, without = read_source(request, upscaler), read_source(request)
        assert with_it is not None
        assert without is not None
        assert with_it.pixels.shape == (1, 3, side, side)
        assert torch.equal(with_it.pixels, without.pixels) is not goes_through
        assert with_it.upscale_factor == without.upscale_factor == side / 32
