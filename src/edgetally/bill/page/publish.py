"""Writes the pages of a bill: a folder with index.html and a page for each channel, or one file with everything.

Nothing is loaded from elsewhere: uPlot, styles and figures stand in each page. The figures are those of the JSON
output, the curves the bytes of each slot as the database has them. Channels' names are operators' data: they are
escaped everywhere, and the name of a channel's file is made of a digest.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Union

from edgetally.bill.closed import AnyBill
from edgetally.bill.page.channel_page import Sheet, make
from edgetally.bill.page.line_sheet import line_sheet
from edgetally.bill.page.render import Renderer
from edgetally.bill.series import canonical
from edgetally.errors import EdgetallyError
from edgetally.files import exchange

LARGEST = 2_000_000  # bytes of a page
Pages = Iterable[tuple[str, Union[str, bytes]]]  # names of files, and what they hold
GENERATOR = b'<meta name="generator" content="edgetally'


def write(bill: AnyBill, out: str | None, links: Sequence[tuple[str, str]] = ()) -> None:
    """Write the pages to the folder `out`, or to one file where its name ends in .html, or to standard output.

    links: (label, URL) at the head of every page. For a folder one channel at a time is in memory.
    """
    renderer = Renderer(bill.data, links)
    sheets = _sheets(bill, renderer.contracts)
    if out is None or out.endswith(".html"):
        write_file(out, _one_file(renderer, sheets))
    else:
        write_folder(out, _pages(renderer, sheets))


def _sheets(bill: AnyBill, contracts: dict[str, list[dict[str, Any]]]) -> Iterator[Sheet]:
    """The sheets of all channels, in their order, and then those of the groups."""
    lines, period = bill.data["channels"], bill.data["period"]
    for line, (_name, series) in zip(lines, bill.each_series()):
        yield make(line, series, period, contracts.get(line["channel"], ()))
    for charge in bill.data["contracts"]:
        if charge["group"] and bill.data["format"] > 1:
            yield line_sheet(bill, charge)


def write_file(out: str | None, content: str | bytes) -> None:
    """Write a file beside its place and rename it; without `out`, print it."""
    if out is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(_bytes(content))
        return
    try:
        with _beside(out) as folder:
            temporary = os.path.join(folder, "page")
            _write(temporary, content)
            os.replace(temporary, out)
    except OSError as error:
        raise EdgetallyError(f"{out} cannot be written ({error.strerror}): name another file with --out") from None


def write_folder(out: str, pages: Pages) -> None:
    """Write the pages into a new folder, and exchange it with the one at `out`; a name may have a folder before it."""
    _refuse_foreign(out)
    try:
        with _beside(out) as folder:
            made = os.path.join(folder, "made")
            os.mkdir(made)
            for name, content in pages:
                _write(os.path.join(made, name), content)
            exchange(made, out)
    except OSError as error:
        raise EdgetallyError(f"{out} cannot be written ({error.strerror}): name another folder with --out") from None


def _pages(renderer: Renderer, sheets: Iterable[Sheet]) -> Iterator[tuple[str, str | bytes]]:
    """The files' names and contents, a channel at a time; the bill as data, and the overview, come last."""
    links = []
    for sheet in sheets:
        if not sheet.group:
            links.append((f"{sheet.id}.html", sheet.spark))
        yield f"{sheet.id}.html", renderer.page(sheets=[sheet])
    yield "bill.json", canonical(renderer.bill)
    yield "index.html", renderer.page(overview=links)


def _one_file(renderer: Renderer, sheets: Iterable[Sheet]) -> str:
    """The overview and all channels. Refused, before it is made, where it would be larger than a page may be."""
    kept: list[Sheet] = []
    size = 0
    for sheet in sheets:
        kept.append(sheet)
        size += len(sheet.data)
        if size > LARGEST:
            break
    else:
        text = renderer.page(overview=[(f"#{one.id}", one.spark) for one in kept if not one.group], sheets=kept)
        if len(text.encode()) <= LARGEST:
            return text
    raise EdgetallyError(
        f"one file with all channels would be larger than {LARGEST // 1_000_000} MB: let --out name a folder, or "
        "choose fewer channels with --channel"
    )


def _refuse_foreign(out: str) -> None:
    """Only a folder with pages of this program is replaced, or an empty one: all that is in it goes."""
    try:
        if not os.listdir(out):
            return
        with open(os.path.join(out, "index.html"), "rb") as file:
            if GENERATOR in file.read(1000):
                return
    except FileNotFoundError:
        if not os.path.lexists(out):
            return
    except OSError as error:
        raise EdgetallyError(f"{out} cannot be used ({error.strerror}): name another folder with --out") from None
    raise EdgetallyError(f"{out} holds other things than edgetally's pages: let --out name a new folder, or FILE.html")


def _beside(out: str) -> tempfile.TemporaryDirectory[str]:
    """A folder of the same file system, which is removed with what is left in it."""
    parent, name = os.path.split(os.path.abspath(out))
    return tempfile.TemporaryDirectory(prefix=f".{name}.", dir=parent)


def _write(path: str, content: str | bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(_bytes(content))


def _bytes(content: str | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
