"""The bill: one object that every output is made of, and the series of its channels; see docs/reference/bill.md.

An open period is read from the database, one channel in memory at a time, on one snapshot; a closed one from what
`edgetally period close` wrote, and from nothing else.
"""

from __future__ import annotations

import fnmatch
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from operator import add
from typing import Any

from edgetally import __version__
from edgetally.bill.agreed import Agreed, Slots, Stretch, cut, masked
from edgetally.bill.aliases import Alias, resolve
from edgetally.bill.beside import beside
from edgetally.bill.charge import Charge
from edgetally.bill.contracts import Contract, Contracts
from edgetally.bill.counters import Counters, open_counters
from edgetally.bill.coverage import StreamCoverage, coverage, gap_data
from edgetally.bill.percentile import mbps, rank
from edgetally.bill.period import Period
from edgetally.bill.price import totals
from edgetally.bill.regions import Regional, Regions
from edgetally.bill.sample import Sample, Span, add_spans
from edgetally.bill.series import Counts, Series
from edgetally.bill.unbilled import Host, unbilled
from edgetally.bill.values import plain
from edgetally.config import AggregatorConfig
from edgetally.errors import EdgetallyError, nearest
from edgetally.ledger.machines import machine_text, twins, twins_text
from edgetally.limits import SLOT_SECONDS
from edgetally.words import some

FORMAT = 2
PERCENTS = (Fraction(95),)
_NAMED = 3  # streams that a sentence names
BOUNDS = (
    "the low bound counts what is missing as zero, the high one every missing slot of a stream at the most that this "
    "stream had of the channel in a slot of this period, on top of what was received. The true value lies between them "
    "if nothing missing was more than that."
)

Keep = Callable[[str, Series], str]


class Bill:
    """The bill of an open period. data: its object, as docs/reference/bill.md describes it."""

    def __init__(self, data: dict[str, Any], counters: Counters, ids: dict[str, list[int]]) -> None:
        self.data = data
        self._counters = counters
        self._ids = ids

    @property
    def counters(self) -> Counters:
        """The counters that it is made of."""
        return self._counters

    def series(self, channel: str) -> Series:
        """One channel's series."""
        return self._counters.series(self._ids[channel])

    def each_series(self, some: Sequence[str] | None = None) -> Iterator[tuple[str, Series]]:
        """The series of some channels, or of all in the order of data["channels"]; one in memory at a time."""
        names = [line["channel"] for line in self.data["channels"]] if some is None else some
        return zip(names, self._counters.each_series([self._ids[name] for name in names]))


@contextmanager
def open_bill(
    config: AggregatorConfig,
    period: Period,
    contracts: Contracts,
    channel: str = "*",
    percents: Sequence[Fraction] = PERCENTS,
) -> Iterator[Bill]:
    """The bill of an open period; its series can be read while the context is open."""
    with open_counters(config.database, period) as counters:
        yield make(counters, period, contracts, channel, percents)


def make(
    counters: Counters,
    period: Period,
    contracts: Contracts,
    channel: str = "*",
    percents: Sequence[Fraction] = PERCENTS,
    keep: Keep | None = None,
    covered: Sequence[StreamCoverage] | None = None,
) -> Bill:
    """Make the bill of the channels that fit a glob.

    keep: gets every channel's series, stores it, and gives its sha256 (hex), which then stands in the bill.
    covered: what became of every (stream, slot), where that was found out already.
    """
    aliases, ids = _billed_names(counters, channel)
    known = _billed_names(counters, "*")[1]
    check_known(channel, [*known, *(name for one in contracts.listed for name in contracts.named(one))])
    names = sorted(ids)
    each = counters.each([ids[name] for name in names])
    if covered is None:
        covered = coverage(counters.cursor, period, counters.now)
    missing = _Missing(counters, period, covered)
    regional = Regions(counters.cursor, period, ids)
    builder = BillBuilder(period, contracts, percents, _whole_groups(counters, contracts, channel), regional)
    for name, (counts, sizes) in zip(names, each):
        if counts is None:
            continue
        series_sha256 = keep(name, counters.series(ids[name], sizes)) if keep else None
        old = [alias.old for alias in aliases if alias.new == name]
        builder.add(name, old, counts, Sample(sizes, missing.spans(ids[name])), series_sha256)
    builder.add_idle(channel)
    complete = {**completeness(covered, period), "twins": _twins(counters, period)}
    edges = beside(counters.cursor, period)
    data = {**_object(period, counters, aliases, builder, complete), "beside": edges}
    hosts = [Host(*row) for row in counters.hosts()]
    listed = builder.agreed.listed
    left_out = unbilled(builder.free, listed, contracts, known if channel == "*" else None, hosts, complete, edges)
    return Bill({**data, "unbilled": left_out}, counters, ids)


def check_known(pattern: str, known: Iterable[str]) -> None:
    """Refuse a name or glob of channels that fits none: its bill would be one of nothing."""
    names = sorted(set(known))
    if pattern == "*" or any(fnmatch.fnmatchcase(name, pattern) for name in names):
        return
    close = nearest(pattern, names)
    hint = f"did you mean '{close}'?" if close else "`edgetally channel list` shows all of them"
    raise EdgetallyError(f"--channel {pattern}: no channel fits that: {hint}")


class BillBuilder:
    """Takes channels one after the other, and has the lines of the bill in the end."""

    def __init__(
        self,
        period: Period,
        contracts: Contracts,
        percents: Sequence[Fraction],
        groups: set[str],
        regional: Regional,
    ) -> None:
        """groups: the names of those that are billed; regional: asked for each line of a contract with regions."""
        self.period = period
        self.agreed = Agreed(contracts, period)
        self.percents = percents
        self.groups = groups
        self.regional = regional
        self.free: dict[str, int] = {}  # the bytes of each channel that no contract bills
        self.lines: list[dict[str, Any]] = []
        self.charges: list[dict[str, Any]] = []
        self._summed: dict[str, _Group] = {}
        self._parts: dict[
            str, dict[str, list[Slots]]
        ] = {}  # of groups: what they bill of channels that are not all theirs
        self._counts = Counts()
        self._total = _Group(Contract("total", ()), [0] * period.slots)

    def add(self, name: str, aliases: list[str], counts: Counts, sample: Sample, sha256: str | None) -> None:
        """Take one channel."""
        stretches = self.agreed.of(name)
        line = channel_line(name, counts, sample, self.percents)
        names = dict.fromkeys(stretch.contract.name for stretch in stretches)
        line.update(aliases=aliases, contract=", ".join(names) or None)
        self.free[name] = counts.bytes - sum(sum(sample.sizes[one.first : one.after]) for one in stretches)
        if sha256:
            line["series_sha256"] = sha256
        self.lines.append(line)
        self._counts = Counts(*map(sum, zip(self._counts, counts)))
        self._total.add(name, sample)
        for stretch in stretches:
            if not stretch.contract.group and self.agreed.is_here(stretch.contract):
                self._charge(stretch, [name], sample)
        self._add_to_groups(name, sample, stretches)

    def _charge(self, stretch: Stretch, channels: Sequence[str], sample: Sample) -> None:
        part, share = self.agreed.part(stretch)
        parts = self._parts.get(stretch.contract.name, {})
        spans = {name: parts.get(name) or [(stretch.first, stretch.after)] for name in channels}
        regions = self.regional(stretch, spans) if stretch.contract.regions else None
        own = cut(sample, stretch.first, stretch.after)
        self.charges.append({**Charge(stretch.contract, channels, own, part, share, regions).line(), "parts": parts})

    def _add_to_groups(self, name: str, sample: Sample, stretches: Sequence[Stretch]) -> None:
        """Add a channel to the groups that bill it, each with the slots that it bills."""
        for group in self.agreed.listed:
            spans = [(one.first, one.after) for one in stretches if one.contract is group]
            if group.group and spans and group.name in self.groups and self.agreed.is_here(group):
                empty = _Group(group, [0] * self.period.slots)
                whole = spans == [(0, self.period.slots)]
                self._summed.setdefault(group.name, empty).add(name, sample if whole else masked(sample, spans))
                if not whole:
                    self._parts.setdefault(group.name, {})[name] = spans

    def add_idle(self, pattern: str) -> None:
        """Charge channels without traffic: a commit or a minimum is billed all the same, where the contract names them.

        pattern: the glob of the bill's channels.
        """
        billed = {(line["contract"], channel) for line in self.charges for channel in line["channels"]}
        nothing = Sample([0] * self.period.slots)
        for stretch in self.agreed.stretches:
            contract = stretch.contract
            if not (contract.commit or contract.minimum) or not self.agreed.is_here(contract):
                continue
            if not contract.group:
                for name in self.agreed.contracts.named(contract):
                    if (contract.name, name) not in billed and fnmatch.fnmatchcase(name, pattern):
                        self._charge(stretch, [name], nothing)
            elif contract.name in self.groups and contract.name not in self._summed and pattern == "*":
                self._charge(stretch, contract.channels, nothing)

    def cut_groups(self) -> list[str]:
        """The groups that bill a channel of this bill, and others that are not on it."""
        names = dict.fromkeys(name for line in self.lines for name in (line["contract"] or "").split(", "))
        groups = [one.name for one in self.agreed.listed if one.group and self.agreed.is_here(one)]
        return [name for name in groups if name in names and name not in self.groups]

    def total(self) -> dict[str, Any]:
        """The line of all channels together."""
        sample = Sample(self._total.sizes, add_spans(self._total.missing))
        return channel_line("total", self._counts, sample, self.percents)

    def all_charges(self) -> list[dict[str, Any]]:
        """The contracts' lines, in the order of the contracts."""
        stretches = {stretch.contract.name: stretch for stretch in self.agreed.stretches}
        for group in self._summed.values():
            sample = Sample(group.sizes, add_spans(group.missing))
            self._charge(stretches[group.contract.name], group.channels, sample)
        order = {name: place for place, name in enumerate(stretches)}
        return sorted(self.charges, key=lambda line: (order[line["contract"]], line["channels"], line["from"]))


def channel_line(name: str, counts: Counts, sample: Sample, percents: Sequence[Fraction]) -> dict[str, Any]:
    """A channel's figures as docs/reference/bill.md describes them."""
    peak = max(sample.sizes, default=0)
    return {
        "channel": name,
        **counts._asdict(),
        "hit_ratio": counts.hit_ratio,
        "byte_hit_ratio": counts.byte_hit_ratio,
        "peak_bytes": peak,
        "peak_mbps": _mbps(peak),
        "peak_slot": sample.sizes.index(peak) if peak else None,
        "percentiles": [_percentile(sample, percent) for percent in percents],
        "missing": [list(span) for span in sample.missing],
        "missing_slots": len(sample.affected),
    }


def completeness(covered: Sequence[StreamCoverage], period: Period) -> dict[str, Any]:
    """The bill's part on what is missing."""
    by_stream = [stream_coverage.data() for stream_coverage in covered]
    names = ("expected", "received", "empty", "missing", "late", "lines", "rejected", "skewed")
    sums = {name: sum(stream[name] for stream in by_stream) for name in names}
    return {
        **sums,
        "complete": bool(sums["expected"]) and not sums["missing"],
        "streams": len(by_stream),
        "gaps": [gap_data(gap, period) for stream_coverage in covered for gap in stream_coverage.gaps],
        "by_stream": by_stream,
        "bounds": BOUNDS,
    }


def remarks(completeness: dict[str, Any]) -> list[str]:
    """What else a reader has to know, in sentences: of lines that are not counted, and of machines with one name."""
    twins = [
        twins_text(twin["edge"], [machine_text(one["host"], one["address"]) for one in twin["machines"]])
        for twin in completeness.get("twins", ())  # an old bill has none
    ]
    return [*_lines_text(completeness), *(f"{text[:1].upper()}{text[1:]}." for text in twins)]


def _lines_text(completeness: dict[str, Any]) -> list[str]:
    """How many lines were rejected or skewed, in sentences; none where there were no lines, or an old bill has none."""
    lines = completeness.get("lines")
    if not lines:
        return []
    if not completeness["rejected"]:
        text = [f"Every line fitted its log's format: {lines:,}."]
    else:
        text = [
            f"{completeness['rejected']:,} of {lines:,} lines did not fit their log's format and are on no bill: "
            f"{_most(completeness, 'rejected')}. `edgetally check` on the edge says why."
        ]
    if completeness["skewed"]:
        text.append(
            f"{completeness['skewed']:,} of {lines:,} lines ended outside the time of their log, so that a clock was "
            f"wrong; they are counted where that begins or ends: {_most(completeness, 'skewed')}."
        )
    return text


@dataclass
class _Group:
    """The sums of a group of channels, slot by slot."""

    contract: Contract
    sizes: Sequence[int]  # an array: hundreds of groups grow side by side
    channels: list[str] = field(default_factory=list)
    missing: list[Sequence[Span]] = field(default_factory=list)

    def add(self, channel: str, sample: Sample) -> None:
        self.channels.append(channel)
        self.sizes = array("Q", map(add, self.sizes, sample.sizes))
        self.missing.append(sample.missing)


def _billed_names(counters: Counters, pattern: str) -> tuple[list[Alias], dict[str, list[int]]]:
    """The aliases, and the channels' ids by the name that they are billed under."""
    aliases = [Alias(*pair) for pair in counters.aliases()]
    billed = resolve(aliases)
    ids: dict[str, list[int]] = {}
    for name, number in sorted(counters.channels().items()):
        ids.setdefault(billed.get(name, name), []).append(number)
    chosen = {name: numbers for name, numbers in ids.items() if fnmatch.fnmatchcase(name, pattern)}
    return [alias for alias in (Alias(old, billed[old]) for old, _new in aliases) if alias.new in chosen], chosen


def channel_ids(counters: Counters, pattern: str) -> list[int]:
    """The ids of all channels that are billed under a name that fits a glob."""
    return [number for numbers in _billed_names(counters, pattern)[1].values() for number in numbers]


def _whole_groups(counters: Counters, contracts: Contracts, pattern: str) -> set[str]:
    """The names of the groups all of whose channels fit the glob: a part of a group is not what is billed."""
    billed = resolve([Alias(*pair) for pair in counters.aliases()])
    groups = [contract for contract in contracts.listed if contract.group]
    lacking = set[str]()
    for name in {billed.get(name, name) for name in counters.channels()}:
        if not fnmatch.fnmatchcase(name, pattern):
            lacking.update(group.name for group in groups if contracts.takes(group, name))
    return {group.name for group in groups} - lacking


class _Missing:
    """How much can be missing of a channel, and when."""

    def __init__(self, counters: Counters, period: Period, covered: Sequence[StreamCoverage]) -> None:
        self._spans: dict[int, list[tuple[int, int]]] = {}
        for stream_coverage in covered:
            runs = _runs(stream_coverage.missing)
            if runs:
                spans = [(period.index(run.start), period.index(run.stop)) for run in runs]
                self._spans[stream_coverage.stream.id] = spans
        self._most = counters.most(sorted(self._spans)) if self._spans else {}

    def spans(self, ids: Sequence[int]) -> list[Span]:
        """What can be missing of the channels of these ids, summed."""
        return add_spans(
            [Span(first, after, most) for first, after in self._spans[stream]]
            for number in ids
            for stream, most in self._most.get(number, {}).items()
            if most > 0
        )


def _runs(slots: frozenset[int]) -> list[range]:
    """Slots (epoch s) as runs without gaps."""
    runs: list[range] = []
    for slot in sorted(slots):
        if runs and runs[-1].stop == slot:
            runs[-1] = range(runs[-1].start, slot + SLOT_SECONDS, SLOT_SECONDS)
        else:
            runs.append(range(slot, slot + SLOT_SECONDS, SLOT_SECONDS))
    return runs


def _percentile(sample: Sample, percent: Fraction) -> dict[str, Any]:
    size, low, high = sample.percentile(percent)
    return {
        "percent": plain(percent),
        "rank": rank(len(sample.sizes), percent),
        "bytes": size,
        "mbps": _mbps(size),
        "low_bytes": low,
        "low_mbps": _mbps(low),
        "high_bytes": high,
        "high_mbps": _mbps(high),
    }


def _mbps(size: int) -> float:
    return round(mbps(size), 6)


def _most(completeness: dict[str, Any], what: str) -> str:
    """The streams with the most lines that are `what`, rejected or skewed, and how many."""
    counts = sorted((-stream[what], stream["stream"]) for stream in completeness["by_stream"] if stream[what])
    return some([f"{stream} {-number:,}" for number, stream in counts], _NAMED)


def _twins(counters: Counters, period: Period) -> list[dict[str, Any]]:
    """The edges for which several machines spoke at the same time."""
    return [
        {
            "edge": edge,
            "machines": [
                {
                    "host": sighting.machine.host,
                    "address": sighting.machine.address,
                    "first": round(sighting.first, 3),
                    "last": round(sighting.last, 3),
                }
                for sighting in sightings
            ],
        }
        for edge, sightings in twins(counters.cursor, period.start, period.end).items()
    ]


def _object(
    period: Period, counters: Counters, aliases: list[Alias], builder: BillBuilder, complete: dict[str, Any]
) -> dict[str, Any]:
    """The bill's object, as docs/reference/bill.md describes it."""
    zone = str(period.zone)
    charges = builder.all_charges()
    return {
        "format": FORMAT,
        "program": __version__,
        "state": "open",
        "made": int(counters.now),
        "made_local": period.iso(int(counters.now)),
        "commit_no": counters.commit_no,
        "title": f"{period.say(period.start)} to {period.say(period.end)} {zone}",
        "period": {
            "name": period.name or None,
            "zone": zone,
            "from": period.start,
            "to": period.end,
            "from_local": period.iso(period.start),
            "to_local": period.iso(period.end),
            "slots": period.slots,
            "whole_slots": period.whole_slots,
            "days": [list(day) for day in period.days()],
        },
        "aliases": [alias._asdict() for alias in sorted(aliases)],
        "channels": builder.lines,
        "total": builder.total(),
        "agreed": [contract.terms() for contract in builder.agreed.contracts.listed],
        "contracts": charges,
        "amounts": totals(charges),
        "not_billed": [
            {"contract": contract.name, "zone": contract.zone}
            for contract in builder.agreed.listed
            if not builder.agreed.is_here(contract)
        ],
        "cut_groups": builder.cut_groups(),
        "completeness": complete,
    }
