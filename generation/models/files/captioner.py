"""Check the captioner that DESCRIBER names, without torch."""

from __future__ import annotations

from generation.errors import UserError
from generation.models.files.config_types import read_config
from generation.models.files.errors import MissingFileError, ModelFileError
from generation.models.files.model_files import TRANSFORMERS_WEIGHTS, local_folder, weight_files
from generation.models.files.safetensors_header import read_header

# The kinds that transformers can run without code from the hub, and what each is asked.
QUESTIONS = {"blip": "", "florence2": "<DETAILED_CAPTION>"}
_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json")


def require_captioner(ref: str, kind: object) -> None:
    """Raise UserError if a model of this kind is no captioner that can be used."""
    if kind not in QUESTIONS:
        named = "" if kind is None else f" ({kind})"
        raise UserError(f"DESCRIBER {ref} is no captioner that can be used{named}: take a BLIP or a Florence-2 model.")


def check_captioner_files(ref: str) -> None:
    """Raise UserError for a captioner with missing, damaged or unsupported files, and like `local_folder`."""
    folder = local_folder(ref)
    if not (folder / "config.json").is_file():
        raise ModelFileError(f"{folder} has no config.json", "Set DESCRIBER to a model's folder or hub id.")
    require_captioner(ref, read_config(folder / "config.json").get("model_type"))
    for names in (_PROCESSORS, _VOCABULARIES):
        if not any((folder / name).is_file() for name in names):
            raise MissingFileError(f"{folder} has no {' or '.join(names)}")
    for path in weight_files(folder, TRANSFORMERS_WEIGHTS):
        read_header(path)
