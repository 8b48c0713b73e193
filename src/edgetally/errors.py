"""The one exception that a person is meant to read."""

from __future__ import annotations


class EdgetallyError(Exception):
    """What is wrong, where, and how to mend it: one sentence. The command line prints it and exits with 2."""
