"""Every mend that the check prints is one that the server takes: its own check says so of what the mend names.

The mends are those of the check's corpus, and of formats with nothing in them that a bill needs. Of each the fields are
put into a format of the server's own configuration, and the settings into its place for these.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgetally.check import configuration
from edgetally.check.format import check_text
from edgetally.check.servers.source import Source
from tests.support import ROOT
from tests.support.servers import free_port, program

CORPUS = ROOT / "tests" / "unit" / "check" / "corpus"
# Formats that lack all that can be lacked, with a name for the server whose mends they get.
POOR = {
    "nginx": ("$time_local $body_bytes_sent", "$msec $request_length", "$msec $http_host $bytes_sent"),
    "nginx_stream": ("log_format x '$msec $bytes_sent';", "log_format x '$msec $protocol';"),
    "apache": ("%t %b", "%t %v %O", "%{%F %T}t %I"),
    "lighttpd": ("%t %b %>s", "%t %S"),
    "squid": ("%ts.%03tu %<st", "%ts.%03tu %>st"),
    "varnish": ("%t %b %s", "%t %I", "%{%F %T}t %O"),
    "haproxy": ("%ci %t %B", "%ci %trl %U"),
}
FIELDS = {
    "nginx": r"\$\w+",
    "apache": r"%(?:\{[^}]+\})?>?[A-Za-z]",
    "squid": r"%(?:\{[^}]+\})?[<>]?[A-Za-z]+",
    "varnish": r"%(?:\{[^}]+\})?[A-Za-z]",
    "haproxy": r"%(?:\[[^ ]+\]|[A-Za-z]+)",
}
FIELDS.update(nginx_stream=FIELDS["nginx"], lighttpd=FIELDS["apache"])
NO_FIELD = {"nginx": "$no_such", "nginx_stream": "$host", "squid": "%<no", "haproxy": "%nosuch"}
NO_FIELD.update(dict.fromkeys(("apache", "varnish"), "%Z"))


def mends(server: str) -> set[str]:
    """What the check tells to do, in its words."""
    found = {finding.mend for text in POOR[server] for finding in check_text(text, server)}
    for path in (CORPUS / server).glob("*") if (CORPUS / server).is_dir() else ():
        found |= {finding.mend for finding in configuration.check(Source(str(path), path.read_text()))}
    return found


def fields(server: str) -> list[str]:
    """The fields that mends name."""
    named = {field for mend in mends(server) for field in re.findall(FIELDS[server], mend)}
    if server in ("apache", "lighttpd", "varnish"):
        named.discard("%z")  # a word of strftime's, in the brackets of %{}t
    assert named
    return sorted(named)


def accepts(command: list[str], file: Path, text: str, good: Callable[[int, str], bool]) -> bool:
    """Whether a server's check takes a configuration."""
    file.write_text(text)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    print(done.stdout, done.stderr)
    return good(done.returncode, done.stdout + done.stderr)


def without_errors(status: int, said: str) -> bool:
    return status == 0 and not re.search(r"ERROR|FATAL|WARNING: .*(?:format|obsolete)", said)


def nginx(folder: Path, named: list[str], block: str = "http") -> tuple[list[str], str]:
    formats = "".join(f"log_format f{number} '{field}';\n" for number, field in enumerate(named))
    module = "/usr/lib/nginx/modules/ngx_stream_module.so"
    head = f"load_module {module};\n" if block == "stream" else ""
    text = f"{head}pid {folder}/pid;\nerror_log {folder}/e;\nevents {{}}\n{block} {{\n{formats}}}\n"
    return [program("nginx"), "-t", "-c", str(folder / "c")], text


def nginx_stream(folder: Path, named: list[str]) -> tuple[list[str], str]:
    return nginx(folder, named, "stream")


def apache(folder: Path, named: list[str]) -> tuple[list[str], str]:
    formats = "".join(
        f'LogFormat "{field}" f{number}\nCustomLog logs f{number}\n' for number, field in enumerate(named)
    )
    module = "LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so"
    text = f"{module}\nServerName a\nPidFile pid\nErrorLog e\nListen 127.0.0.1:{free_port()}\n{formats}"
    return [program("apache2"), "-t", "-d", str(folder), "-f", str(folder / "c")], text


def lighttpd(folder: Path, named: list[str]) -> tuple[list[str], str]:
    text = f'server.document-root = "{folder}"\nserver.port = {free_port()}\nserver.modules = ("mod_accesslog")\n'
    return [program("lighttpd"), "-tt", "-f", str(folder / "c")], f'{text}accesslog.format = "{" ".join(named)}"\n'


def squid(folder: Path, named: list[str]) -> tuple[list[str], str]:
    settings = {match[1] for mend in mends("squid") if (match := re.fullmatch(r"set (\w+ \w+)", mend))}
    assert {"logfile_rotate 0", "log_mime_hdrs off", "buffered_logs off"} <= settings
    formats = "".join(f"logformat f{number} {field}\n" for number, field in enumerate(named))
    text = "\n".join(["http_port 3128", *sorted(settings), f"{formats}access_log stdio:{folder}/a logformat=f0"])
    return [program("squid"), "-k", "parse", "-f", str(folder / "c")], f"{text}\n"


def haproxy(folder: Path, named: list[str]) -> tuple[list[str], str]:
    del folder
    fronts = "".join(
        f"frontend f{number}\n  bind 127.0.0.1:{free_port()}\n  http-request set-var(txn.host) req.hdr(host)\n  "
        f'log-format "{field}"\n  default_backend b\n'
        for number, field in enumerate(named)
    )
    defaults = (
        "defaults\n  mode http\n  option httplog\n  timeout client 1s\n  timeout server 1s\n  timeout connect 1s\n"
    )
    return [program("haproxy"), "-c", "-f", "FILE"], f"{defaults}{fronts}backend b\n  server s 127.0.0.1:1\n"


def varnish(folder: Path, named: list[str]) -> tuple[list[str], str]:
    """It reads its options before it looks for varnishd, which is not there: what it says then tells."""
    flags = [word for mend in mends("varnish") for word in re.findall(r"^add (-\w)$", mend)]
    assert sorted(flags) == ["-D", "-a"]
    command = [program("varnishncsa"), "-a", "-w", str(folder / "log"), "-n", str(folder), "-t", "0"]
    return [*command, "-F", " ".join(named)], ""


SERVERS = {"nginx": nginx, "nginx_stream": nginx_stream, "apache": apache, "lighttpd": lighttpd, "squid": squid}
SERVERS.update(haproxy=haproxy, varnish=varnish)


def taken(server: str, folder: Path, named: list[str]) -> bool:
    """Whether the server's own check takes a configuration with these fields."""
    command, text = SERVERS[server](folder, named)
    command = [str(folder / "c") if word == "FILE" else word for word in command]
    if server == "varnish":
        return accepts(command, folder / "c", text, lambda _, said: "Could not get hold of varnishd" in said)
    return accepts(command, folder / "c", text, without_errors)


@pytest.mark.parametrize("server", SERVERS)
def test_what_a_mend_names_is_taken_by_the_server(server: str, tmp_path: Path) -> None:
    named = fields(server)
    assert taken(server, tmp_path, named), named


@pytest.mark.parametrize("server", NO_FIELD)
def test_what_the_server_does_not_know_is_not_taken(server: str, tmp_path: Path) -> None:
    """So that the test above can fail."""
    assert not taken(server, tmp_path, [*fields(server), NO_FIELD[server]])


def findings(server: str, text: str) -> Iterator[tuple[str, str]]:
    for finding in check_text(text, server):
        match = re.match(r"log (\S+)(?: or \S+)?(?: \(\w+\))? (?:as well|instead)$", finding.mend)
        if match:
            yield finding.code, match[1]


@pytest.mark.parametrize("server", POOR)
def test_a_mend_mends(server: str) -> None:
    """The field that it names, once logged, takes the finding away."""
    mended = 0
    for text in POOR[server]:
        for code, field in findings(server, text):
            form = re.sub(r"(';)?$", rf' "{field}"\1', text, count=1)
            assert code not in {finding.code for finding in check_text(form, server)}, (form, code)
            mended += 1
    assert mended
