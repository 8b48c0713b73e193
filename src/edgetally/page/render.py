"""The pages' templates, filled. Autoescape is on: what is not escaped here is made by this program alone."""

from __future__ import annotations

import importlib.util
import json
import os
import pkgutil
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from edgetally import __version__
from edgetally.errors import EdgetallyError
from edgetally.page.sheet import Sheet

UPLOT = "youplot"  # the package that carries uPlot's files as they were released


class Renderer:
    """Makes the pages of one bill."""

    def __init__(self, bill: dict[str, Any]) -> None:
        environment = Environment(
            loader=FunctionLoader(_own), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        environment.filters.update(whole=_whole, rate=_rate, ratio=_percent, volume=_volume, short=_short)
        environment.globals.update(
            version=__version__,
            css=Markup(_own("page.css")),  # noqa: S704 our own
            js=Markup(_own("page.js")),  # noqa: S704
            uplot_css=Markup(_uplot("uplot.min.css")),  # noqa: S704 and uPlot's
            uplot_js=Markup(_uplot("uplot.iife.min.js")),  # noqa: S704
        )
        made = datetime.fromtimestamp(bill["made"], timezone.utc).astimezone(ZoneInfo(bill["zone"]))
        self.bill = bill
        self.shared = {
            "bill": {**bill, "made_text": made.strftime("%Y-%m-%d %H:%M %Z")},
            "percent": f"p{bill['percentile']['percent']}",
            "contract": _contract(bill),
            "completeness": _completeness(bill["completeness"]),
        }
        self.template = environment.get_template("page.html")

    def page(self, overview: Sequence[tuple[str, str]] | None = None, sheets: Sequence[Sheet] = ()) -> str:
        """A page. overview: for each line of the bill the link to its sheet and its small curve; None is no overview."""
        lines = [
            {**line, "link": link, "spark": spark}
            for line, (link, spark) in zip(self.bill["channels"], overview or ())
        ]
        title = f"Bandwidth, {self.bill['title']}"
        if overview is None:
            title = f"{sheets[0].line['channel']} · {title}"
        return self.template.render(
            **self.shared,
            title=title,
            overview=overview is not None,
            lines=lines,
            sheets=[_safe(sheet) for sheet in sheets],
            bill_json=_json(self.bill) if overview is not None else "",
        )


def _safe(sheet: Sheet) -> dict[str, Any]:
    return {**vars(sheet), "data": _markup(sheet.data)}


def _json(value: object) -> Markup:
    return _markup(json.dumps(value, separators=(",", ":")))


def _markup(text: str) -> Markup:
    """JSON inside a script element: nothing in it can end the element."""
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))  # noqa: S704


def _own(name: str) -> str:
    """A file of this package, also from within the .pyz."""
    return (pkgutil.get_data(__name__, name) or b"").decode()


def _uplot(name: str) -> str:
    """A file of uPlot. The package that carries it is not imported, only read."""
    found = importlib.util.find_spec(UPLOT)
    if found is None or not found.submodule_search_locations or found.loader is None:
        raise EdgetallyError(f"the library {UPLOT}, which carries uPlot, is not there: pip install {UPLOT}, or use the .pyz")
    path = os.path.join(next(iter(found.submodule_search_locations)), "vendor", name)
    data: bytes = found.loader.get_data(path)  # type: ignore[attr-defined]
    return data.decode()


def _whole(value: int) -> str:
    return f"{value:,}"


def _rate(value: float) -> str:
    return f"{value:,.3f}"


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


def _contract(bill: dict[str, Any]) -> list[str]:
    """The rule of the bill in words."""
    rule = bill["percentile"]
    return [
        f"p{rule['percent']}: {rule['rule']}, {rule['rank']:,} of {bill['slots']:,} slots of five minutes, empty slots "
        "count as zero; no interpolation.",
        "Mbit/s: bytes × 8 / 300 / 10⁶, five-minute sums over all edges.",
    ]


def _completeness(found: dict[str, Any]) -> list[str]:
    """What of the period is vouched for, in words."""
    expected, streams = found["expected"], found["streams"]
    if not expected:
        return ["No stream has delivered anything for this time."]
    late = f" {found['late']:,} of them came late." if found["late"] else ""
    if found["complete"]:
        return [f"Complete: {streams:,} streams vouch for all their {expected:,} slots.{late}"]
    return [f"{found['missing']:,} of {expected:,} slots of {streams:,} streams are missing.{late}"]
