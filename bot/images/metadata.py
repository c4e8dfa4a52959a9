"""Turn the settings into image metadata: prompts, signatures and file names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bot.config import GENERATED, Config, ConfigError
from bot.ui.text import slugify
from generation.command_line import install_as_typed
from generation.errors import UserError
from generation.files.metadata import MetadataPolicy
from generation.params import Params

if TYPE_CHECKING:
    from generation.files.c2pa_credentials import Credentials

GENERATED_CREDENTIALS_FILE = "signature.pem"  # in DATA_DIR


def filename_stem(config: Config, params: Params) -> str:
    """Return the file name stem of an image: from its prompt, or "picture" if files must not contain prompts."""
    show_prompt = params.parts and not config.pictures_without_prompts
    return slugify(params.parts[0].text) if show_prompt else "picture"


def metadata_policy(config: Config) -> MetadataPolicy:
    """Return the metadata policy of the settings. Raises ConfigError if a trial signature fails."""
    if not config.signing_certificate:
        return MetadataPolicy(include_prompts=not config.pictures_without_prompts)
    try:
        policy = MetadataPolicy(
            include_prompts=not config.pictures_without_prompts, credentials=_load_credentials(config)
        )
        policy.load_signer()
    except ImportError:
        raise ConfigError(f"SIGNING_CERTIFICATE needs more packages: {install_as_typed('c2pa')}") from None
    except (UserError, OSError) as error:
        raise ConfigError(f"SIGNING_CERTIFICATE cannot be used: {error}") from None
    return policy


def _load_credentials(config: Config) -> Credentials:
    from generation.files.c2pa_credentials import (  # its libraries are optional
        load_or_create_credentials,
        read_credentials,
    )

    if config.signing_certificate == GENERATED:
        return load_or_create_credentials(config.data_dir / GENERATED_CREDENTIALS_FILE)
    if config.signing_key is None:
        raise ConfigError("SIGNING_CERTIFICATE needs SIGNING_KEY, the certificate's private key")
    return read_credentials(Path(config.signing_certificate), config.signing_key)
