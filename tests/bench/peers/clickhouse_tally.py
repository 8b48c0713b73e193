"""The same sums as the awk programs, by ClickHouse as a library: clickhouse_tally.py LAYOUT LOG.

One reader takes lines apart at blanks or commas, its JSON reader by the names of the members.
"""

import sys
from typing import NamedTuple

import chdb


class Layout(NamedTuple):
    """How a log is read. columns: those that are not texts have their type; slot: any time in it, as SQL."""

    reader: str
    columns: str
    slot: str
    delimiter: str = " "
    host: str = "host"
    hit: str = "cache IN ('HIT', 'STALE', 'UPDATING', 'REVALIDATED')"


_FIVE = "leftPad(toString(intDiv(toUInt8(substr(time, {}, 2)), 5) * 5), 2, '0')"
_CAME = "toUnixTimestamp(parseDateTime(substr(time, 2, 20), '%d/%b/%Y:%H:%i:%s', 'UTC')) * 1000"
LAYOUTS = {
    "nginx": Layout(
        "CustomSeparated",
        "client dash user time zone request status bytes:UInt64 referer agent host duration cache",
        f"concat(substr(time, 2, 15), {_FIVE.format(17)})",
    ),
    "csv": Layout(
        "CustomSeparated",
        "time:Float64 duration host status bytes:UInt64 cache request agent",
        "intDiv(toUInt64(time), 300) * 300",
        ",",
    ),
    "json": Layout("JSONEachRow", "time host bytes cache", f"concat(substr(time, 1, 14), {_FIVE.format(15)})"),
    "haproxy": Layout(
        "CustomSeparated",
        "client time front back timers status bytes:UInt64 c s state counts queues cache host request",
        f"intDiv({_CAME} + toUInt32(substr(time, 23, 3)) + toUInt32(splitByChar('/', timers)[5]), 300000) * 300",
        hit="cache = '1'",
    ),
    "caddy": Layout(
        "JSONEachRow",
        "ts:Float64 request:Tuple(host\tString) size:UInt64",
        "intDiv(toUInt64(ts), 300) * 300",
        host="request.host",
        hit="0",
    ),
}


def main() -> None:
    layout = LAYOUTS[sys.argv[1]]
    columns = [column.partition(":")[::2] for column in layout.columns.split(" ")]
    structure = ", ".join(f"{name} {kind or 'String'}" for name, kind in columns)
    size = "size" if "size:UInt64" in layout.columns else "toUInt64(bytes)"
    sums = f"""
        SELECT {layout.slot} AS slot, {layout.host} AS named, count(), sum({size}), countIf({layout.hit}),
            sumIf({size}, {layout.hit})
        FROM file('{sys.argv[2]}', '{layout.reader}', '{structure}') GROUP BY slot, named
        SETTINGS format_custom_escaping_rule = 'CSV', format_custom_field_delimiter = '{layout.delimiter}',
            format_csv_delimiter = '{layout.delimiter}', input_format_skip_unknown_fields = 1"""
    sys.stdout.buffer.write(chdb.query(sums, "TSV").bytes().replace(b"\t", b" "))


if __name__ == "__main__":
    main()
