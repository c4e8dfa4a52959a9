"""The certificate and key that sign images: the operator's own, or generated once and stored."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from generation.errors import UserError

VALIDITY = datetime.timedelta(days=3650)
ALGORITHMS = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}  # C2PA's names for keys on these curves


@dataclass(frozen=True, slots=True)
class Credentials:
    """A certificate chain, the signer's first, and the signer's key, both as PEM; `algorithm` is C2PA's name for it."""

    certificates: bytes
    key: bytes = field(repr=False)
    algorithm: str


def read_credentials(certificate: Path, key: Path) -> Credentials:
    """Read the certificate and key from PEM files, which may be the same file; raise UserError on failure."""
    try:
        chain = x509.load_pem_x509_certificates(certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{certificate} contains no readable certificate: {error}") from None
    try:
        secret = pem.load_pem_private_key(key.read_bytes(), password=None)
        algorithm = _algorithm(secret)
    except (OSError, ValueError, TypeError) as error:  # TypeError: it needs a password
        raise UserError(f"{key} contains no usable private key: {error}") from None
    return Credentials(b"".join(each.public_bytes(pem.Encoding.PEM) for each in chain), _as_pem(secret), algorithm)


def load_or_create_credentials(file: Path) -> Credentials:
    """Read the credentials in `file`, which is created if it does not exist. Raise OSError if it cannot be written.

    The certificate is self-issued: it shows that images come from the same place and are unchanged, but nobody vouches
    for it.
    """
    if not file.exists():
        temporary = file.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        temporary.touch(0o600, exist_ok=False)
        temporary.write_bytes(_generate(datetime.datetime.now(datetime.UTC)))
        temporary.replace(file)
    return read_credentials(file, file)


def _generate(now: datetime.datetime) -> bytes:
    """Generate a key, its certificate and a CA certificate, since C2PA rejects a self-signed signer certificate."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root, name = _name("Atelier's own authority"), _name("Atelier")
    authority_key_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    ca_certificate = (
        _certificate(root, root, ca_key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    signer_certificate = (
        _certificate(name, root, key, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(authority_key_id, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return b"".join(
        [_as_pem(key), *(each.public_bytes(pem.Encoding.PEM) for each in (signer_certificate, ca_certificate))]
    )


def _name(common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Atelier"), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime.datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key.public_key())
    return (
        builder.serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _as_pem(key: PrivateKeyTypes) -> bytes:
    return key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())


def _algorithm(key: PrivateKeyTypes) -> str:
    match key:
        case ec.EllipticCurvePrivateKey(curve=curve) if curve.name in ALGORITHMS:
            return ALGORITHMS[curve.name]
        case ed25519.Ed25519PrivateKey():
            return "ed25519"
        case rsa.RSAPrivateKey():
            return "ps256"
    raise ValueError("C2PA supports ECDSA, Ed25519 and RSA keys only")
