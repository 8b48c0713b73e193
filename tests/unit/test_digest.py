"""Python's own sha256 and OpenSSL's give the same digests."""

from __future__ import annotations

import hashlib
import hmac
import subprocess
import sys

import pytest

from edgetally.digest import hmac_sha256, same_digest, sha256
from tests.support import SOURCE

SIZES = (0, 1, 55, 64, 65, 1000, (1 << 18) + 1)
KEY = bytes(range(32))


def data(size: int) -> bytes:
    return bytes(number * 7 % 256 for number in range(size))


@pytest.mark.parametrize("loaded", [False, True])
def test_digests_are_right_whoever_makes_them(loaded: bool) -> None:
    """Without hashlib loaded, little data is Python's own; this process has it loaded, so another one is asked."""
    code = f"""if True:
        import sys
        sys.path.append({str(SOURCE)!r})
        {"import hashlib" if loaded else ""}
        from edgetally.digest import hmac_sha256, sha256
        key = bytes(range(32))
        for size in {SIZES}:
            data = bytes(number * 7 % 256 for number in range(size))
            print("hashlib" in sys.modules, sha256(data).hex(), hmac_sha256(key, data).hex())
    """
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    wanted = [(hashlib.sha256(data(size)).hexdigest(), hmac.digest(KEY, data(size), "sha256").hex()) for size in SIZES]
    found = [line.split() for line in done.stdout.splitlines()]
    assert [tuple(line[1:]) for line in found] == wanted
    assert [line[0] for line in found[:-1]] == [str(loaded)] * (len(SIZES) - 1)


def test_digests_are_compared() -> None:
    assert sha256(b"a") == hashlib.sha256(b"a").digest()
    assert hmac_sha256(KEY, b"a") == hmac.digest(KEY, b"a", "sha256")
    assert same_digest("aa", "aa")
    assert not same_digest("aa", "ab")
