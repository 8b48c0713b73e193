"""Defects that make a bill wrong: a kind of defect, and a finding, which is one of that kind that was found."""

from __future__ import annotations

from edgetally.record import NamedTuple

# The bill is wrong; it can become wrong; it is right, and this is good to know.
SEVERITIES = ("wrong", "risk", "note")


class Finding(NamedTuple):
    """A defect that was found.

    code: of its kind; severity: one of SEVERITIES; what, cost and mend: a phrase each; where: a file and line, a log or
    a format's name, empty where that is plain. As text it is one sentence.
    """

    code: str
    severity: str
    what: str
    cost: str
    mend: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.cost}; {self.mend}"


class Defect(NamedTuple):
    """A kind of defect. code: short and stable; severity, cost and mend: for findings that have none of their own."""

    code: str
    severity: str
    cost: str
    mend: str

    def found(self, what: str, *, mend: str = "", cost: str = "", severity: str = "", where: str = "") -> Finding:
        """A finding of this kind. What is given here takes the place of the kind's own words."""
        return Finding(self.code, severity or self.severity, what, cost or self.cost, mend or self.mend, where)


# Those that a format shows by itself.
BODY_BYTES = Defect("body_bytes", "wrong", "headers are not billed", "log the bytes on the wire instead")
NO_HOST = Defect("no_host", "risk", "only rules on `log` and `path` can match", "log the host as well")
START_TIME = Defect("start_time", "wrong", "long transfers are booked too early", "log the duration as well")
LOCAL_TIME = Defect("local_time", "risk", "it is read as UTC", "add the offset to its format, or log the epoch's time")
UNQUOTED = Defect("unquoted", "risk", "a line where it holds what ends it is rejected", "put it in double quotes")
UNESCAPED = Defect(
    "unescaped", "risk", "a line whose client sends a quote is rejected", "let the server escape what clients send"
)
UNKNOWN_FIELD = Defect(
    "unknown_field", "note", "it is read as text", "see that it is spelled right; a newer edgetally may know it"
)
REMAPPED_URL = Defect("remapped_url", "risk", "the host may be an origin's", "log %<cquuc> as well")
NO_DATE = Defect(
    "no_date", "risk", "after midnight they count a day early, until the log says its date anew", "log the date as well"
)
JSON_ESCAPE = Defect(
    "json_escape", "note", "the tally reads it, other tools may not", "use escape=json with JSON, and only with it"
)
FORMAT_DEFECTS = (
    BODY_BYTES,
    NO_HOST,
    START_TIME,
    LOCAL_TIME,
    UNQUOTED,
    UNESCAPED,
    UNKNOWN_FIELD,
    REMAPPED_URL,
    JSON_ESCAPE,
    NO_DATE,
)
