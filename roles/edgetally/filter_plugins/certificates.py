"""The authority of a fleet: what each host needs to speak TLS, from one secret and without a place of its own.

All of it is derived from edgetally_ca_key and Ed25519 signs the same text the same way each time: the authority's
certificate is the same at each rollout, and so are a host's key and certificate of one day. So whether the certificate
that a host holds is still the right one is seen by making it once more, and nothing has to be kept on the controller.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any

with suppress(ImportError):  # ansible-core comes with it; what looks at plugins alone has none
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVER = "job-server.edgetally.internal"  # module_utils/edgetally_tls.py knows a job server by it
VALID = timedelta(days=730)
RENEWED = timedelta(days=60)
"""A certificate that ends sooner is made anew."""

AUTHORITY_VALID = datetime(2020, 1, 1, tzinfo=timezone.utc), datetime(2049, 12, 31, tzinfo=timezone.utc)
MODES = ("true", "false", "migrate")
SECRET_LENGTH = 32
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")


def tls_files(secret: str, name: str, server: bool, held: str = "", now: datetime | None = None) -> dict[str, str]:
    """The files of a host by name: authority.pem, certificate.pem and key.pem.

    secret: edgetally_ca_key. name: the host's in the inventory. server: whether it is a job server. held: the
    certificate that it has, in PEM, which stays where it is of this authority, for this host, and has 60 days left.
    """
    authority = Authority(secret)
    made = authority.issue(name, server, _begins(authority, name, server, held, now or datetime.now(timezone.utc)))
    return {"authority.pem": authority.pem, **made}


def tls_entries(held: str, folder: str, group: str, secret: str, name: str, server: bool) -> list[dict[str, Any]]:
    """The folder of a host's files and the files themselves, as the module host_files wants them.

    held, secret, name, server: as `tls_files` has them. group: who reads the key, too.
    """
    rights = {"owner": "root", "group": group, "mode": "0640", "shown": False}
    files = [
        {**rights, "path": f"{folder}/{file}", "content": base64.b64encode(text.encode()).decode()}
        for file, text in tls_files(secret, name, server, held).items()
    ]
    return [{**rights, "path": folder, "state": "folder", "mode": "0750"}, *files]


def tls_problems(mode: Any, secret: str, name: str, revoked: list[str]) -> list[str]:
    """What is wrong with what the inventory says of TLS, a sentence each; nothing where all is plain.

    mode: edgetally_tls. secret: edgetally_ca_key. name: the host's. revoked: edgetally_revoked.
    """
    mode = str(mode).lower()
    if mode not in MODES:
        return [f"edgetally_tls is {mode}: it is true, false, or, while a fleet comes to TLS, migrate."]
    if mode == "false":
        return []
    problems = []
    if len(secret) < SECRET_LENGTH:
        problems.append(
            f"edgetally_ca_key has {len(secret)} characters and needs at least {SECRET_LENGTH}, because edgetally_tls "
            "is on: make one with `openssl rand -hex 32` and keep it in group_vars/all.yml with ansible-vault."
        )
    if not _NAME.fullmatch(name):
        problems.append(
            f"{name} cannot stand in a certificate: give the host a name of at most 64 letters, digits, dots, dashes "
            "and underscores in the inventory, and its address as ansible_host."
        )
    if name in revoked:
        problems.append(
            f"{name} is in edgetally_revoked, so it gets no certificate, and nothing was changed there: take it out of "
            "that list, or of the inventory."
        )
    return problems


def _begins(authority: Authority, name: str, server: bool, held: str, now: datetime) -> datetime:
    """From when on a host's certificate is valid: as the one that it has, or a day ago, as clocks differ."""
    try:
        begins = _valid_from(x509.load_pem_x509_certificate(held.encode()))
    except ValueError:
        begins = now - VALID
    right = begins <= now < begins + VALID - RENEWED
    if right and authority.issue(name, server, begins)["certificate.pem"].strip() == held.strip():
        return begins
    return now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)


def _valid_from(certificate: Any) -> datetime:
    """Without a zone before cryptography 42, which is what ansible-core 2.15 may come with."""
    found: datetime | None = getattr(certificate, "not_valid_before_utc", None)
    return found or certificate.not_valid_before.replace(tzinfo=timezone.utc)


class Authority:
    """An authority of a secret."""

    def __init__(self, secret: str) -> None:
        self.secret = secret.encode()
        self.key = self._key("authority")
        public = self.key.public_key()
        self.identity = x509.SubjectKeyIdentifier.from_public_key(public)
        self.name = _named(f"edgetally authority {self.identity.digest.hex()[:16]}")
        usage = _usage(key_cert_sign=True, crl_sign=True, digital_signature=False)
        extensions = [(x509.BasicConstraints(ca=True, path_length=0), True), (usage, True)]
        self.pem = self._certificate(self.name, public, *AUTHORITY_VALID, "authority", extensions)

    def issue(self, name: str, server: bool, begins: datetime) -> dict[str, str]:
        """A host's certificate and key: of the same day always the same."""
        what = f"{name} {server} {begins.isoformat()}"
        key = self._key(f"key {what}")
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH] + [ExtendedKeyUsageOID.SERVER_AUTH] * server
        names = [x509.DNSName(one) for one in [name] + [SERVER] * server]
        extensions = [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage(key_cert_sign=False, crl_sign=False, digital_signature=True), True),
            (x509.ExtendedKeyUsage(purposes), False),
            (x509.SubjectAlternativeName(names), False),
        ]
        plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return {
            "certificate.pem": self._certificate(
                _named(name), key.public_key(), begins, begins + VALID, what, extensions
            ),
            "key.pem": key.private_bytes(serialization.Encoding.PEM, *plain).decode(),
        }

    def _derived(self, what: str) -> bytes:
        return hmac.new(self.secret, f"edgetally {what}".encode(), hashlib.sha256).digest()

    def _key(self, what: str) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self._derived(what))

    def _certificate(
        self,
        name: x509.Name,
        public: Any,
        begins: datetime,
        ends: datetime,
        what: str,
        extensions: list[tuple[x509.ExtensionType, bool]],
    ) -> str:
        """A signed certificate in PEM."""
        extensions = [
            *extensions,
            (x509.SubjectKeyIdentifier.from_public_key(public), False),
            (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self.identity), False),
        ]
        builder = x509.CertificateBuilder(self.name, name, public, self._serial(what), begins, ends)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.key, None).public_bytes(serialization.Encoding.PEM).decode()

    def _serial(self, what: str) -> int:
        """As an authority numbers its certificates: at most 20 bytes, and none twice."""
        return int.from_bytes(self._derived(f"serial {what}")[:19], "big") + 1


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(**given: bool) -> x509.KeyUsage:
    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    return x509.KeyUsage(**dict.fromkeys((*others, "encipher_only", "decipher_only"), False), **given)


class FilterModule:
    """The filters of the role."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """By name."""
        return {"tls_entries": tls_entries, "tls_problems": tls_problems}
