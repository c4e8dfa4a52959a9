"""A device that cannot be used is refused with one sentence that says what to do."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import pytest
import torch

from generation.command_line import torch_as_typed
from generation.engine.device import availability
from generation.engine.device.availability import CUDA_WHEELS, DeviceUnavailable, require_possible_device
from generation.engine.device.device import require_device

INSTALL_CUDA = torch_as_typed(torch.__version__.partition("+")[0], "cuda", CUDA_WHEELS)


def pretend(monkeypatch: pytest.MonkeyPatch, *, cuda: str | None = None, hip: str | None = None, gpus: int = 0) -> None:
    """Pretend a build of PyTorch, and a number of GPUs."""
    monkeypatch.setattr(torch, "version", SimpleNamespace(cuda=cuda, hip=hip))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.parametrize(
    ("name", "build", "problem", "fix"),
    [
        ("cuda", {}, "built without CUDA", INSTALL_CUDA),
        ("cuda:1", {}, "built without CUDA", INSTALL_CUDA),
        ("cuda", {"cuda": "13.0"}, "finds no GPU", "nvidia-smi"),
        ("cuda", {"hip": "7.0"}, "finds no GPU", "rocm-smi"),
        ("cuda:1", {"cuda": "13.0", "gpus": 1}, "cuda:0 is the only GPU", "set DEVICE=cuda"),
        ("cuda:4", {"hip": "7.0", "gpus": 2}, "the last GPU is cuda:1", "set DEVICE=cuda"),
        ("mps", {}, "Apple", "set DEVICE=auto"),
    ],
)
def test_a_device_that_is_not_there_is_named_with_its_fix(
    name: str, build: dict[str, str], problem: str, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, **build)  # type: ignore[arg-type]
    with pytest.raises(DeviceUnavailable) as raised:
        require_device(name)
    assert f"DEVICE={name}" in raised.value.problem
    assert problem in raised.value.problem
    assert fix in raised.value.fix
    assert "\n" not in str(raised.value)
    assert pickle.loads(pickle.dumps(raised.value)).fix == raised.value.fix


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("auto", {}),
        ("cpu", {}),
        ("cuda", {"cuda": "13.0", "gpus": 1}),
        ("cuda:0", {"cuda": "13.0", "gpus": 1}),
        ("cuda:1", {"hip": "7.0", "gpus": 2}),
    ],
)
def test_a_device_that_is_there_is_accepted(name: str, build: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, **build)  # type: ignore[arg-type]
    require_device(name)


@pytest.mark.parametrize(
    ("name", "build", "platform", "says"),
    [
        ("cuda", "2.13.0+cpu", "linux", torch_as_typed("2.13.0", "cuda", CUDA_WHEELS)),
        ("cuda:1", "2.13.0+cpu", "win32", "was built without CUDA"),
        ("cuda", "2.13.0", "darwin", "a Mac has no CUDA"),
        ("mps", "2.13.0", "linux", "Apple's GPU cannot be used here"),
        ("cuda", "2.13.0", "linux", None),
        ("cuda", "2.13.0+cu130", "win32", None),
        ("cuda", "2.13.0+rocm7.0", "linux", None),
        ("mps", "2.13.0", "darwin", None),
        ("auto", "2.13.0+cpu", "linux", None),
        ("cpu", "2.13.0+cpu", "linux", None),
    ],
)
def test_what_the_installed_build_never_has_is_refused_before_it_is_imported(
    name: str, build: str, platform: str, says: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(availability, "version", lambda _: build)
    monkeypatch.setattr(availability.sys, "platform", platform)
    if says is None:
        require_possible_device(name)
    else:
        with pytest.raises(DeviceUnavailable, match=says.replace("+", r"\+")):
            require_possible_device(name)
