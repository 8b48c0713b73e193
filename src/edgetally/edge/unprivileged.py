"""Work that reads what others wrote, or talks to the network, is done by a child that has become a user without rights.

It has what it inherits, open files above all, and can never get more: no capability, no set-user-id program. Neither
seccomp nor Landlock is used: there is no well-kept library of either that is pure Python.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from edgetally.errors import EdgetallyError
from edgetally.record import NamedTuple

_PR_SET_NO_NEW_PRIVS = 38


class User(NamedTuple):
    """A user of this machine, and its group."""

    uid: int
    gid: int


def user_named(name: str) -> User | None:
    """The user that root's work is left to; None where this process is not root, or none is named.

    Raises EdgetallyError where there is no user of the name.
    """
    if not name or os.geteuid() != 0:
        return None
    import pwd

    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise EdgetallyError(
            f"there is no user '{name}', who does what needs no root: roll the role edge_shipper out again"
        ) from None
    return User(entry.pw_uid, entry.pw_gid)


def become(user: User) -> None:
    """Give up root for good."""
    import ctypes

    os.setgroups([])
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def run_as(user: User | None, work: Callable[[], int]) -> int:
    """Do some work as a user, in a child; as who we are where that is None. Returns its exit status.

    A child that is killed by a signal has failed, too.
    """
    return work() if user is None else _ended(_child(user, work))


def ask_as(user: User | None, work: Callable[[], bytes]) -> bytes:
    """What some work returns that is done as run_as does. Empty where it failed."""
    if user is None:
        return work()
    read, write = os.pipe()

    def answer() -> int:
        os.close(read)
        with open(write, "wb") as pipe:
            pipe.write(work())
        return 0

    child = _child(user, answer)
    os.close(write)
    with open(read, "rb") as pipe:
        said = pipe.read()
    return said if _ended(child) == 0 else b""


def _child(user: User, work: Callable[[], int]) -> int:
    """Start a child; its process id."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        status = 1
        try:
            become(user)
            status = work()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)  # nothing of the parent's is to be done twice
    return child


def _ended(child: int) -> int:
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 1
