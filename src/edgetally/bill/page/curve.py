"""A curve as SVG: it needs no script, so that it stands in a letter, in a PDF and in a mail as it does on a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from markupsafe import Markup, escape

from edgetally.bill.percentile import mbps
from edgetally.bill.zones import zone_named
from edgetally.limits import SLOT_SECONDS

WIDTH, HEIGHT = 1000, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 8, 14, 24  # around the curve
POINTS = 1500
STEPS = (1, 2, 2.5, 5, 10)
MONTH_DAYS = 7  # between two dates below the curve


class Curve:
    """Places a period's slots, and rates up to `top` (Mbit/s), on a picture."""

    def __init__(self, sizes: Sequence[int], period: dict[str, Any], lines: Sequence[dict[str, Any]]) -> None:
        self.sizes = sizes
        self.period = period
        highest: float = 1.04 * max([mbps(max(sizes, default=0)), *(line["mbps"] for line in lines), 1e-6])
        self.step = _step(highest)
        self.top: float = self.step * -(-highest // self.step)

    def x(self, slot: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * slot / max(1, len(self.sizes)), 1)

    def y(self, rate: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * rate / self.top, 1)

    def path(self) -> str:
        """The highest slot of each part of the period, from left to right."""
        wide = max(1, -(-len(self.sizes) // POINTS))
        points = (
            f"{self.x(at)},{self.y(mbps(max(self.sizes[at : at + wide])))}" for at in range(0, len(self.sizes), wide)
        )
        floor = self.y(0)
        return f"M{self.x(0)},{floor}L{'L'.join(points)}L{self.x(len(self.sizes))},{floor}"

    def grid(self) -> Iterator[str]:
        """Rates on the left, dates below."""
        for number in range(int(self.top / self.step + 0.5) + 1):
            rate = self.step * number
            y = self.y(rate)
            yield f'<path class="grid" d="M{LEFT},{y}H{WIDTH - RIGHT}"/>'
            yield f'<text class="tick" x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{rate:,g}</text>'
        zone = zone_named(self.period["zone"])
        days = self.period["days"]
        for _date, first, _slots in days[:: MONTH_DAYS if len(days) > MONTH_DAYS else 1]:
            said = datetime.fromtimestamp(self.period["from"] + first * SLOT_SECONDS, zone).strftime("%-d %b")
            yield f'<path class="grid" d="M{self.x(first)},{HEIGHT - BOTTOM}v5"/>'
            yield f'<text class="tick" x="{self.x(first) + 3}" y="{HEIGHT - 6}">{said}</text>'

    def across(self, line: dict[str, Any], kind: str, right: bool) -> str:
        """A line across the curve, and its label on a piece of paper."""
        y = self.y(line["mbps"])
        text = f"{line['label']} {line['mbps']:,.3f}"
        wide = 8 * len(text) + 8
        left = WIDTH - RIGHT - wide - 4 if right else LEFT + 4
        label = y - 20 if y - 20 > 0 else y + 3
        return (
            f'<path class="{kind}" d="M{LEFT},{y}H{WIDTH - RIGHT}"/>'
            f'<rect class="label" x="{left}" y="{label}" width="{wide}" height="17"/>'
            f'<text class="{kind}" x="{left + wide // 2}" y="{label + 13}" text-anchor="middle">{escape(text)}</text>'
        )


def svg(
    sizes: Sequence[int],
    period: dict[str, Any],
    missing: Sequence[Sequence[int]],
    mark: dict[str, Any] | None,
    commit: dict[str, Any] | None,
) -> Markup:
    """The curve of a period's slots, with what is missing shaded, and the lines of percentile and commit."""
    curve = Curve(sizes, period, [line for line in (mark, commit) if line])
    shades = (
        f'<rect class="missing" x="{curve.x(first)}" y="{TOP}" width="{max(1, curve.x(after) - curve.x(first)):.1f}" '
        f'height="{HEIGHT - TOP - BOTTOM}"/>'
        for first, after, *_ in missing
    )
    lines = [curve.across(commit, "commit", False)] if commit else []
    lines += [curve.across(mark, "mark", True)] if mark else []
    parts = [*curve.grid(), *shades, f'<path class="curve" d="{curve.path()}"/>', *lines]
    return Markup(  # noqa: S704 numbers, and what is escaped
        f'<svg class="graph" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Mbit/s of each five minutes">'
        f"{''.join(parts)}</svg>"
    )


def _step(top: float) -> float:
    """The distance of the rates beside the curve: a round number, of which four or so go into the whole."""
    size = 10.0 ** (len(f"{top:.0f}") - 1) if top >= 1 else 10.0 ** -len(f"{1 / top:.0f}")
    return next((size * step for step in STEPS if size * step * 5 >= top), size * 10)
