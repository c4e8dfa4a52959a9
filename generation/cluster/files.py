"""The files that let machines into a cluster: the token, and the authority that signs each machine's certificate."""

from __future__ import annotations

import datetime
import ipaddress
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from generation.command_line import as_typed
from generation.errors import UserError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

VALIDITY = datetime.timedelta(days=3650)
TOKEN_BYTES = 32
ORGANIZATION = "Atelier's cluster"


@dataclass(frozen=True, slots=True)
class MachineFiles:
    """What one machine of a cluster shows to the others, and the authority by which it knows them."""

    token: Path
    authority: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class ClusterFiles:
    """The folder that is copied to every machine of a cluster. Whoever has it can run programs on all of them."""

    folder: Path

    @property
    def token(self) -> Path:
        return self.folder / "token"

    @property
    def authority(self) -> Path:
        return self.folder / "authority.pem"

    @property
    def authority_key(self) -> Path:
        return self.folder / "authority.key"

    @property
    def exist(self) -> bool:
        """Return whether the folder has all that a machine needs."""
        return all(file.is_file() for file in (self.token, self.authority, self.authority_key))

    def create(self) -> None:
        """Write a new token and a new authority, readable by this user only. Raise UserError if there are some."""
        if any(file.exists() for file in (self.token, self.authority, self.authority_key)):
            raise UserError(f"{self.folder} has the files of a cluster already. For a new cluster, delete them first.")
        from cryptography.hazmat.primitives.asymmetric import ec

        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        _write_private(self.authority_key, _key_pem(key))
        _write_private(self.authority, _certificate_pem(_authority_certificate(key)))
        _write_private(self.token, secrets.token_hex(TOKEN_BYTES).encode())

    def require(self) -> None:
        """Raise UserError if a file is missing: without a token and certificates nobody joins."""
        if not self.exist:
            raise UserError(
                f"{self.folder} has not all of {self.token.name}, {self.authority.name} and {self.authority_key.name}. "
                f"Run `{as_typed('cluster init')}` on the bot's machine, and copy the three files here."
            )

    def for_machine(self, address: str) -> MachineFiles:
        """Return the files of the machine with this IP address; make its certificate if there is none yet."""
        self.require()
        stem = f"machine-{address.replace(':', '-')}"
        files = MachineFiles(self.token, self.authority, self.folder / f"{stem}.pem", self.folder / f"{stem}.key")
        if not (files.certificate.exists() and files.key.exists()):
            self._certify(address, files)
        return files

    def _certify(self, address: str, files: MachineFiles) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        try:
            authority_key = serialization.load_pem_private_key(self.authority_key.read_bytes(), password=None)
            authority = x509.load_pem_x509_certificate(self.authority.read_bytes())
            if not isinstance(authority_key, ec.EllipticCurvePrivateKey):
                raise ValueError("not a key on an elliptic curve")
        except ValueError as error:
            raise UserError(f"{self.folder} has a damaged certificate or key: {error}") from None
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _machine_certificate(address, key, authority, authority_key)
        _write_private(files.key, _key_pem(key))
        _write_private(files.certificate, _certificate_pem(certificate))


def _write_private(file: Path, content: bytes) -> None:
    temporary = file.with_suffix(f"{file.suffix}.new")
    temporary.unlink(missing_ok=True)
    temporary.touch(0o600, exist_ok=False)
    temporary.write_bytes(content)
    temporary.replace(file)


def _authority_certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    name = _name("authority")
    return (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )


def _machine_certificate(
    address: str,
    key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    """Certify an address, for both ends of a connection; on one machine also as `localhost`."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID

    addresses = {ipaddress.ip_address(address), ipaddress.ip_address("127.0.0.1")}
    names = [*map(x509.IPAddress, sorted(addresses, key=str)), x509.DNSName("localhost")]
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return (
        _builder(_name(address), authority.subject, key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(authority_key, hashes.SHA256())
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    from cryptography import x509

    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # the machines' clocks may differ
        .not_valid_after(now + VALIDITY)
    )


def _name(common_name: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _certificate_pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM)
