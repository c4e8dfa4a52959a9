"""Check that the files of the models are complete, undamaged and loadable."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from bot.doctor.probe import FIX_REINSTALL, run_probe
from bot.doctor.result import CheckResult, CheckStatus, failed, in_daemon_thread, passed, skipped
from generation.command_line import tool_as_typed
from generation.errors import UserError
from generation.models.capabilities import Capability
from generation.models.files.captioner import check_captioner_files
from generation.models.files.errors import FIX_DOWNLOAD, MissingFileError, ModelFileError, describe_place
from generation.models.files.model_files import check_classifier_files, check_model_files
from generation.models.files.pipeline_config import missing_package
from generation.models.files.safetensors_header import read_header
from generation.models.files.upscaler import describe_upscaler
from generation.models.model import describe_model
from generation.models.registry import ModelRegistry


def check_models(refs: Sequence[str]) -> list[CheckResult]:
    """Check the files of each model that MODEL names, and that their names are distinct."""
    results = [result for ref in refs for result in check_model(ref)]
    if any(result.status is CheckStatus.FAILED for result in results):
        return results
    try:
        ModelRegistry.from_refs(refs)
    except UserError as error:
        results.append(failed("model", str(error), "Rename one of them, or remove it from MODEL."))
    return results


def check_model(ref: str) -> list[CheckResult]:
    """Check the files of one model that MODEL names."""
    try:
        model = describe_model(ref)
        weights = check_model_files(model)
    except LocalEntryNotFoundError:  # before FileNotFoundError, its base class
        commands = " and ".join(map(_download, filter(None, (model.ref, model.base, model.partner))))
        fix = f"Start the bot or run {commands}, then check again."
        return [
            skipped("model", f"{model.ref} is not on this machine yet: the bot downloads it at its first start", fix)
        ]
    except ModelFileError as error:
        if isinstance(error, MissingFileError) and not Path(model.ref).exists():
            fix = f"Start the bot or run {_download(model.ref)}, then check again."
            return [skipped("model", f"{error.problem}: the bot downloads the rest at its first start", fix)]
        return [failed("model", error.problem, error.fix)]
    except (OSError, UserError) as error:
        return [
            failed(
                "model",
                str(error),
                "Set MODEL to a catalogue name, a hub id, a diffusers folder or a .safetensors file.",
            )
        ]
    size = sum(path.stat().st_size for path in weights)
    text = f"{model.name} is complete, with {size / 2**20:.0f} MiB of weights"
    if package := missing_package(model.sampler or ""):
        text += f"; its own sampler needs `{tool_as_typed('pip', f'install {package}')}`, without it euler is used"
    if Capability.EDIT in model.capabilities:
        text += "; it changes pictures and draws nothing from words alone, so it should not be the first model"
    return [passed("model", text)]


async def check_models_load(refs: Sequence[str]) -> list[CheckResult]:
    """Check in a process of its own that the models on this machine can be loaded, as far as their headers show."""
    described = await in_daemon_thread(lambda: [ref for ref in refs if _is_described(ref)])
    if not described:
        return []
    probe = await run_probe("generation.engine.networks.load_probe", *described)
    if probe.returncode != 0:
        return [failed("model", f"the check of the models ended: {probe.last_error_line}", FIX_REINSTALL)]
    lines = [line.partition("\t") for line in probe.stdout.decode(errors="replace").splitlines()]
    return [failed("model", problem, FIX_DOWNLOAD) for _, _, problem in lines]


def _is_described(ref: str) -> bool:
    """Return whether nothing else is wrong with a model, which `check_model` would have reported."""
    return all(result.status is not CheckStatus.FAILED for result in check_model(ref))


def largest_parameter_count(refs: Sequence[str]) -> int:
    """Return the parameter count of the largest model whose files can be read, or 0."""
    return max(map(_count_parameters, refs), default=0)


def _count_parameters(ref: str) -> int:
    try:
        files = check_model_files(describe_model(ref))
        return sum(math.prod(shape) for file in files for shape in read_header(file).shapes.values())
    except (OSError, UserError):  # `check_model` reports it
        return 0


def check_classifier(ref: str) -> list[CheckResult]:
    """Check the files of the NSFW classifier, if one is set."""
    if not ref:
        return [passed("classifier", "none is set, so sensitive pictures are not detected")]
    return [_check_model_of("SENSITIVE_CLASSIFIER", "classifier", ref, check_classifier_files)]


def check_describer(ref: str) -> list[CheckResult]:
    """Check the files of the captioner that DESCRIBER names; return nothing if none is set."""
    return [_check_model_of("DESCRIBER", "describer", ref, check_captioner_files)] if ref else []


def _check_model_of(setting: str, name: str, ref: str, check_files: Callable[[str], object]) -> CheckResult:
    fix = f"Start the bot or run {_download(ref)}, then check again."
    try:
        check_files(ref)
    except LocalEntryNotFoundError:
        return skipped(name, f"{ref} is not on this machine yet: the bot downloads it at its first start", fix)
    except HFValidationError:
        return failed(name, _what_is_at(ref), f"Set {setting} to a model's folder or hub id.")
    except ModelFileError as error:
        return failed(name, error.problem, error.fix)
    except UserError as error:
        return failed(name, str(error), f"Set {setting} to such a model, or leave it empty.")
    return passed(name, f"{ref} is complete")


def _what_is_at(path: str) -> str:
    return f"{path} {describe_place(Path(path)) or 'does not exist'}"


def check_upscaler(path: Path | None) -> list[CheckResult]:
    """Check the file that UPSCALER names; return nothing if none is set."""
    if path is None:
        return []
    fix = "Set UPSCALER to the safetensors file of a Real-ESRGAN upscaler, or leave it empty."
    try:
        found = describe_upscaler(path)
    except ModelFileError as error:
        return [failed("upscaler", error.problem, error.fix)]
    except (FileNotFoundError, UserError) as error:
        return [failed("upscaler", str(error), fix)]
    return [passed("upscaler", f"{path.name} enlarges {found.factor}×")]


def _download(ref: str) -> str:
    return f"`{tool_as_typed('hf', f'download {ref}')}`"
