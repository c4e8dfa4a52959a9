"""Content Credentials: signed images are valid and unchanged, and invalid credentials are refused with a reason."""

from __future__ import annotations

import datetime
import io
import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import c2pa
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from PIL import Image

from generation.errors import UserError
from generation.files.c2pa_credentials import Credentials, load_or_create_credentials, read_credentials
from generation.files.c2pa_signing import ContentCredentialsSigner
from generation.files.job_name import named_job
from generation.files.png_encoder import encode_png
from generation.params import Params, Tile, Upload
from tests.support.engine_harness import make_params

PICTURE = Image.effect_noise((64, 48), 80).convert("RGB")
TEXT = "a fox 🦊\nSteps: 20, Sampler: Euler a"
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def png() -> bytes:
    return encode_png(PICTURE, TEXT)


def webp() -> bytes:
    file = io.BytesIO()
    PICTURE.save(file, "WEBP", lossless=True)
    return file.getvalue()


def manifest(data: bytes, suffix: str = "png", anchor: bytes = b"") -> dict[str, Any]:
    """Read the signature with C2PA's own reader, trusting `anchor`."""
    settings = {"trust": {"user_anchors": anchor.decode()}} if anchor else {}
    reader = c2pa.Reader(f"image/{suffix}", io.BytesIO(data), context=c2pa.Context.from_dict(settings))
    return json.loads(reader.json())


def source_type(data: bytes, suffix: str = "png") -> str:
    report = manifest(data, suffix)
    (assertion,) = report["manifests"][report["active_manifest"]]["assertions"]
    (action,) = assertion["data"]["actions"]
    assert action["action"] == "c2pa.created"
    return action["digitalSourceType"].rpartition("/")[2]


@pytest.fixture(scope="module")
def own_credentials(tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    return load_or_create_credentials(tmp_path_factory.mktemp("kept") / "signature.pem")


@pytest.mark.parametrize(("data", "suffix"), [(png(), "png"), (webp(), "webp")], ids=["png", "webp"])
def test_a_signed_image_is_valid_and_has_the_same_pixels(own_credentials, data, suffix):
    signed = ContentCredentialsSigner(own_credentials).sign(data, suffix, make_params())
    assert manifest(signed, suffix)["validation_state"] == "Valid"
    assert Image.open(io.BytesIO(signed)).tobytes() == PICTURE.tobytes()
    assert 0 < len(signed) - len(data) < ContentCredentialsSigner.max_signature_bytes


def test_a_signed_image_keeps_its_parameters(own_credentials):
    signed = Image.open(io.BytesIO(ContentCredentialsSigner(own_credentials).sign(png(), "png", make_params())))
    assert signed.info["parameters"] == TEXT


@pytest.mark.parametrize(("data", "suffix"), [(png(), "png"), (webp(), "webp")], ids=["png", "webp"])
def test_a_signed_image_names_its_job_and_tile(own_credentials, data, suffix):
    params, own = replace(make_params(), source=PARENTS[0]), Tile("00ff00ff00ff", 3)
    signed = ContentCredentialsSigner(own_credentials).sign(data, suffix, params, str(own))
    report = manifest(signed, suffix)
    active = report["manifests"][report["active_manifest"]]
    assert (report["validation_state"], active["title"]) == ("Valid", str(own))
    assert own.job_id in active["instance_id"]
    assert named_job(signed) == own.job_id, "not the image that it was made from"


PARENTS = (Tile("0123456789ab", 2), Tile("ba9876543210", 0))


@pytest.mark.parametrize(
    ("changes", "relation", "actions"),
    [
        ({"source": PARENTS[0]}, {str(PARENTS[0]): "parentOf"}, ["c2pa.opened", "c2pa.edited"]),
        ({"original": PARENTS[0]}, {str(PARENTS[0]): "parentOf"}, ["c2pa.opened", "c2pa.edited"]),
        (
            {"source": PARENTS[0], "original": PARENTS[1]},
            {str(tile): "componentOf" for tile in PARENTS[:2]},
            ["c2pa.created", "c2pa.placed"],
        ),
        (
            {"source": PARENTS[0], "blended": (PARENTS[1],)},
            {str(tile): "componentOf" for tile in PARENTS},
            ["c2pa.created", "c2pa.placed"],
        ),
        ({"source": Upload("f" * 64)}, {}, ["c2pa.created"]),
    ],
    ids=["a variation", "an edit", "a variation of an edit", "a blend", "an upload"],
)
def test_a_signed_image_names_the_images_that_it_was_made_from(own_credentials, changes, relation, actions):
    params = replace(make_params(), **changes)
    for _ in range(10):  # the file does not grow with the generations
        signed = ContentCredentialsSigner(own_credentials).sign(png(), "png", params)
    report = manifest(signed)
    assert report["validation_state"] == "Valid"
    active = report["manifests"][report["active_manifest"]]
    assert {each["title"]: each["relationship"] for each in active.get("ingredients", [])} == relation
    (assertion,) = [each for each in active["assertions"] if each["label"].startswith("c2pa.actions")]
    assert [action["action"] for action in assertion["data"]["actions"]] == actions


@pytest.mark.parametrize("place", [0.2, 0.5, 0.9])
def test_a_modified_image_is_no_longer_valid(own_credentials, place):
    signed = bytearray(ContentCredentialsSigner(own_credentials).sign(webp(), "webp", make_params()))
    assert manifest(bytes(signed), "webp")["validation_state"] == "Valid"
    signed[int(len(webp()) * place)] ^= 1
    assert manifest(bytes(signed), "webp")["validation_state"] == "Invalid"


@pytest.mark.parametrize(
    ("params", "kind"),
    [
        (make_params(), "trainedAlgorithmicMedia"),
        (make_params(source=Upload("cafe"), strength=0.5), "compositeWithTrainedAlgorithmicMedia"),
    ],
)
def test_the_signature_names_the_digital_source_type(own_credentials, params: Params, kind):
    assert source_type(ContentCredentialsSigner(own_credentials).sign(png(), "png", params)) == kind


def test_the_signature_contains_no_word_of_the_prompt(own_credentials):
    signed = ContentCredentialsSigner(own_credentials).sign(
        webp(), "webp", make_params("a xylophone", no=("quicksilver",), negative_prompt="mumbling")
    )
    assert not any(word in signed for word in (b"xylophone", b"quicksilver", b"mumbling"))


def test_a_file_that_cannot_be_signed_is_returned_unsigned_and_logged(own_credentials, caplog):
    assert ContentCredentialsSigner(own_credentials).sign(b"no image", "png", make_params()) == b"no image"
    assert "without a signature" in caplog.text


# --- generated credentials


def test_credentials_are_generated_once_per_machine(tmp_path):
    file = tmp_path / "signature.pem"
    (tmp_path / "signature.new").write_text("left over from a crash")
    first = load_or_create_credentials(file)
    assert load_or_create_credentials(file) == first
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["signature.pem"]
    assert load_or_create_credentials(tmp_path / "other.pem").certificates != first.certificates


def test_the_key_is_not_in_the_repr(own_credentials):
    assert "PRIVATE" not in repr(own_credentials)


# --- the operator's credentials


def x509_name(text: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, text), x509.NameAttribute(NameOID.COMMON_NAME, text)]
    )


def issue_certificate(
    key: Any, *, start: datetime.datetime = NOW - DAY, end: datetime.datetime = NOW + DAY
) -> tuple[bytes, bytes]:
    """Issue a certificate for `key` by a new CA; return the chain and the CA certificate."""
    authority = ec.generate_private_key(ec.SECP256R1())
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    root = (
        x509.CertificateBuilder(x509_name("Root"), x509_name("Root"), authority.public_key(), 1, start, end)
        .add_extension(x509.BasicConstraints(True, 0), True)
        .add_extension(x509.KeyUsage(digital_signature=False, key_cert_sign=True, crl_sign=True, **usage), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority.public_key()), False)
        .sign(authority, hashes.SHA256())
    )
    leaf = (
        x509.CertificateBuilder(root.subject, x509_name("Studio"), key.public_key(), 2, start, end)
        .add_extension(x509.BasicConstraints(False, None), True)
        .add_extension(x509.KeyUsage(digital_signature=True, key_cert_sign=False, crl_sign=False, **usage), True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), False)
        .sign(authority, hashes.SHA256())
    )
    return certificate_pem(leaf) + certificate_pem(root), certificate_pem(root)


def certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(pem.Encoding.PEM)


def key_pem(key: Any, form: pem.PrivateFormat = pem.PrivateFormat.PKCS8, password: bytes = b"") -> bytes:
    lock = pem.BestAvailableEncryption(password) if password else pem.NoEncryption()
    return key.private_bytes(pem.Encoding.PEM, form, lock)


def ec_key(curve: ec.EllipticCurve) -> Callable[[], Any]:
    return lambda: ec.generate_private_key(curve)


@pytest.mark.parametrize(
    ("make", "form", "algorithm"),
    [
        (ec_key(ec.SECP256R1()), pem.PrivateFormat.PKCS8, "Es256"),
        (ec_key(ec.SECP256R1()), pem.PrivateFormat.TraditionalOpenSSL, "Es256"),
        (ec_key(ec.SECP384R1()), pem.PrivateFormat.PKCS8, "Es384"),
        (ec_key(ec.SECP521R1()), pem.PrivateFormat.PKCS8, "Es512"),
        (ed25519.Ed25519PrivateKey.generate, pem.PrivateFormat.PKCS8, "Ed25519"),
        (lambda: rsa.generate_private_key(65537, 2048), pem.PrivateFormat.TraditionalOpenSSL, "Ps256"),
    ],
)
@pytest.mark.parametrize("in_one_file", [False, True])
def test_every_key_type_that_c2pa_supports_can_sign(tmp_path, make, form, algorithm, in_one_file):
    key = make()
    chain, root = issue_certificate(key)
    (tmp_path / "key.pem").write_bytes(key_pem(key, form))
    (tmp_path / "chain.pem").write_bytes(key_pem(key, form) + chain if in_one_file else chain)
    credentials = read_credentials(tmp_path / "chain.pem", tmp_path / ("chain.pem" if in_one_file else "key.pem"))
    report = manifest(ContentCredentialsSigner(credentials).sign(png(), "png", make_params()), "png", root)
    assert report["validation_state"] == "Trusted"
    assert report["manifests"][report["active_manifest"]]["signature_info"]["alg"] == algorithm


def signing_error(folder: Path, chain: bytes | None, key: bytes | None) -> str:
    for file, data in (("chain.pem", chain), ("key.pem", key)):
        if data is not None:
            (folder / file).write_bytes(data)
    with pytest.raises(UserError) as refused:
        ContentCredentialsSigner(read_credentials(folder / "chain.pem", folder / "key.pem"))
    return str(refused.value)


def test_files_without_credentials_are_refused_by_name(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    chain, _ = issue_certificate(key)
    assert "chain.pem contains no readable certificate" in signing_error(tmp_path, None, key_pem(key))
    assert "chain.pem contains no readable certificate" in signing_error(tmp_path, b"rubbish", key_pem(key))
    assert "chain.pem contains no readable certificate" in signing_error(tmp_path, key_pem(key), key_pem(key))
    assert "key.pem contains no usable private key" in signing_error(tmp_path, chain, b"")
    assert "key.pem contains no usable private key" in signing_error(tmp_path, chain, chain)
    assert "key.pem contains no usable private key" in signing_error(tmp_path, chain, key_pem(key, password=b"tulip"))
    ed448_key = key_pem(ed448.Ed448PrivateKey.generate())
    assert "supports ECDSA, Ed25519 and RSA keys only" in signing_error(tmp_path, chain, ed448_key)
    assert "supports ECDSA, Ed25519 and RSA keys only" in signing_error(
        tmp_path, chain, key_pem(ec.generate_private_key(ec.SECP256K1()))
    )


def test_credentials_that_c2pa_rejects_are_refused(tmp_path):
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    for chain in (
        issue_certificate(other)[0],
        issue_certificate(key, start=NOW - 2 * DAY, end=NOW - DAY)[0],
        issue_certificate(key, start=NOW + DAY, end=NOW + 2 * DAY)[0],
        issue_certificate(other)[1],
    ):
        assert "cannot be signed with this certificate" in signing_error(tmp_path, chain, key_pem(key))
