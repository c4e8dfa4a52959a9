"""Build the worker that the settings describe, and check the files that it needs.

The bot's services do this, and so do commands that need nothing else of the bot.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from bot.config import GENERATED, Config, ConfigError
from bot.images.metadata import metadata_policy
from bot.registry import load_registry
from generation.engine.device.availability import require_possible_fp8
from generation.errors import UserError
from generation.models.adapters import scan_adapters
from generation.models.files.captioner import check_captioner_files
from generation.models.files.errors import absence
from generation.models.files.model_files import check_classifier_files, require_local_files
from generation.models.files.upscaler import describe_upscaler
from generation.models.model import HUB_ID, describe_model
from generation.models.registry import ModelRegistry
from generation.worker.devices import list_devices
from generation.worker.engine_loader import load_engine
from generation.worker.worker import LocalWorker


def find_unusable_files(config: Config) -> list[str]:
    """Return what is wrong with the models, other files and the device, one sentence each."""

    def certificate() -> None:
        if config.signing_certificate != GENERATED:  # that one is made at the start
            metadata_policy(config)

    checks: list[tuple[str, Callable[[], object]]] = [
        *(("MODEL", partial(_require_usable_model, ref)) for ref in config.models),
        ("LORAS", partial(scan_adapters, config.loras, None)),
        ("EMBEDDINGS", partial(scan_adapters, None, config.embeddings)),
        ("CONTROLS", partial(scan_adapters, None, None, config.controls)),
        ("IMAGE_ADAPTERS", partial(scan_adapters, None, None, None, config.image_adapters)),
        ("UPSCALER", lambda: describe_upscaler(config.upscaler) if config.upscaler else None),
        ("SENSITIVE_CLASSIFIER", partial(_require_folder, config.sensitive_classifier, check_classifier_files)),
        ("DESCRIBER", partial(_require_folder, config.describer, check_captioner_files)),
        ("SIGNING_CERTIFICATE", certificate),
        ("DEVICE", partial(list_devices, config.device)),
        ("FP8", partial(require_possible_fp8, config.device) if config.fp8 else lambda: None),
    ]
    problems = []
    for setting, check in checks:
        try:
            check()
        except (ConfigError, UserError, OSError) as error:
            problems.append(str(error) if setting in str(error) else f"{setting}: {error}")
    return problems


def _require_folder(ref: str, check: Callable[[str], None]) -> None:
    """Check the files of a model that is on this machine; one of the hub is downloaded by the worker."""
    if not ref:
        return
    if Path(ref).is_dir():
        check(ref)
    elif Path(ref).exists() or not HUB_ID.fullmatch(ref):
        raise FileNotFoundError(absence("model folder", Path(ref)))


def _require_usable_model(ref: str) -> None:
    require_local_files(describe_model(ref))


def make_worker(
    config: Config,
    registry: ModelRegistry | None = None,
    device: str | None = None,
    *,
    name: str = "",
    processes: int = 1,
) -> LocalWorker:
    """Build a worker for `registry`, or all configured models, on `device`, or the first one that DEVICE names.

    `processes` is the number of workers that share the machine. Raises like `load_registry` and `list_devices`. Also
    raises UserError for a model on this machine whose files are incomplete or damaged, or an upscaler's file that is
    none, FileNotFoundError if the upscaler or a model's folder does not exist, and ConfigError if images cannot be
    signed as configured.
    """
    registry = registry or load_registry(config)
    for model in registry.models:
        require_local_files(model)
    _require_folder(config.sensitive_classifier, check_classifier_files)
    _require_folder(config.describer, check_captioner_files)
    upscaler = describe_upscaler(config.upscaler) if config.upscaler else None
    return LocalWorker(
        registry,
        device or _own_device(config),
        config.threads,
        capacity=config.jobs_at_once,
        step_timeout=config.step_timeout,
        load=partial(
            load_engine,
            metadata_policy=metadata_policy(config),
            classifier=config.sensitive_classifier,
            upscaler=upscaler,
            memory=config.model_memory,
            describer=config.describer,
            compile_unets=config.compile,
            fp8=config.fp8,
            processes=processes,
        ),
        name=name,
    )


def _own_device(config: Config) -> str:
    devices = list_devices(config.device)
    if not devices:
        raise ConfigError("DEVICE=none: this machine generates nothing itself")
    return devices[0]
