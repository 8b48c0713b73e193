"""The authority of a fleet: the same files at each rollout, and new ones when they are needed."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from edgetally.wire.tls import read_certificate
from roles.edgetally.filter_plugins.certificates import SERVER, tls_entries, tls_files, tls_problems

SECRET = "a secret of an authority for the tests"
NOW = datetime(2026, 11, 30, 14, 5, tzinfo=timezone.utc)


def test_what_a_host_gets() -> None:
    files = tls_files(SECRET, "jobs1", True, now=NOW)
    authority, own = (
        x509.load_pem_x509_certificate(files[name].encode()) for name in ("authority.pem", "certificate.pem")
    )
    own.verify_directly_issued_by(authority)
    names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["jobs1", SERVER]
    assert load_pem_private_key(files["key.pem"].encode(), None).public_key() == own.public_key()
    edge = x509.load_pem_x509_certificate(tls_files(SECRET, "edge1", False, now=NOW)["certificate.pem"].encode())
    assert SERVER not in edge.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.DNSName
    )


@pytest.mark.parametrize(
    ("days", "stays"), [(0, True), (1, True), (668, True), (670, False), (800, False), (-2, False)]
)
def test_a_certificate_stays_until_60_days_are_left(days: int, stays: bool) -> None:
    first = tls_files(SECRET, "edge1", False, now=NOW)
    again = tls_files(SECRET, "edge1", False, first["certificate.pem"], NOW + timedelta(days=days))
    assert (again == first) == stays
    assert again["authority.pem"] == first["authority.pem"]


@pytest.mark.parametrize(
    "held",
    [
        "",
        "nothing",
        tls_files("another secret of another authority", "edge1", False, now=NOW)["certificate.pem"],
        tls_files(SECRET, "edge2", False, now=NOW)["certificate.pem"],
        tls_files(SECRET, "edge1", True, now=NOW)["certificate.pem"],
    ],
    ids=["none", "no certificate", "another authority", "another name", "another part"],
)
def test_what_is_not_right_is_made_anew(held: str) -> None:
    later = NOW + timedelta(days=10)
    assert tls_files(SECRET, "edge1", False, held, later) == tls_files(SECRET, "edge1", False, now=later)


def test_two_certificates_of_a_host_differ_in_key_and_serial() -> None:
    made = [tls_files(SECRET, "edge1", False, now=NOW + timedelta(days=days)) for days in (0, 1)]
    assert made[0]["key.pem"] != made[1]["key.pem"]
    serials = {x509.load_pem_x509_certificate(files["certificate.pem"].encode()).serial_number for files in made}
    assert len(serials) == 2


def test_the_program_reads_its_dates(tmp_path: Path) -> None:
    """Without ssl: UTCTime, and GeneralizedTime from 2050 on."""
    for now in (NOW, NOW.replace(year=2049)):
        (tmp_path / "certificate.pem").write_text(tls_files(SECRET, "edge1", False, now=now)["certificate.pem"])
        begins = now.replace(hour=0, minute=0) - timedelta(days=1)
        found = read_certificate(str(tmp_path / "certificate.pem"))
        assert found == ("edge1", begins.timestamp(), (begins + timedelta(days=730)).timestamp())


def test_entries_for_the_module() -> None:
    entries = tls_entries("", "/etc/tls", "edgetally", SECRET, "edge1", False)
    assert [entry["path"] for entry in entries] == [
        "/etc/tls",
        *(f"/etc/tls/{name}.pem" for name in ("authority", "certificate", "key")),
    ]
    assert base64.b64decode(entries[3]["content"]).startswith(b"-----BEGIN PRIVATE KEY")
    assert {(entry["mode"], entry["shown"]) for entry in entries[1:]} == {("0640", False)}


@pytest.mark.parametrize(
    ("mode", "secret", "name", "words"),
    [
        ("sometimes", SECRET, "edge1", "edgetally_tls is sometimes: it is true, false, or"),
        (True, "short", "edge1", "edgetally_ca_key has 5 characters and needs at least 32"),
        ("migrate", SECRET, "edge 1", "edge 1 cannot stand in a certificate"),
        (True, SECRET, "edge7", "edge7 is in edgetally_revoked, so it gets no certificate"),
    ],
)
def test_what_is_wrong_is_one_sentence(mode: object, secret: str, name: str, words: str) -> None:
    (said,) = tls_problems(mode, secret, name, ["edge7"])
    assert said.startswith(words)
    assert tls_problems(False, "", name, ["edge7"]) == []
