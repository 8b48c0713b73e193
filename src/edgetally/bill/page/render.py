"""Fills the templates of a bill's pages. Autoescape is on: what is not escaped here is made by this program alone."""

from __future__ import annotations

import importlib.util
import json
import os
import pkgutil
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from edgetally import __version__
from edgetally.bill.beside import WHY, odd_days
from edgetally.bill.bill import remarks
from edgetally.bill.billed import terms_of
from edgetally.bill.page.channel_page import Sheet, identify_group
from edgetally.bill.split import remarks as split_remarks
from edgetally.bill.unbilled import sentences
from edgetally.bill.zones import zone_named
from edgetally.errors import EdgetallyError
from edgetally.ledger.beside import part_text

_NO_FORECAST = {"billable": None, "certain_billable": None, "left": None}
UPLOT = "youplot"  # the package that carries uPlot's files as they were released


class Renderer:
    """Makes the pages of one bill."""

    def __init__(self, bill: dict[str, Any], links: Sequence[tuple[str, str]] = ()) -> None:
        made = environment()
        made.globals.update(
            css=Markup(own("page.css")),  # noqa: S704 our own
            js=Markup(own("page.js")),  # noqa: S704
            uplot_css=Markup(_uplot("uplot.min.css")),  # noqa: S704 and uPlot's
            uplot_js=Markup(_uplot("uplot.iife.min.js")),  # noqa: S704
        )
        self.bill = bill
        self.zone = zone_named(bill["period"]["zone"])
        made.filters.update(moment=self._moment)
        rule = bill["total"]["percentiles"][0]
        self.shared = {
            "bill": bill,
            "links": links,
            "made": self._moment(bill["made"]),
            "percent": f"p{rule['percent']}",
            "bounded": any(line["low"] != line["high"] for line in bill["contracts"]),
            "in_hand": any(line["projection"] for line in bill["contracts"]),
            "cut_groups": bill.get("cut_groups", []),
            "amounts": bill.get("amounts", []),
            "percentile": (
                f"p{rule['percent']}: all five-minute sums of the period in order, empty slots as zero; of "
                f"{bill['period']['slots']:,} the one at rank {rule['rank']:,} (nearest rank), without interpolation. "
                "Mbit/s are bytes × 8 / 300 / 10⁶, summed over all edges."
            ),
            "split_remarks": list(split_remarks(bill["split"])) if "split" in bill else [],
            "beside_why": WHY,
            "part_text": part_text,
            "odd_days": odd_days(bill.get("beside", [])),
            "unbilled": sentences(bill["unbilled"], bill["total"]["bytes"]) if "unbilled" in bill else [],
            "completeness": [*_completeness(bill["completeness"]), *remarks(bill["completeness"])],
        }
        self.contracts: dict[str, list[dict[str, Any]]] = {}
        for contract in bill["contracts"]:
            for channel in contract["channels"]:
                self.contracts.setdefault(channel, []).append(contract)
        self.template = made.get_template("page.html")

    def page(self, overview: Sequence[tuple[str, str]] | None = None, sheets: Sequence[Sheet] = ()) -> str:
        """A page. overview: for each line of the bill its sheet's link and its small curve; None is no overview."""
        links = {line["channel"]: link for line, (link, _) in zip(self.bill["channels"], overview or ())}
        lines = [
            {**line, "link": link, "spark": spark} for line, (link, spark) in zip(self.bill["channels"], overview or ())
        ]
        title = f"Bandwidth, {self.bill['title']}"
        if overview is None:
            title = f"{sheets[0].line['channel']} · {title}"
        return self.template.render(
            **self.shared,
            title=title,
            sheet=css_text(title),
            overview=overview is not None,
            lines=lines,
            charges=[
                {**line, "link": self._link(line, links, bool(sheets)), "later": line["projection"] or _NO_FORECAST}
                for line in self.bill["contracts"]
            ],
            terms=terms_of(self.bill["contracts"]),
            sheets=[self._sheet(sheet) for sheet in sheets],
            bill_json=_json(self.bill) if overview is not None and sheets else "",  # in a folder it is a file
        )

    def _link(self, line: dict[str, Any], links: dict[str, str], within: bool) -> str | None:
        """Where the curve of a contract's line is; within: on the same page. None where there is none."""
        if line["group"] and self.bill["format"] > 1:
            name = identify_group(line["contract"])
            return f"#{name}" if within else f"{name}.html"
        return None if line["group"] else links.get(line["channels"][0])

    def _sheet(self, sheet: Sheet) -> dict[str, Any]:
        """A sheet as the template takes it."""
        return {**vars(sheet), "data": _markup(sheet.data)}

    def _moment(self, seconds: float | None) -> str:
        """A time in the bill's zone."""
        return "–" if seconds is None else datetime.fromtimestamp(seconds, self.zone).strftime("%Y-%m-%d %H:%M %Z")


def _json(value: object) -> Markup:
    return _markup(json.dumps(value, separators=(",", ":")))


def _markup(text: str) -> Markup:
    """JSON inside a script element: nothing in it can end the element."""
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))  # noqa: S704


def environment() -> Environment:
    """What fills our templates: everything is escaped."""
    made = Environment(
        loader=FunctionLoader(own), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters.update(
        whole=_whole, rate=_rate, ratio=_percent, volume=_volume, short=_short, number_text=_number_text
    )
    made.globals.update(version=__version__)
    return made


def css_text(text: str) -> Markup:
    """A text as CSS has it, for the foot of each printed sheet: letters and digits as they are, all else by number."""
    return Markup('"' + "".join(one if one.isalnum() else f"\\{ord(one):x} " for one in text) + '"')  # noqa: S704


def own(name: str) -> str:
    """A file of this package, also from within the .pyz."""
    return (pkgutil.get_data(__name__, name) or b"").decode()


def _uplot(name: str) -> str:
    """A file of uPlot. The package that carries it is not imported, only read."""
    spec = importlib.util.find_spec(UPLOT)
    if spec is None or not spec.submodule_search_locations or spec.loader is None:
        raise EdgetallyError(
            f"the library {UPLOT}, which carries uPlot, is not there: pip install {UPLOT}, or use the .pyz"
        )
    path = os.path.join(next(iter(spec.submodule_search_locations)), "vendor", name)
    data: bytes = spec.loader.get_data(path)  # type: ignore[attr-defined]
    return data.decode()


def _whole(value: int) -> str:
    return f"{value:,}"


def _rate(value: float | None) -> str:
    return "–" if value is None else f"{value:,.3f}"


def _number_text(text: str | None) -> str:
    """An exact decimal with its thousands apart."""
    if text is None:
        return "–"
    return re.sub(r"^(-?)(\d+)", lambda found: f"{found[1]}{int(found[2]):,}", text)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _volume(size: int) -> str:
    """Bytes in a unit of 1,000s, with four digits."""
    return f"{_short(size)}B" if size >= 1000 else f"{size} B"


def _short(number: float) -> str:
    for unit in ("", "k", "M", "G", "T", "P"):
        if number < 1000 or unit == "P":
            break
        number /= 1000
    return f"{number:.4g} {unit}" if unit else str(number)


def _completeness(complete: dict[str, Any]) -> list[str]:
    """How much of the period is vouched for, in words."""
    expected, streams = complete["expected"], complete["streams"]
    if not expected:
        return ["No data: no stream was at work yet, so nobody vouches for this time."]
    many = f"{streams:,} streams, each a log of an edge, have" if streams != 1 else "One stream, a log of an edge, has"
    words = [f"{many} {expected:,} slots of five minutes in this period."]
    words += [f"{complete['received']:,} had traffic, {complete['empty']:,} had none although the log was whole."]
    if complete["late"]:
        words += [f"{complete['late']:,} of them came more than half an hour late, and are counted."]
    if complete["complete"]:
        return [" ".join([*words, "Nothing is missing."])]
    words += [f"{complete['missing']:,} are missing: nobody vouches for them."]
    if complete.get("after"):
        words += ["So is time of the hours after the month, in which long transfers still bring bytes into it."]
    if complete.get("accepted"):
        words += ["The period was closed with these gaps accepted."]
    bounds = complete["bounds"]
    return [" ".join(words), bounds[:1].upper() + bounds[1:]]
