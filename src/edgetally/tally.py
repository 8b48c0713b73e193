"""The tally: one pass over access logs, into five-minute slots by channel."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterable
from typing import BinaryIO, Union, cast

from edgetally.book import NO_HOST, Book, Reject, Tally, Window
from edgetally.channels import ChannelMap
from edgetally.errors import EdgetallyError
from edgetally.formats import LogFormat
from edgetally.plain import PlainEngine

__all__ = ["Reject", "Source", "Tally", "Window", "tally", "unpacked"]

Source = Union[str, "os.PathLike[str]", BinaryIO]


def tally(
    files: Iterable[Source],
    fmt: LogFormat,
    channels: ChannelMap | None,
    *,
    log: str = "",
    window: Window | None = None,
    since: float | None = None,
) -> Tally:
    """Count logs of one format.

    files: paths (plain or gzip, by content) or open binary files. channels: None makes the line's host its channel, or
    `all` where the format has none. log: the log's name, for the channel rules. since: epoch seconds; lines that end
    in an earlier second are set aside. Raises EdgetallyError for a file that cannot be read.
    """
    book = Book(fmt, channels, log, window, since)
    engine = PlainEngine(fmt, book)
    for source in files:
        name = _name_of(source)
        try:
            if isinstance(source, (str, os.PathLike)):
                with open(source, "rb") as stream:
                    engine.read(name, unpacked(stream))
            else:
                engine.read(name, source)
        except (OSError, EOFError, zlib.error) as error:
            why = getattr(error, "strerror", None) or error
            raise EdgetallyError(f"{name} cannot be read ({why}): check its path, its mode and its content") from None
    return book.close()


def unpacked(stream: BinaryIO) -> BinaryIO:
    """The stream itself, or what it unpacks to where it begins as gzip does."""
    peekable = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", stream))
    if peekable.peek(2)[:2] != b"\x1f\x8b":
        return peekable
    import gzip

    return cast("BinaryIO", gzip.GzipFile(fileobj=peekable))


def _name_of(source: Source) -> str:
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    name = getattr(source, "name", NO_HOST)
    return name if isinstance(name, str) else NO_HOST
