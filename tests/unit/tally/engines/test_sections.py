"""W3C logs whose own `#Fields:` lines say what their lines hold, and change that."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from edgetally.formats.catalogue import parse_format
from edgetally.tally.count import tally
from edgetally.tally.engines import reference
from edgetally.tally.result import Tally

GIVEN = "#Fields: date time cs-host sc-bytes"
SWAPPED = b"#Fields: date time cs-host cs-bytes sc-bytes\r\n"
FORMAT = parse_format(GIVEN)
SLOT = 1_791_665_700


def row(*values: object) -> bytes:
    return " ".join(map(str, ("2026-10-10 20:55:36", *values))).encode() + b"\n"


def count(*files: bytes, **options: Any) -> Tally:
    return tally([io.BytesIO(data) for data in files], FORMAT, None, **options)


def test_a_line_of_fields_changes_the_format_from_there_on() -> None:
    """The bytes received of the new lines stand where the bytes sent of the old ones did."""
    found = count(row("a", 5) + SWAPPED + row("a", 7, 11) + row("b", 7, 13))
    assert found.cells == {(SLOT, "a"): [2, 16, None, None], (SLOT, "b"): [1, 13, None, None]}
    assert (found.counted, found.rejected, found.bytes) == (3, 0, 29)


def test_the_same_fields_again_are_no_change() -> None:
    found = count(b"#Version: 1.0\n" + GIVEN.encode() + b"\n" + row("a", 5) + GIVEN.encode() + b"\n" + row("a", 6))
    assert (found.counted, found.bytes) == (2, 11)


def test_the_next_file_begins_with_the_format_given() -> None:
    found = count(SWAPPED + row("a", 7, 11), row("a", 5))
    assert (found.counted, found.rejected, found.bytes) == (2, 0, 16)


def test_fields_that_make_no_bill_reject_their_lines() -> None:
    """Else the bytes received would be counted: they are where those sent have been."""
    found = count(
        row("a", 5) + b"#Fields: date time cs-host cs-bytes\n" + row("a", 7) + b"\n" + SWAPPED + row("a", 7, 11)
    )
    assert (found.counted, found.rejected, found.bytes) == (2, 1, 16)
    (reject,) = found.rejects
    assert (reject.line, reject.text) == (3, "2026-10-10 20:55:36 a 7")
    assert "makes no bill: #Fields: w3c does not say the bytes" in reject.reason


def test_rejected_lines_have_their_numbers_in_their_order() -> None:
    found = count(b"bad\n" + SWAPPED + b"bad\n" + GIVEN.encode() + b"\nworse\n" + SWAPPED + b"worst\n")
    assert [(reject.line, reject.text) for reject in found.rejects] == [
        (1, "bad"),
        (3, "bad"),
        (5, "worse"),
        (7, "worst"),
    ]


def test_hits_are_known_only_if_all_sections_tell_them() -> None:
    hits = b"#Fields: date time cs-host sc-bytes x-edge-result-type\n"
    assert count(hits + row("a", 5, "Hit")).cells == {(SLOT, "a"): [1, 5, 1, 5]}
    assert count(hits + row("a", 5, "Hit"), row("a", 5)).cells == {(SLOT, "a"): [2, 10, None, None]}


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_the_result_does_not_depend_on_the_blocks(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = (row("a", 5) * 3 + SWAPPED + row("b", 7, 11) * 3 + GIVEN.encode() + b"\n" + row("c", 1)) * 4
    whole = count(data)
    monkeypatch.setattr(reference, "_BLOCK", size)
    assert count(data) == whole
    assert whole.bytes == 4 * (15 + 33 + 1)


def test_several_processes_count_the_same(tmp_path: Path) -> None:
    """A range of a file would not know what was said of it before: one process counts all."""
    log = tmp_path / "log"
    log.write_bytes(SWAPPED + row("a", 7, 11) * 400_000)
    assert tally([str(log)], FORMAT, None, jobs=2).bytes == 4_400_000


def test_spreading_needs_a_duration_in_every_section() -> None:
    timed = parse_format("#Fields: date time cs-host sc-bytes time-taken")
    found = tally([io.BytesIO(row("a", 5, 100) + SWAPPED + row("a", 7, 11))], timed, None, max_spread=600)
    assert (found.counted, found.rejected) == (1, 1)
    assert "makes no bill" in found.rejects[0].reason


def test_the_date_of_a_log_whose_lines_have_none_is_that_of_the_last_directive() -> None:
    head = b"#Version: 1.0\n#Date: 2026-10-10 00:00:00\n#Fields: time cs-host bytes\n"
    found = count(head + b"20:55:36 a 5\n#Date: 11-Oct-2026 00:00:00\n20:55:36 a 7\n")
    assert found.cells == {(SLOT, "a"): [1, 5, None, None], (SLOT + 86_400, "a"): [1, 7, None, None]}
    assert found.rejected == 0


def test_the_offset_from_greenwich_holds_for_the_lines_below_it() -> None:
    head = b"#GMT-Offset: -0200\r\n#Fields: date time cs-host sc-bytes\r\n"
    found = count(head + row("a", 5) + b"#GMT-Offset: +0000\r\n" + row("a", 7))
    assert {place[0]: cell[1] for place, cell in found.cells.items()} == {SLOT + 7200: 5, SLOT: 7}


def test_the_software_says_the_unit_of_time_taken() -> None:
    """In seconds, 60 of them lie over several slots; in milliseconds over none."""
    fields = b"#Fields: date time cs-host sc-bytes time-taken\n"
    given = parse_format(fields.decode())
    for software, slots in ((b"", 3), (b"#Software: Microsoft Internet Information Services 8.5\n", 1)):
        data = io.BytesIO(software + fields + row("a", 900, 600))
        assert len(tally([data], given, None, max_spread=3600).cells) == slots


def test_tabs_are_seen_in_the_lines_where_the_fields_stand_between_blanks() -> None:
    fields = b"#Fields: date time cs-host cs(User-Agent) sc-bytes\n"
    line = b"2026-10-10\t20:55:36\ta\tMozilla (X11; Linux)\t5\n"
    found = count(fields + line + b"#Remark: x\n" + line, fields + row("b", '"Mozilla (X11)"', 7))
    assert found.cells == {(SLOT, "a"): [2, 10, None, None], (SLOT, "b"): [1, 7, None, None]}
