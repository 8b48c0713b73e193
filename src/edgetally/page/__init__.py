"""The bill as HTML: an overview of all channels and a page for each, with all they need inside.

`write` makes a folder (index.html and a page for each channel), or one file with everything. Nothing is loaded from
elsewhere: uPlot, styles and figures stand in each page. The figures are those of the JSON output, the curves the bytes
of each slot as the database has them. Channels' names are operators' data: they are escaped everywhere, and the name of
a channel's file is made of a digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from edgetally.closed import AnyBill
from edgetally.errors import EdgetallyError
from edgetally.page.place import write_file, write_folder
from edgetally.page.render import Renderer
from edgetally.page.sheet import Sheet, make

LARGEST = 2_000_000  # bytes of a page


def write(bill: AnyBill, out: str | None, links: Sequence[tuple[str, str]] = ()) -> None:
    """Write the pages to the folder `out`, or to one file where its name ends in .html, or to standard output.

    links: (label, URL) at the head of every page.
    For a folder one channel at a time is in memory.
    """
    renderer = Renderer(bill.data, links)
    lines, period, contracts = bill.data["channels"], bill.data["period"], renderer.contracts
    sheets = (
        make(line, series, period, contracts.get(line["channel"], ()))
        for line, (_name, series) in zip(lines, bill.each_series())
    )
    if out is None or out.endswith(".html"):
        write_file(out, _one_file(renderer, sheets))
    else:
        write_folder(out, _pages(renderer, sheets))


def _pages(renderer: Renderer, sheets: Iterable[Sheet]) -> Iterator[tuple[str, str]]:
    """The files' names and texts, a channel at a time; the overview comes last."""
    links = []
    for sheet in sheets:
        links.append((f"{sheet.id}.html", sheet.spark))
        yield f"{sheet.id}.html", renderer.page(sheets=[sheet])
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
        text = renderer.page(overview=[(f"#{sheet.id}", sheet.spark) for sheet in kept], sheets=kept)
        if len(text.encode()) <= LARGEST:
            return text
    raise EdgetallyError(
        f"one file with all channels would be larger than {LARGEST // 1_000_000} MB: let --out name a folder, or "
        "choose fewer channels with --channel"
    )
