"""No file, however odd, does more than be refused with the reason."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.doctor.model import check_model
from bot.doctor.result import CheckStatus
from generation.errors import UserError
from generation.models.adapters import scan_adapters
from generation.models.files.errors import ModelFileError
from generation.models.files.lora import describe_lora, trigger_words
from generation.models.files.model_files import check_model_files
from generation.models.files.safetensors_header import read_header
from generation.models.files.textual_inversion import describe_embedding
from generation.models.files.upscaler import describe_upscaler
from generation.models.model import EMBEDDED, describe_model

LAYER = "lora_unet_mid_block_attentions_0_proj_in"
DEEP = "[" * 50_000
SCANNED: dict[str, Callable[[Path], Any]] = {
    "lora": lambda path: describe_lora(path, "it"),
    "embedding": lambda path: describe_embedding(path, "it"),
    "upscaler": describe_upscaler,
    "model": lambda path: describe_model(str(path)),
}


def write(path: Path, header: object, data: bytes = b"", length: int | None = None) -> Path:
    """Write a safetensors file with any header, also one that no library would write."""
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(content) if length is None else length) + content + data)
    return path


def lora_header(**metadata: object) -> dict[str, object]:
    """Return the header of a LoRA with one layer."""
    return {
        f"{LAYER}.lora_down.weight": {"dtype": "F16", "shape": [1, 8], "data_offsets": [0, 16]},
        f"{LAYER}.lora_up.weight": {"dtype": "F16", "shape": [8, 1], "data_offsets": [16, 32]},
        "__metadata__": metadata,
    }


ODD_HEADERS: dict[str, Any] = {
    "deep": (b'{"x":' + DEEP.encode(),),
    "deep notes": (b'{"__metadata__":{"a":' + DEEP.encode(),),
    "no object": ([1, 2],),
    "endless": ({"x": {"dtype": "F32", "shape": [1e999], "data_offsets": [0, 4]}}, b"0000"),
    "huge shape": ({"x": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 4]}}, b"0000"),
    "too long": ({}, b"", 2**63),
    "all of the memory": ({}, b"", 2**40),
    "no text": (b"\xff\xfe{}",),
    "half a character": (b'{"x\\ud800":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"0000"),
    "no types": ({"x": {}},),
    "numbers as notes": ({"__metadata__": {"a": 1}},),
    "unknown type": ({"x": {"dtype": "F77", "shape": [1], "data_offsets": [0, 4]}}, b"0000"),
}


@pytest.mark.parametrize("kind", SCANNED)
@pytest.mark.parametrize("name", ODD_HEADERS)
def test_an_odd_header_is_refused_by_name(tmp_path: Path, kind: str, name: str) -> None:
    path = write(tmp_path / "odd.safetensors", *ODD_HEADERS[name])
    with pytest.raises(UserError, match=r"odd\.safetensors"):
        SCANNED[kind](path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS pointer.*git-lfs"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"\n <html>", "a web page"),
        (b"PK\x03\x04" + bytes(200), "pickled.*Convert"),
        (b"\x80\x02}q\x00", "pickled.*Convert"),
        (b"GGUF\x03\x00\x00\x00", "GGUF"),
        (b"\x00" * 300, "header"),
    ],
)
def test_another_file_in_place_of_weights_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "odd.safetensors").write_bytes(content)
    with pytest.raises(ModelFileError, match=rf"odd\.safetensors is damaged or not a safetensors file: .*{message}"):
        read_header(tmp_path / "odd.safetensors")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
@pytest.mark.parametrize("kind", SCANNED)
def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    os.mkfifo(tmp_path / "odd.safetensors")
    with pytest.raises((UserError, FileNotFoundError), match=r"odd\.safetensors"):
        SCANNED[kind](tmp_path / "odd.safetensors")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_not_called_missing(tmp_path: Path) -> None:
    path = write(tmp_path / "odd.safetensors", lora_header(), bytes(32))
    path.chmod(0)
    with pytest.raises(ModelFileError, match=r"Permission denied\. Make it readable for the account of the bot"):
        read_header(path)
    tmp_path.chmod(0)
    try:
        (found,) = check_model(str(path))
    finally:
        tmp_path.chmod(0o755)
    assert (found.status, "Permission denied" in found.text) == (CheckStatus.FAILED, True)


@pytest.mark.parametrize("missing", [1, 15, 33])
def test_a_download_that_was_interrupted_is_called_so(tmp_path: Path, missing: int) -> None:
    path = write(tmp_path / "cut.safetensors", lora_header(), bytes(32))
    path.write_bytes(path.read_bytes()[:-missing])
    with pytest.raises(UserError, match="Download the model again"):
        describe_lora(path, "cut")


@pytest.mark.parametrize("note", ["ss_tag_frequency", "lora_adapter_metadata", "modelspec.trigger_phrase"])
@pytest.mark.parametrize(
    "content",
    [DEEP, '{"a": ' * 50_000, '{"a": {"b": 1e999}}', '{"a": {"b": -1}}', "[1]", "1e999", "{}", "\x00", '{"a": [{}]}'],
)
def test_odd_notes_about_the_training_do_not_end_the_start(tmp_path: Path, note: str, content: str) -> None:
    path = write(tmp_path / "it.safetensors", lora_header(**{note: content}), bytes(32))
    assert describe_lora(path, "it").name == "it"


def test_tags_are_counted_whatever_else_is_noted() -> None:
    noted = '{"10_ink": {"ink wash": 40, "fox": 1e999, "b": null}, "c": 7, "d": {"ink wash": 2}}'
    assert trigger_words({"ss_tag_frequency": noted}) == "ink wash"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    header=st.dictionaries(
        st.sampled_from(
            [
                f"{LAYER}.lora_down.weight",
                f"{LAYER}.alpha",
                "bundle_emb.a.clip_l",
                "emb_params",
                "conv_first.weight",
                "model.diffusion_model.input_blocks.0.0.weight",
                "__metadata__",
            ]
        ),
        JSON_VALUES
        | st.fixed_dictionaries(
            {
                "dtype": st.sampled_from(["F16", "F32", "I8", "F8_E4M3"]) | JSON_VALUES,
                "shape": st.lists(st.integers(-1, 4), max_size=5) | JSON_VALUES,
                "data_offsets": st.just([0, 0]) | st.lists(st.integers(0, 64), min_size=2, max_size=2) | JSON_VALUES,
            }
        ),
        max_size=4,
    ),
    size=st.integers(0, 64),
    cut=st.integers(0, 40),
)
def test_any_header_is_read_or_refused(tmp_path: Path, header: dict[str, Any], size: int, cut: int) -> None:
    path = write(tmp_path / "odd.safetensors", header, bytes(size))
    path.write_bytes(path.read_bytes()[cut:])
    for describe in SCANNED.values():
        try:
            describe(path)
        except UserError as refused:
            assert "odd.safetensors" in str(refused)
    scan_adapters(tmp_path, tmp_path)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 300), byte=st.binary(min_size=1, max_size=3))
def test_a_header_with_changed_bytes_is_read_or_refused(tmp_path: Path, position: int, byte: bytes) -> None:
    path = write(tmp_path / "odd.safetensors", lora_header(ss_tag_frequency='{"a": {"b": 2}}'), bytes(32))
    content = path.read_bytes()
    path.write_bytes(content[:position] + byte + content[position + len(byte) :])
    for describe in SCANNED.values():
        try:
            describe(path)
        except UserError as refused:
            assert "odd.safetensors" in str(refused)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the embedded model."""
    return shutil.copytree(EMBEDDED, tmp_path_factory.mktemp("odd") / "model")


JSON_FILES = (
    "model_index.json",
    "atelier.json",
    "unet/config.json",
    "vae/config.json",
    "scheduler/scheduler_config.json",
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(file=st.sampled_from(JSON_FILES), key=st.integers(0, 60), value=JSON_VALUES)
def test_any_value_in_a_models_json_is_read_or_refused(folder: Path, file: str, key: int, value: Any) -> None:
    original = (folder / file).read_bytes()
    values = json.loads(original)
    values[sorted(values)[key % len(values)]] = value
    (folder / file).write_text(json.dumps(values))
    try:
        check_model_files(describe_model(str(folder)))
    except UserError as refused:
        assert str(folder) in str(refused)
    finally:
        (folder / file).write_bytes(original)


@pytest.mark.parametrize("file", JSON_FILES)
@pytest.mark.parametrize("content", [DEEP.encode(), b"\xff\xff", b"{", b"null", b'{"a": 1e999'])
def test_a_damaged_json_file_is_named_by_the_doctor(folder: Path, file: str, content: bytes) -> None:
    original = (folder / file).read_bytes()
    (folder / file).write_bytes(content)
    try:
        (found,) = check_model(str(folder))
        assert (found.status, file in found.text) == (CheckStatus.FAILED, True)
    finally:
        (folder / file).write_bytes(original)
