"""Closed months: the bill of one is read from its snapshot alone, and from nothing that came later.

The snapshot is checked against its hash at every reading, and every series against the hash that stands in it.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Union

from edgetally.bill.bill import FORMAT, PERCENTS, Bill, channel_line, check_known
from edgetally.bill.price import totals
from edgetally.bill.sample import Sample, Span, add_spans
from edgetally.bill.series import Counts, Series, canonical, uncompress
from edgetally.bill.unbilled import narrowed
from edgetally.config import AggregatorConfig
from edgetally.errors import EdgetallyError
from edgetally.ledger.database import check_schema, connect


@dataclass(frozen=True)
class Row:
    """A row of the table `period`. sha256: hex; closed_at: UTC."""

    name: str
    start: int
    end: int
    commit_no: int
    sha256: str
    closed_at: str

    @property
    def month(self) -> str:
        return self.name.split(" ")[0]

    @property
    def zone(self) -> str:
        return self.name.split(" ")[1]


def period_name(month: str, zone: str) -> str:
    """The name of a closed month in the database, with the zone in which it was closed."""
    return f"{month} {zone}"


class Closed:
    """The bill of a closed month; like bill.Bill, and `text` is what was closed, byte for byte."""

    def __init__(self, connection: Any, row: Row) -> None:
        self.row = row
        self.connection = connection
        with connection.cursor() as cursor:
            cursor.execute("SELECT snapshot FROM period WHERE name = %s", (row.name.encode(),))
            (packed,) = cursor.fetchone()
        self.text = uncompress(packed, bytes.fromhex(row.sha256), f"the closed month {row.name}")
        self.data: dict[str, Any] = json.loads(self.text)
        if self.data["format"] > FORMAT:
            raise EdgetallyError(
                f"the closed month {row.name} is of format {self.data['format']}, and this program reads up to "
                f"{FORMAT}: upgrade edgetally on this host"
            )
        self._hashes = {line["channel"]: line["series_sha256"] for line in self.data["channels"]}

    def __enter__(self) -> Closed:
        return self

    def __exit__(self, *_error: object) -> None:
        self.connection.close()

    def series(self, channel: str) -> Series:
        """One channel's series, as it was closed."""
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT series FROM period_series WHERE commit_no = %s AND channel = %s",
                (self.row.commit_no, channel.encode()),
            )
            (packed,) = cursor.fetchone() or (b"",)
        what = f"the series of channel '{channel}' in the closed month {self.row.name}"
        return Series.unpack(uncompress(packed, bytes.fromhex(self._hashes[channel]), what))

    def each_series(self, some: Sequence[str] | None = None) -> Iterator[tuple[str, Series]]:
        """The series of some channels, or of all in the order of data["channels"]."""
        for name in [line["channel"] for line in self.data["channels"]] if some is None else some:
            yield name, self.series(name)

    def narrow(self, pattern: str, percents: Sequence[Fraction]) -> None:
        """Leave only the channels that fit a glob, and add other percentiles: computed from what was closed."""
        if pattern == "*" and tuple(percents) == PERCENTS:
            return
        data = self.data
        billed = (name for line in data["contracts"] for name in line["channels"])
        check_known(pattern, [*billed, *(line["channel"] for line in data["channels"])])
        wanted = [line for line in data["channels"] if fnmatch.fnmatchcase(line["channel"], pattern)]
        names = {line["channel"] for line in wanted}
        total = [0] * data["period"]["slots"]
        counts = Counts()
        lines = []
        for line in wanted:
            sizes = self.series(line["channel"]).sizes
            missing = [Span(*span) for span in line["missing"]]
            own = Counts(*(line[name] for name in Counts._fields))
            lines.append({**line, **channel_line(line["channel"], own, Sample(sizes, missing), percents)})
            total = [whole + size for whole, size in zip(total, sizes)]
            counts = Counts(*map(sum, zip(counts, own)))
        spans = add_spans([Span(*span) for span in line["missing"]] for line in lines)
        data["channels"] = lines
        data["total"] = channel_line("total", counts, Sample(total, spans), percents)
        cut_groups = [
            line["contract"]
            for line in data["contracts"]
            if not names.issuperset(line["channels"]) and not names.isdisjoint(line["channels"])
        ]
        data["contracts"] = [line for line in data["contracts"] if names.issuperset(line["channels"])]
        if "cut_groups" in data:
            data["cut_groups"] = cut_groups
            data["amounts"] = totals(data["contracts"])
        data["aliases"] = [alias for alias in data["aliases"] if alias["new"] in names]
        if "unbilled" in data:
            data["unbilled"] = narrowed(data["unbilled"], names)
        self.text = canonical(data)


AnyBill = Union[Bill, Closed]


def rows(connection: Any) -> list[Row]:
    """All closed months, by time."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, from_slot, to_slot, commit_no, LOWER(HEX(sha256)), "
            "DATE_FORMAT(closed_at, '%Y-%m-%dT%H:%i:%sZ') FROM period ORDER BY from_slot, name"
        )
        return [Row(name.decode(), *rest) for name, *rest in cursor.fetchall()]


def find_closed(config: AggregatorConfig, month: str, zone: str | None) -> Closed | None:
    """The closed month of this name, in this zone; without a zone in the one that it was closed in. None: it is open.

    Raises EdgetallyError where it was closed in several zones and none is named.
    """
    connection = connect(config.database)
    try:
        check_schema(connection, config.database)
        months = [row for row in rows(connection) if row.month == month and zone in (None, row.zone)]
        if len(months) > 1:
            zones = " and ".join(row.zone for row in months)
            raise EdgetallyError(f"{month} is closed in the zones {zones}: say which with --zone")
        if months:
            return Closed(connection, months[0])
    except BaseException:
        connection.close()
        raise
    connection.close()
    return None


def sha256_of(text: bytes) -> str:
    """The hash of a canonical text, hex."""
    return hashlib.sha256(text).hexdigest()
