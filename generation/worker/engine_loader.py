"""Load the real engine inside the GPU process: the only place outside `generation/engine` that imports torch."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from generation.engine.base import Emit, Engine
from generation.files.metadata import DEFAULT_METADATA_POLICY, MetadataPolicy
from generation.models.files.upscaler import UpscalerInfo
from generation.models.registry import ModelRegistry
from generation.worker.devices import isolated, no_such_gpu

# How often a torch thread polls for the others before it yields its core: about 0.1 ms. The default is thirty times as
# long; with it, beside a program that uses a core, two threads are many times slower than one.
SPIN_COUNT = "10000"
COMPILE_CACHE_DIR = ".cache/atelier/compiled"  # in the home folder; torch's own default is lost at a reboot

LoadEngine = Callable[[ModelRegistry, str, int, Emit], Engine]


def load_engine(
    registry: ModelRegistry,
    device: str,
    threads: int,
    emit: Emit,
    metadata_policy: MetadataPolicy = DEFAULT_METADATA_POLICY,
    classifier: str = "",
    upscaler: UpscalerInfo | None = None,
    memory: int = 0,
    *,
    describer: str = "",
    compile_unets: bool = False,
    fp8: bool = False,
    processes: int = 1,
) -> Engine:
    """Load the real engine with the default model; `threads` is torch's number of CPU threads (0: its own choice).

    `memory` is the number of bytes that models may take on the device (0: most of what is free). With `compile_unets`,
    UNets are compiled for frequent shapes; with `fp8`, they multiply in 8 bits. `describer` is the folder or hub id of
    a captioner. Where there are several such `processes`, this one sees only its own GPU, and the machine's threads and
    RAM are divided among them.
    """
    own_device, environment = isolated(device) if processes > 1 else (device, {})
    os.environ.update(environment)
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)  # read when torch is imported
    if compile_unets:
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(Path.home() / COMPILE_CACHE_DIR))
    from generation.engine.device.lean_imports import import_libraries, without_garbage_collection

    with without_garbage_collection():
        import torch

        if environment and not torch.cuda.is_available():
            raise no_such_gpu(device)
        if threads or processes > 1:
            torch.set_num_threads(max(1, (threads or torch.get_num_threads()) // processes))
        if not compile_unets:
            import_libraries()
        from generation.engine.device.oom import default_budgets
        from generation.engine.output.captioner import load_captioner
        from generation.engine.serving.model_loader import ModelLoader
        from generation.engine.serving.multi_model_engine import MultiModelEngine

    loader = ModelLoader(
        own_device, metadata_policy, classifier, upscaler, registry.adapters, compile_unets=compile_unets, fp8=fp8
    )
    captioner = load_captioner(describer)
    device_budget, ram_budget = default_budgets(loader.device)
    device_share = 1 if loader.device.type == "cuda" else processes  # any other device's memory is the RAM
    device_bytes, ram_bytes = (memory or device_budget) // device_share, ram_budget // processes
    return MultiModelEngine(registry, loader, emit, device_bytes, ram_bytes, captioner)
