"""What the settings want written into the files of pictures."""

from __future__ import annotations

from pathlib import Path

from bot.config import GENERATED, Config, ConfigError
from generation.errors import Complaint
from generation.imprint import Imprint

KEPT_IN = "signature.pem"


def imprint_of(config: Config) -> Imprint:
    """Give what the settings ask for, after trying it out. Raises ConfigError when pictures cannot be signed so."""
    if not config.signing_certificate:
        return Imprint(prompts=not config.pictures_without_prompts)
    try:
        from generation import credentials
    except ImportError:
        raise ConfigError("SIGNING_CERTIFICATE needs more to be installed: pip install '.[c2pa]'") from None
    try:
        if config.signing_certificate == GENERATED:
            signing = credentials.keep_credentials(config.data_dir / KEPT_IN)
        elif config.signing_key is not None:
            signing = credentials.read_credentials(Path(config.signing_certificate), config.signing_key)
        else:
            raise ConfigError("SIGNING_CERTIFICATE needs SIGNING_KEY, the certificate's private key")
        imprint = Imprint(prompts=not config.pictures_without_prompts, credentials=signing)
        imprint.signer()
    except (Complaint, OSError) as error:
        raise ConfigError(f"SIGNING_CERTIFICATE cannot be used: {error}") from None
    return imprint
