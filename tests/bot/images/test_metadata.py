"""Image metadata from the settings: tried at startup, refused with the setting's name."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import c2pa
import pytest

from bot.config import Config, ConfigError
from bot.images.metadata import metadata_policy
from bot.workers import make_worker
from generation.command_line import install_as_typed
from generation.files.metadata import MetadataPolicy
from generation.messages import Generate
from generation.prompt import parse_params
from generation.worker import process
from tests.support.fork_servers import engine_fork_server, engine_server

__all__ = ["engine_fork_server", "engine_server"]


@pytest.fixture
def own_credentials(tmp_path: Path) -> Path:
    """Create a file with a certificate and its key."""
    metadata_policy(Config(data_dir=tmp_path, signing_certificate="generated"))
    return tmp_path / "signature.pem"


def test_by_default_prompts_are_included_and_images_unsigned():
    assert metadata_policy(Config()) == MetadataPolicy(include_prompts=True, credentials=None)


@pytest.mark.parametrize("certificate", ["", "generated"])
def test_prompts_can_be_left_out(tmp_path, certificate):
    config = Config(data_dir=tmp_path, pictures_without_prompts=True, signing_certificate=certificate)
    assert not metadata_policy(config).include_prompts


def test_generated_credentials_are_stored_in_the_data_folder(tmp_path):
    config = Config(data_dir=tmp_path, signing_certificate="generated")
    assert metadata_policy(config) == metadata_policy(config)
    assert [path.name for path in tmp_path.iterdir()] == ["signature.pem"]


def test_the_operators_credentials_are_read(own_credentials):
    config = Config(signing_certificate=str(own_credentials), signing_key=own_credentials)
    assert (
        metadata_policy(config).credentials
        == metadata_policy(Config(data_dir=own_credentials.parent, signing_certificate="generated")).credentials
    )


def test_a_certificate_needs_its_key(own_credentials):
    with pytest.raises(ConfigError, match=r"^SIGNING_CERTIFICATE needs SIGNING_KEY"):
        metadata_policy(Config(signing_certificate=str(own_credentials)))


@pytest.mark.parametrize("data_dir", ["missing", "file"])
def test_credentials_that_cannot_be_stored_are_refused(tmp_path, data_dir):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"^SIGNING_CERTIFICATE cannot be used: .*signature\.new"):
        metadata_policy(Config(data_dir=tmp_path / data_dir, signing_certificate="generated"))


def test_credentials_that_cannot_sign_are_refused_at_startup(own_credentials, tmp_path):
    (tmp_path / "other").mkdir()
    metadata_policy(Config(data_dir=tmp_path / "other", signing_certificate="generated"))
    config = Config(signing_certificate=str(own_credentials), signing_key=tmp_path / "other" / "signature.pem")
    with pytest.raises(ConfigError, match=r"^SIGNING_CERTIFICATE cannot be used: Pictures cannot be signed with this"):
        make_worker(config)


@pytest.mark.parametrize("library", ["cryptography", "c2pa"])
def test_signing_without_its_libraries_names_the_install_command(tmp_path, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    for module in ("generation.files.c2pa_credentials", "generation.files.c2pa_signing"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(ConfigError, match=re.escape(install_as_typed("c2pa"))):
        metadata_policy(Config(data_dir=tmp_path, signing_certificate="generated"))


async def test_the_settings_reach_the_gpu_process(tmp_path, tiny_model, engine_fork_server, monkeypatch):
    monkeypatch.setattr(process, "multiprocessing", engine_fork_server)
    config = Config(
        models=(str(tiny_model),),
        device="cpu",
        threads=1,
        data_dir=tmp_path,
        pictures_without_prompts=True,
        signing_certificate="generated",
    )
    worker = make_worker(config)
    params = parse_params("a xylophone --steps 2", worker.registry)
    try:
        await worker.start()
        grid = await worker.generate(Generate("a", params, 0, 10**7), lambda _: None)
    finally:
        await worker.close()
    for file, kind in (*((tile, "png") for tile in grid.tiles), (grid.image, grid.suffix)):
        assert c2pa.Reader(f"image/{kind}", io.BytesIO(file)).get_validation_state() == "Valid"
        assert b"xylophone" not in file
