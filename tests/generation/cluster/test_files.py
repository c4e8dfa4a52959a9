"""The folder of a cluster: made once, private, and certificates that only its own authority signs."""

from __future__ import annotations

import ssl

import pytest

from generation.cluster.files import ClusterFiles
from generation.errors import UserError


@pytest.fixture
def files(tmp_path):
    found = ClusterFiles(tmp_path / "cluster")
    found.create()
    return found


def test_all_files_are_readable_by_their_owner_only(files):
    files.for_machine("10.0.0.5")
    assert {path.stat().st_mode & 0o777 for path in files.folder.iterdir()} == {0o600}
    assert files.folder.stat().st_mode & 0o777 == 0o700


def test_two_clusters_have_different_tokens(files, tmp_path):
    other = ClusterFiles(tmp_path / "other")
    other.create()
    assert len(files.token.read_text()) == 64
    assert files.token.read_text() != other.token.read_text()


def test_a_second_init_changes_nothing_and_says_so(files):
    before = files.token.read_bytes()
    with pytest.raises(UserError, match="already"):
        files.create()
    assert files.token.read_bytes() == before


@pytest.mark.parametrize("missing", ["token", "authority", "authority_key"])
def test_without_any_of_the_files_nobody_joins(files, missing):
    getattr(files, missing).unlink()
    with pytest.raises(UserError, match="cluster init"):
        files.for_machine("10.0.0.5")


def test_a_machine_keeps_its_certificate(files):
    first = files.for_machine("10.0.0.5").certificate.read_bytes()
    assert files.for_machine("10.0.0.5").certificate.read_bytes() == first
    assert files.for_machine("10.0.0.6").certificate.read_bytes() != first


def test_a_damaged_authority_is_named(files):
    files.authority_key.write_text("nonsense")
    with pytest.raises(UserError, match="damaged certificate or key"):
        files.for_machine("10.0.0.5")


def test_a_certificate_is_for_one_address_and_loads(files):
    from cryptography import x509

    machine = files.for_machine("10.0.0.5")
    certificate = x509.load_pem_x509_certificate(machine.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "10.0.0.5" in map(str, names.get_values_for_type(x509.IPAddress))
    ssl.create_default_context(cafile=str(machine.authority)).load_cert_chain(machine.certificate, machine.key)
