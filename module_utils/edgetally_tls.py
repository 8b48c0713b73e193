# SPDX-License-Identifier: Apache-2.0
"""TLS to a job server, with certificates of both sides, and in a sentence why there is none.

A folder holds what one side needs: authority.pem, certificate.pem and key.pem. A job server's certificate has the name
SERVER beside its own: a client knows by it that it speaks to a job server, under whatever address, and to no edge.

The program has this file as edgetally/wire/tls.py, the module gearman_queue_info as a part of Ansible's module_utils.
"""

from __future__ import annotations

import binascii
import calendar
import errno
import functools
import os
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

SERVER = "job-server.edgetally.internal"
WARN_SECONDS = 30 * 86400
"""So long before it ends a certificate is a problem."""

_ECHO = b"\0REQ" + (16).to_bytes(4, "big") + bytes(4)
_ECHO_ANSWER = 12  # bytes
_RECORD = 1 << 14  # the most that a record of TLS holds

_NOT_ADMITTED = (
    "it does not admit {name}, which is in edgetally_revoked or was not in the inventory that was rolled out to it: "
    "roll out playbooks/gearmand.yml, or take this host away"
)
_LOOK = (
    "see that edgetally_gearmand_servers has its gearmand_tls_port, and look at `systemctl status gearmand-tls "
    "gearmand` there"
)

# What the job server says where it refuses a client, in OpenSSL's words. Versions of stunnel differ in how they refuse
# a name.
_ALERTS = {
    "certificate required": "it takes nobody without a certificate, and this host has shown none: roll this host out",
    "unknown ca": "this host's certificate is of another authority than the job server's: roll out both again",
    "internal error": _NOT_ADMITTED,
    "handshake failure": _NOT_ADMITTED,
    "certificate unknown": _NOT_ADMITTED,
    "bad certificate": (
        "this host's certificate, which is valid from {begins}, is not valid yet by the job server's clock: look at "
        "`timedatectl` there"
    ),
    "certificate expired": (
        "this host's certificate, which ends {ends}, has ended by the job server's clock: roll this host out again, "
        "or, where that is yet to come, look at `timedatectl` there"
    ),
    "wrong version number": f"it does not speak TLS: {_LOOK}",
}

# How the job server's certificate does not please us, by OpenSSL's numbers.
_VERIFY = {
    9: "its certificate is not valid yet by this host's clock, which says {now}: look at `timedatectl` here",
    10: (
        "its certificate has ended by this host's clock, which says {now}: roll the job server out again, or look at "
        "`timedatectl` here"
    ),
    26: "its certificate is no job server's: see what listens there",
    62: "its certificate is no job server's: see what listens there",
}
_STRANGE = "its certificate is of another authority than this host's: roll out both again"


class Certificate(NamedTuple):
    """A certificate: whose it is, and from when to when it is valid, in epoch seconds."""

    name: str
    begins: int
    ends: int


class Link(ssl.SSLSocket):
    """A connection that says as a plain one does where it would have to wait."""

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Read what has come, of many records as of one: a job server's answers are a record each.

        Each as a whole, or it is left where it is: of what is left of a record no select tells.
        """
        records = [self._record(buflen, flags)]
        room = buflen - len(records[0])
        while records[-1] and room >= _RECORD and self.gettimeout() == 0:
            try:
                records.append(self._record(room, flags))
            except OSError:  # no more has come; what ends the connection is met again
                break
            room -= len(records[-1])
        return b"".join(records)

    def _record(self, most: int, flags: int) -> bytes:
        """Read of one record; what TLS has to say to itself alone is nothing yet."""
        try:
            return super().recv(most, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from None

    def send(self, *arguments: Any) -> int:
        """Write as much as the connection takes, one record at most."""
        try:
            return super().send(*arguments)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from None


def secure(link: socket.socket, folder: str, seconds: float) -> Link:
    """Speak TLS over a new connection from now on. Raises OSError, whose strerror is why that cannot be.

    In TLS 1.3 a client is done before the server has looked at its certificate, and hears what came of that only when
    it reads. So a first question is asked here, gearmand's echo: who gets a link from here has been admitted, and
    gearmand answers. seconds: for each step.
    """
    try:
        link.settimeout(seconds)
        secured = _context(folder).wrap_socket(link, server_hostname=SERVER)
        with suppress(OSError):  # refused meanwhile: what is read says why
            secured.sendall(_ECHO)
        _read_answer(secured)
    except OSError as error:
        link.close()
        raise OSError(errno.EPROTO, _why(error, folder)) from None
    return secured  # type: ignore[return-value]


def _read_answer(secured: socket.socket) -> None:
    """Read the answer to the echo."""
    left = _ECHO_ANSWER
    while left:
        data = secured.recv(left)
        if not data:
            raise ssl.SSLEOFError
        left -= len(data)


@functools.lru_cache(maxsize=1)
def _context(folder: str) -> ssl.SSLContext:
    """What the folder's files come to. They are read once: who renews them starts the program again."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.sslsocket_class = Link
    for name in ("authority.pem", "certificate.pem", "key.pem"):
        with open(os.path.join(folder, name), "rb"):  # OpenSSL would not say which of them it is
            pass
    context.load_verify_locations(os.path.join(folder, "authority.pem"))
    context.load_cert_chain(os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem"))
    return context


def _why(error: OSError, folder: str) -> str:
    """Why there is no TLS, and what mends it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERIFY.get(error.verify_code, _STRANGE).format(now=_day(time.time()))
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError)):
        return f"it hung up at once: {_LOOK}"
    if isinstance(error, socket.timeout):
        return f"it said nothing in TLS in time: {_LOOK}"
    if not isinstance(error, ssl.SSLError):
        return f"{error.filename or folder} cannot be read ({error.strerror}): roll this host out again"
    said = f"{error.reason} {error}".lower().replace("_", " ")
    for alert, text in _ALERTS.items():
        if alert in said:
            return text.format(**_own(folder))
    return f"it refuses TLS ({error.reason or error}): roll out this host and the job server again"


def peer_ends(link: socket.socket) -> float | None:
    """When the certificate of the other side ends, in epoch seconds; None where there is no TLS."""
    if not isinstance(link, Link):
        return None
    said: Any = link.getpeercert()
    return ssl.cert_time_to_seconds(said["notAfter"])


def _own(folder: str) -> dict[str, str]:
    """This host's own certificate as a sentence has it."""
    try:
        own = read_certificate(os.path.join(folder, "certificate.pem"))
    except (OSError, ValueError):
        return {"name": "this host", "begins": "-", "ends": "-"}
    return {"name": own.name, "begins": _day(own.begins), "ends": _day(own.ends)}


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment))


def ends_soon(whose: str, ends: float, now: float) -> str:
    """A sentence where a certificate ends within 30 days, or has; empty where it does not."""
    if ends - now > WARN_SECONDS:
        return ""
    days = (ends - now) / 86400
    when = f"ends in {days:.0f} days, on" if days > 0 else "has ended on"
    return f"the certificate of {whose} {when} {_day(ends)}: roll it out again, which renews it"


# --- a certificate, as far as it is needed: ssl reads none without a connection


def read_certificate(path: str) -> Certificate:
    """A certificate of a file in PEM. Raises OSError, and ValueError where it is none."""
    with open(path, encoding="ascii") as file:
        text = file.read().partition("-----BEGIN CERTIFICATE-----")[2].partition("-----END")[0]
    try:
        whole = _first(binascii.a2b_base64(text))
        signed = _first(whole)
        fields = [part for tag, part in _parts(signed) if tag != 0xA0]  # but for the version
        begins, ends = (_moment(part.decode()) for tag, part in _parts(fields[3]))
        name = list(_parts(_first(_first(fields[4]))))[1][1].decode()
    except (binascii.Error, IndexError, StopIteration) as error:
        raise ValueError(f"{path} holds no certificate") from error
    return Certificate(name, begins, ends)


def _first(data: bytes) -> bytes:
    return next(_parts(data))[1]


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The tags and contents that stand one after the other in DER."""
    while data:
        size, at = data[1], 2
        if size & 0x80:
            at += size & 0x7F
            size = int.from_bytes(data[2:at], "big")
        yield data[0], data[at : at + size]
        data = data[at + size :]


def _moment(text: str) -> int:
    """A UTCTime or a GeneralizedTime, in epoch seconds."""
    return calendar.timegm(time.strptime(text if len(text) == 15 else f"20{text}", "%Y%m%d%H%M%SZ"))
