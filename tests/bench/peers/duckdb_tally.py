"""The same sums as nginx.awk, by DuckDB: duckdb_tally.py LOG. Its CSV reader takes a line's fields apart at blanks."""

import sys

import duckdb

TEXTS = (
    ("client", "dash", "user", "time", "zone", "request", "status"),
    ("referer", "agent", "host", "duration", "cache"),
)


def main() -> None:
    before, behind = (", ".join(f"'{name}': 'VARCHAR'" for name in names) for names in TEXTS)
    lines = f"""
        SELECT substr(time, 2, 15) || (substr(time, 17, 2)::INTEGER // 5 * 5) AS slot, host, bytes,
            cache IN ('HIT', 'STALE', 'UPDATING', 'REVALIDATED') AS hit
        FROM read_csv(?, delim = ' ', quote = '"', escape = '"', header = false, auto_detect = false,
            columns = {{{before}, 'bytes': 'BIGINT', {behind}}})"""
    sums = f"""
        SELECT slot, host, count(*), sum(bytes)::BIGINT, count(*) FILTER (hit),
            coalesce(sum(bytes) FILTER (hit), 0)::BIGINT
        FROM ({lines}) GROUP BY ALL"""
    for row in duckdb.connect().execute(sums, [sys.argv[1]]).fetchall():
        print(*row)


if __name__ == "__main__":
    main()
