"""Every kind of defect that the check knows, its cost and its mend. docs/how-to/check.md has the same list."""

from __future__ import annotations

from edgetally.formats.finding import FORMAT_DEFECTS, Defect

# Of a format.
RECEIVED_BYTES = Defect(
    "received_bytes", "wrong", "what clients send is billed as if it were sent to them", "log the bytes sent"
)
UNREADABLE_FORMAT = Defect("unreadable_format", "wrong", "none of its lines can be billed", "correct the format")
NO_DURATION = Defect(
    "no_duration",
    "risk",
    "a long transfer counts whole in the five minutes in which it ends",
    "log the duration as well",
)
TORN_LINE = Defect(
    "torn_line", "risk", "one is lost, or billed with the other's bytes", "begin with the time, and quote every text"
)
SIZE_LAST = Defect(
    "size_last", "note", "a line cut short looks whole, with fewer bytes", "put a field in quotes behind it"
)
NO_CACHE_STATUS = Defect("no_cache_status", "note", "the bill has no hit ratio", "log the cache's verdict as well")
CLIENT_HOST = Defect(
    "client_host", "note", "the tally undoes case and port, other tools do not", "log the host as the server knows it"
)
SLOW_FORMAT = Defect(
    "slow_format", "note", "a big log takes many times longer", "log times with seconds, and each text in quotes"
)
SERVER_HOST = Defect("server_host", "note", "all names of one virtual host are one", "log the host that was asked for")

# Of a server's configuration.
CONDITIONAL_LOG = Defect(
    "conditional_log", "risk", "requests that are not logged are not billed", "log every request, and sort it out later"
)
SAMPLED_LOG = Defect("sampled_log", "wrong", "only a part of the requests is billed", "log every request")
LOG_OFF = Defect("log_off", "risk", "the requests there are not billed", "write them to an access log")
BUFFERED_LOG = Defect(
    "buffered_log", "risk", "lines wait in memory: a crash takes them off the bill", "write each line at once"
)
GZIP_LOG = Defect(
    "gzip_log", "risk", "a crash leaves a file that cannot be read to its end", "leave the compression to edgetally"
)
NO_FILE = Defect(
    "no_file", "risk", "what is lost on the way is not billed, and here is nothing to rotate", "log to a file"
)
PIPED_LOG = Defect(
    "piped_log", "risk", "what the program loses or splits is not billed", "let the server write a file itself"
)
OTHER_ROTATOR = Defect(
    "other_rotator", "risk", "lines that another program moves away can be missed", "let only edgetally rotate it"
)
NO_PIN = Defect(
    "no_pin",
    "risk",
    "lines that another program moves away are lost, and their time is missing",
    "put the log on a file system that knows hard links and birth times, such as ext4 or XFS",
)
VARIABLE_PATH = Defect(
    "variable_path", "risk", "a log that no one knows of is not billed", "write one log, with the host in each line"
)
FORMAT_ELSEWHERE = Defect("format_elsewhere", "note", "the format was not looked at", "check the file that defines it")
INCLUDE = Defect("include", "note", "what it includes was not looked at", "check those files as well")
REPLACED_LOG = Defect("replaced_log", "note", "an edge that ships only the other one does not bill them", "ship both")
DROPPED_LINES = Defect("dropped_lines", "risk", "lines that cannot be written are not billed", "let it wait or stop")
REDEFINED_FORMAT = Defect("redefined_format", "note", "one of the two is ignored", "give each format a name of its own")
NOT_LOOKED_AT = Defect("not_looked_at", "note", "what it logs is not known", "check the log that it writes")
TWO_LOGS = Defect("two_logs", "note", "an edge that ships both bills each request twice", "ship one of them only")
SUBREQUESTS = Defect("subrequests", "wrong", "what a subrequest sent is billed twice", "log requests of clients only")
MIME_HEADERS = Defect("mime_headers", "wrong", "no line fits the format any more", "set log_mime_hdrs off")
OVERWRITTEN_LOG = Defect(
    "overwritten_log", "wrong", "each restart empties the log, and what it held is not billed", "add -a"
)
NOT_REOPENED = Defect(
    "not_reopened", "wrong", "it goes on writing to the renamed file: batches come late", "let it reopen its log"
)
BACKEND_TRAFFIC = Defect(
    "backend_traffic", "wrong", "traffic with the origins is billed", "log the clients' requests only"
)
UNIT_PERCENT = Defect(
    "unit_percent", "wrong", "systemd puts values of its own in their place", "write each % of the format as %%"
)
EARLY_LINE = Defect("early_line", "wrong", "the bytes of a transfer are counted before they are sent", "log at the end")
BINARY_LOG = Defect("binary_log", "wrong", "none of its lines can be billed", "write the log as text")

# Of a log.
NO_FORMAT = Defect("no_format", "wrong", "its lines cannot be billed", "give its format with --log-format")
GUESSED_FORMAT = Defect("guessed_format", "note", "another format may be the right one", "name it with --format")
REJECTED = Defect("rejected", "wrong", "they are not billed", "correct the format, or look at who writes such lines")
TORN_LINES = Defect("torn_lines", "wrong", "the records in them are not billed", "let one process write, whole lines")
NUL_BYTES = Defect(
    "nul_bytes", "wrong", "what stood there is not billed", "look for a crash, a full disk or a copytruncate"
)
CUT_LINES = Defect("cut_lines", "wrong", "they are not billed", "log less of what clients send, and that last")
CUT_FILE = Defect(
    "cut_file", "wrong", "what stood behind that is lost", "look for a crash, and leave the compression to edgetally"
)
OUT_OF_ORDER = Defect("out_of_order", "note", "each line counts in its own slot all the same", "look at the clock")
OUTSIDE_COVERS = Defect(
    "outside_covers", "wrong", "they count in another slot than their own", "look at the clock and the time zone"
)
TIME_ZONE = Defect("time_zone", "wrong", "its traffic counts in other hours, days, months", "log the offset, or in UTC")
CLOCK_SKEW = Defect("clock_skew", "wrong", "its traffic counts in other slots", "look at the time service")
NO_HOST_LINES = Defect(
    "no_host_lines", "risk", "rules on `host` do not match them", "log the host as the server knows it"
)
NO_BYTES = Defect("no_bytes", "wrong", "nothing is billed", "log the bytes on the wire")
DASH_BYTES = Defect("dash_bytes", "risk", "they count as 0 bytes", "see that the server counts what it sends")
ODD_DURATION = Defect(
    "odd_duration", "risk", "their time can be wrong, and so their slot", "see that the duration's unit is right"
)

# Of an edge.
LOG_ABSENT = Defect("log_absent", "wrong", "its traffic is not billed", "start the server, or correct the path")
STREAM_PROBLEM = Defect("stream_problem", "wrong", "it is not billed", "correct the edge's configuration")
SEVERAL_LOGS = Defect(
    "several_logs", "note", "each is a stream of its own", "let the glob match only logs to be billed"
)
REOPEN_PROGRAM = Defect("reopen_program", "risk", "the log may not be reopened, and batches come late", "correct it")
UNASSIGNED = Defect("unassigned", "risk", "nobody is billed for it", "add a rule for its hosts")
SILENT_LOG = Defect(
    "silent_log", "risk", "if its server serves, that is not billed", "see that the server writes this very file"
)
UNSEEN = Defect(
    "unseen",
    "risk",
    "what nobody logs is not billed",
    "look for a site or log that is left out, a format of body bytes, or other traffic of the host",
)
CLOCK_FREE = Defect(
    "clock_free", "risk", "a clock that runs off puts traffic in other slots", "set up a time service such as chrony"
)
DISK_SPACE = Defect(
    "disk_space", "risk", "a full disk stops both the logs and their shipping", "free some, or keep raw logs for less"
)

DEFECTS = {
    defect.code: defect
    for defect in (*FORMAT_DEFECTS, *(value for value in list(globals().values()) if isinstance(value, Defect)))
}
