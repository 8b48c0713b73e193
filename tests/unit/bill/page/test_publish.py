"""The pages without a browser: names of files, what a channel's sheet holds, and how pages are put in place."""

from __future__ import annotations

import ctypes
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgetally.bill.page.channel_page import identify, make
from edgetally.bill.page.publish import write_file, write_folder
from edgetally.bill.series import Counts, Series
from edgetally.errors import EdgetallyError

PAGE = '<meta name="generator" content="edgetally 1">'


# --- sheets


@pytest.mark.parametrize("channel", ["news", "NEWS", "../../etc", "", "ä" * 300, "a/b", "a-b", "."])
def test_a_channels_file_has_a_harmless_name_of_its_own(channel: str) -> None:
    name = identify(channel)
    assert name.isascii()
    assert len(name) < 60
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    others = {"news", "NEWS", "../../etc", "", "ä" * 300, "a/b", "a-b", "."} - {channel}
    assert name not in map(identify, others)


def sheet(sizes: list[int], **line: Any) -> Any:
    """The sheet of a channel over two short days: what matters of its line is given."""
    period = {
        "zone": "UTC", "from": 1_790_812_800, "days": [["2026-10-01", 0, 2], ["2026-10-02", 2, len(sizes) - 2]],
    }  # fmt: skip
    peak = max(sizes)
    base = {
        "channel": "news", "peak_slot": sizes.index(peak) if peak else None, "peak_bytes": peak, "peak_mbps": 1.0,
        "missing": [], "percentiles": [{"percent": "95", "mbps": 0.5}],
    }  # fmt: skip
    days = [Counts(4, sum(sizes[:2]), 1, 10, 2, 40), Counts(1, sum(sizes[2:]))]
    return make({**base, **line}, Series(sizes, days), period)


def test_a_sheet_has_the_days_with_their_own_peaks() -> None:
    found = sheet([10, 30, 20, 0])
    first, second = found.days
    assert (first.date, first.bytes, first.requests, first.hit_ratio, first.byte_hit_ratio) == (
        "2026-10-01", 40, 4, 0.5, 0.25,
    )  # fmt: skip
    assert (second.bytes, second.hit_ratio, second.byte_hit_ratio) == (20, None, None)
    assert json.loads(found.data)["bytes"] == [10, 30, 20, 0]
    assert json.loads(found.data)["peak"] == {"slot": 1, "mbps": 1.0}


def test_a_channel_without_traffic_has_no_peak() -> None:
    found = sheet([0, 0, 0])
    assert (found.peak_at, json.loads(found.data)["peak"]) == ("", None)
    assert [day.peak_at for day in found.days] == ["", ""]


def test_what_is_missing_of_two_streams_is_shaded_once() -> None:
    found = sheet([1, 1, 1, 1, 1, 1], missing=[[3, 5, 7], [0, 1, 7], [4, 6, 9]])
    assert json.loads(found.data)["missing"] == [[0, 1], [3, 6]]
    assert [day.missing for day in found.days] == [1, 3]


# --- places


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool) -> None:
    if not exchange:  # as on a file system that cannot
        monkeypatch.setattr(ctypes, "CDLL", lambda *_args, **_more: SimpleNamespace(renameat2=lambda *_paths: -1))
    out = tmp_path / "page"
    write_folder(str(out), [("index.html", PAGE), ("a.html", "a")])
    write_folder(str(out), [("index.html", f"{PAGE}2")])
    assert names(out) == ["index.html"]
    assert (out / "index.html").read_text() == f"{PAGE}2"
    assert names(tmp_path) == ["page"]


def test_pages_that_cannot_be_made_leave_the_old_ones(tmp_path: Path) -> None:
    out = tmp_path / "page"
    write_folder(str(out), [("index.html", PAGE)])

    def broken() -> Any:
        yield "index.html", "new"
        raise EdgetallyError("the database is gone")

    with pytest.raises(EdgetallyError, match="the database is gone"):
        write_folder(str(out), broken())
    assert (out / "index.html").read_text() == PAGE
    assert names(tmp_path) == ["page"]


def test_a_place_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for out, words in {
        "none/page": "cannot be written .No such file or directory.: name another folder",
        "file": "cannot be used .Not a directory.: name another folder",
    }.items():
        with pytest.raises(EdgetallyError, match=words):
            write_folder(str(tmp_path / out), [("index.html", PAGE)])
    with pytest.raises(EdgetallyError, match="name another file"):
        write_file(str(tmp_path / "none" / "page.html"), PAGE)
    assert (tmp_path / "file").read_text() == "mine"
    assert names(tmp_path) == ["file"]
