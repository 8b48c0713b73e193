"""For all tests: a busy machine is no error, so no example has a deadline."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("edgetally", deadline=None)
settings.load_profile("edgetally")
