"""Choose the build of PyTorch for this machine: CPU, CUDA or ROCm. Needs nothing but the standard library."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

INDEX = "https://download.pytorch.org/whl"
INDEX_TIMEOUT_S = 10
# The newest first. Which of them have the pinned version is looked up; names that do not exist cost one request.
CUDA_TAGS = ("cu132", "cu131", "cu130", "cu129", "cu128", "cu126")
ROCM_TAGS = ("rocm7.2", "rocm7.1", "rocm7.0", "rocm6.4", "rocm6.3")
MIN_AMD_MEMORY = 4 * 2**30  # bytes; graphics inside a processor have less, and ROCm supports few of them
CHOICES = re.compile(r"auto|cpu|cuda|rocm|cu\d{3}|rocm\d+\.\d+")
GPU_TOOLS = ("nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi")  # the second is where WSL 2 has it


class Machine(NamedTuple):
    """What decides about the build; `cuda` is the newest CUDA version that the driver supports."""

    gpu: str = ""  # "NVIDIA", "AMD" or nothing
    cuda: tuple[int, int] = (0, 0)


class Build(NamedTuple):
    """A build of PyTorch. `tag` is its name at PyTorch's index, or empty for what pip is configured with."""

    tag: str
    title: str
    download_gb: float
    disk_gb: float
    minutes: str

    @property
    def index_url(self) -> str:
        """Return the address of the build's index."""
        return f"{INDEX}/{self.tag}"


CPU = Build("cpu", "PyTorch for the CPU", 0.3, 1.2, "1 to 5 minutes")
CUDA = Build("", "PyTorch with CUDA", 3.0, 8.0, "5 to 20 minutes")
ROCM = Build("", "PyTorch with ROCm", 5.0, 18.0, "10 to 30 minutes")
MAC = Build("", "PyTorch for Macs", 0.2, 0.9, "1 to 5 minutes")
CONFIGURED = Build("", "PyTorch as pip is configured", 3.0, 8.0, "5 to 20 minutes")


def choose_build(choice: str, version: str, machine: Machine) -> tuple[Build, str]:
    """Return the build for `choice` (auto, cpu, cuda, rocm or a name of PyTorch's index), and a remark to print."""
    if sys.platform == "darwin":
        return MAC, ""
    kind, tags, remark = _candidates(choice, machine)
    for tag in tags:
        found = has_wheel(tag, version)
        if found is None:  # no connection: the others are not reachable either
            return CONFIGURED, "PyTorch's own index cannot be reached: what pip is configured with decides."
        if found:
            return kind._replace(tag=tag), remark
    return CONFIGURED, f"PyTorch's index has none of {', '.join(tags)} for {version}, this Python and this system."


def _candidates(choice: str, machine: Machine) -> tuple[Build, Sequence[str], str]:
    """Return the kind of build, the names it may have at the index, and a remark."""
    if choice == "auto":
        choice = {"NVIDIA": "cuda", "AMD": "rocm"}.get(machine.gpu, "cpu")
        if choice == "cuda" and not _supported_tags(machine.cuda):
            oldest = ".".join(map(str, _cuda_version(CUDA_TAGS[-1])))
            return (
                CPU,
                ["cpu"],
                f"The GPU's driver is too old: install one for CUDA {oldest} or newer, then run this again.",
            )
    if choice == "cuda":
        return CUDA, _supported_tags(machine.cuda) or CUDA_TAGS, ""
    if choice == "rocm":
        return ROCM, ROCM_TAGS, ""
    kind = CPU if choice == "cpu" else ROCM if choice.startswith("rocm") else CUDA
    return kind, [choice], ""


def _supported_tags(cuda: tuple[int, int]) -> list[str]:
    return [tag for tag in CUDA_TAGS if _cuda_version(tag) <= cuda]


def _cuda_version(tag: str) -> tuple[int, int]:
    return int(tag[2:4]), int(tag[4:])


def has_wheel(tag: str, version: str) -> bool | None:
    """Return whether PyTorch's index has this version for this Python and system, or None without a connection."""
    try:
        with urllib.request.urlopen(f"{INDEX}/{tag}/torch/", timeout=INDEX_TIMEOUT_S) as page:
            names = page.read().decode(errors="replace").replace("%2B", "+")
    except urllib.error.HTTPError:
        return False
    except (OSError, ValueError):
        return None
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    system, _, processor = sysconfig.get_platform().partition("-")
    wheel = rf"torch-{re.escape(version)}(\+{re.escape(tag)})?-{python}-{python}-\w*{system}\w*{processor}\.whl"
    return re.search(wheel, names) is not None


def find_machine() -> Machine:
    """Look for a GPU that PyTorch can use."""
    for tool in filter(None, map(shutil.which, GPU_TOOLS)):
        machine = read_nvidia(_output([tool]))
        if machine.gpu:
            return machine
    return read_amd(Path("/sys/class/drm")) if Path("/dev/kfd").exists() else Machine()


def read_nvidia(output: str) -> Machine:
    """Read the CUDA version that nvidia-smi prints; without one there is no working driver."""
    found = re.search(r"CUDA Version: *(\d+)\.(\d+)", output)
    return Machine("NVIDIA", (int(found[1]), int(found[2]))) if found else Machine()


def read_amd(cards: Path) -> Machine:
    """Look for an AMD card with memory of its own among the kernel's graphics devices."""
    for file in sorted(cards.glob("card*/device/mem_info_vram_total")):
        if int(file.read_text(encoding="ascii")) >= MIN_AMD_MEMORY:
            return Machine("AMD")
    return Machine()


def _output(command: Sequence[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
