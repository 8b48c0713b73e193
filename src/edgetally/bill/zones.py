"""Time zones by name: the system's, and where it has none of that name, those that the program brings.

The system's come first, since its updates reach it sooner than this program. A small Debian host has no tzdata at all,
so edgetally.pyz holds all zones in one archive, of which nothing is read before a zone is asked for.
"""

from __future__ import annotations

import io
import pkgutil
import zipfile
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

ARCHIVE = "zones.zip"  # beside this file, where bin/build has put it


@lru_cache(maxsize=64)
def zone_named(name: str) -> ZoneInfo:
    """A time zone. Raises ZoneInfoNotFoundError, ValueError or OSError for a name that is none."""
    try:
        return ZoneInfo(name)
    except ZoneInfoNotFoundError:
        return _brought(name)


def _brought(name: str) -> ZoneInfo:
    """A zone of the archive; from a source tree there is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(pkgutil.get_data(__package__, ARCHIVE) or b"")) as archive:
            return ZoneInfo.from_file(io.BytesIO(archive.read(name)), key=name)
    except (FileNotFoundError, KeyError):
        raise ZoneInfoNotFoundError(f"there is no time zone {name}") from None
