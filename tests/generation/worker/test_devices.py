"""The devices of DEVICE, with the tools of GPUs that are not there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from generation.engine.device.availability import DeviceUnavailable
from generation.worker import devices
from generation.worker.devices import isolated, list_devices, worker_names

TWO_CARDS = """GPU 0: NVIDIA H200 (UUID: GPU-1b2c)
  MIG 1g.18gb     Device  0: (UUID: MIG-77aa)
  MIG 1g.18gb     Device  1: (UUID: MIG-88bb)
GPU 1: NVIDIA L4 (UUID: GPU-3d4e)
"""


@pytest.fixture(autouse=True)
def torch_build(monkeypatch):
    """Pretend a PyTorch with CUDA, and no GPU."""
    for variable in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(devices, "AMD_NODES", devices.Path("/nowhere"))
    monkeypatch.setattr(devices, "NVIDIA_TOOLS", ("no-nvidia-smi-here",))

    def build(version: str) -> None:
        monkeypatch.setattr(devices, "version", lambda _: version)
        monkeypatch.setattr("generation.engine.device.availability.version", lambda _: version)

    build("2.13.0+cu130")
    return build


@pytest.fixture
def nvidia(monkeypatch, tmp_path):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n[ \"$1\" = -L ] || exit 1\ncat <<'END'\n{TWO_CARDS}END\n")
    tool.chmod(0o755)
    monkeypatch.setattr(devices, "NVIDIA_TOOLS", ("no-nvidia-smi-here", str(tool)))
    return tool


@pytest.mark.parametrize("setting", ["auto", "cpu", "cuda", "cuda:9"])
def test_a_single_device_is_left_to_the_engine(setting, nvidia):
    assert list_devices(setting) == (setting,)


def test_all_are_the_gpus_that_nvidia_smi_lists(nvidia):
    assert list_devices("all") == ("cuda:0", "cuda:1")


def test_all_are_the_gpus_that_the_environment_leaves(nvidia, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-77aa, 1,GPU-3d4e,-1,0")
    assert list_devices("all") == ("cuda:0", "cuda:1", "cuda:2")
    assert isolated("cuda:1")[1]["CUDA_VISIBLE_DEVICES"] == "1"
    assert isolated("cuda:0")[1]["CUDA_VISIBLE_DEVICES"] == "MIG-77aa"
    assert isolated("cuda:7")[1]["CUDA_VISIBLE_DEVICES"] == "-1", "none, so torch says that there is no such GPU"


def test_all_are_the_gpus_of_amds_driver_without_the_processor(torch_build, monkeypatch, tmp_path):
    torch_build("2.13.0+rocm7.2")
    for node, units in enumerate((0, 208, 208)):
        (tmp_path / str(node)).mkdir()
        (tmp_path / str(node) / "properties").write_text(f"cpu_cores_count 0\nsimd_count {units}\nmem_banks_count 1\n")
    monkeypatch.setattr(devices, "AMD_NODES", tmp_path)
    assert list_devices("all") == ("cuda:0", "cuda:1")
    assert isolated("cuda:1")[1]["HIP_VISIBLE_DEVICES"] == "1"


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("cuda:0,cuda:9", "DEVICE names cuda:9, but the last GPU is cuda:1: name GPUs that exist, or set DEVICE=all."),
        ("cuda:2,cuda:0", "DEVICE names cuda:2, but the last GPU is cuda:1: name GPUs that exist, or set DEVICE=all."),
    ],
)
def test_a_gpu_that_is_not_there_is_told_in_one_sentence(nvidia, setting, said):
    with pytest.raises(DeviceUnavailable) as refused:
        list_devices(setting)
    assert str(refused.value) == said


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac has one GPU")
def test_all_without_a_gpu_is_refused(monkeypatch):
    with pytest.raises(DeviceUnavailable, match=r"^DEVICE=all, but this machine lists no GPU: install or update"):
        list_devices("all")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(DeviceUnavailable, match="lists no GPU"):
        list_devices("all")


def test_several_gpus_need_a_pytorch_with_cuda(torch_build, nvidia):
    torch_build("2.13.0+cpu")
    with pytest.raises(
        DeviceUnavailable, match=r"DEVICE=cuda:0, but this PyTorch \(2.13.0\+cpu\) was built without CUDA"
    ):
        list_devices("cuda:0,cuda:1")


def test_a_tool_that_hangs_or_fails_lists_nothing(monkeypatch, nvidia):
    nvidia.write_text("#!/bin/sh\nexit 9\n")
    assert devices._nvidia_gpus() == []
    monkeypatch.setattr(devices, "LISTING_TIMEOUT_S", 0.1)
    nvidia.write_text("#!/bin/sh\nexec sleep 60\n")
    assert devices._nvidia_gpus() == []


def test_a_process_for_a_gpu_sees_no_other(monkeypatch):
    assert isolated("cuda:3") == ("cuda:0", {"CUDA_VISIBLE_DEVICES": "3", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"})
    assert isolated("cpu") == ("cpu", {})
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "FASTEST_FIRST")
    assert isolated("cuda:3")[1]["CUDA_DEVICE_ORDER"] == "FASTEST_FIRST"


def test_workers_are_called_after_their_devices():
    assert worker_names(["cuda:0", "cuda:1"]) == ["cuda:0", "cuda:1"]
    assert worker_names(["cpu", "cpu"]) == ["cpu-1", "cpu-2"]


def test_a_gpu_that_only_torch_can_refuse_is_called_by_its_own_number():
    script = """
from generation.worker.engine_loader import load_engine
from generation.models.registry import ModelRegistry
try:
    load_engine(ModelRegistry.from_refs(["models/storybook"]), "cuda:5", 0, print, processes=2)
except Exception as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("DEVICE names cuda:5, but there is no such GPU that PyTorch can use: set DEVICE to")
