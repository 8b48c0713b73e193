"""Tells which server's a pasted format is."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module

from edgetally.errors import EdgetallyError
from edgetally.formats.log_format import LogFormat
from edgetally.formats.values import shorten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def module_of(server: str) -> Any:
    """The module of a server's formats. Most runs need one, so each is imported when it is asked for."""
    return import_module(f"edgetally.formats.servers.{server}")


def later(server: str, name: str) -> Callable[..., LogFormat]:
    """A function of a server's module, which is imported when the function is called."""

    def call(*arguments: str) -> LogFormat:
        fmt: LogFormat = getattr(module_of(server), name)(*arguments)
        return fmt

    return call


COMPILERS: dict[str, Callable[[str], LogFormat]] = {
    "nginx": later("nginx", "compile_nginx"),
    "apache": later("apache", "compile_apache"),
    "squid": later("squid", "compile_squid"),
    "varnish": later("varnish", "compile_varnish"),
    "trafficserver": later("trafficserver", "compile_trafficserver"),
    "haproxy": later("haproxy", "compile_haproxy"),
    "w3c": later("w3c", "compile_w3c"),
    "lighttpd": later("apache", "compile_lighttpd"),
    "json": later("json", "compile_json"),
}
SERVERS = (*COMPILERS, "traefik", "caddy", "aws")  # the last three have formats that are known by name only

# The directives' keywords settle it. Squid's logformat has a name before its format, Apache's has a quote.
_KEYWORDS = (
    ("json", r"[a-z_]+\s+[a-z]+=(?!json\b)"),
    ("nginx", r"log_format\b|escape="),
    ("haproxy", r"log-format\b"),
    ("squid", r"logformat\s+[^\s\"']"),
    ("apache", r"(?i:LogFormat|CustomLog|TransferLog)\b"),
    ("lighttpd", r"accesslog\.format\b"),
    ("w3c", r"#(?:Fields|Version|Software|Date|GMT-Offset):"),
    ("varnish", r"varnishncsa\b|-F\b"),
    ("trafficserver", r"(?:- *)?(?:name|format): "),
)
# Without a keyword, what only one server's formats have tells. The first that is found is taken.
_TELL_TALES = (
    ("nginx", r"\$\{?[a-z_][a-z0-9_]+"),
    ("trafficserver", r"%<(?:\{[^}]*\})?\w+(?:\[[-\d:]*\])?>"),
    (
        "haproxy",
        r"%\{[+-]|%\[[\w.]+(?:\([^)]*\))?(?:,[^\]]*)?\]|"
        r"%(?:trl|trg|ci|cp|ft|fi|fp|ST|TR|Ta|Tt|Tw|CC|CS|tsc|hrl?|hsl?|HM|HU|HP)(?![a-z])",
    ),
    ("varnish", r"\{(?:Varnish|VCL_Log|VSL):[^}]*\}x"),
    ("squid", r"%[\"\[#'/]?-?\d*(?:\.\d+)?(?:<st|>a|[<>]Hs|ts\.|t[lg]\b|Ss|Sh|>?r[mud]\b|un\b|\w+::)"),
    ("apache", r"%>s|%[vVBDfRLkPXS](?![a-zA-Z])|%\{(?:[cn]|begin|end|[mu]?s|remote|local)[^}]*\}[taTp]|\}[nCex]|%\^"),
)


def is_pasted(text: str) -> bool:
    """Whether a text is a format or a directive, and not a name."""
    return any(sign in text for sign in "%$") or any(re.match(keyword, text) for _, keyword in _KEYWORDS)


def server_of(text: str, server: str = "") -> str:
    """The server whose format a pasted text is. server: the one that the configuration names, or empty.

    Raises EdgetallyError where the two differ, and where the text could be of several servers.
    """
    owner = next((name for name, pattern in _KEYWORDS if re.match(pattern, text)), "")
    owner = owner or next((name for name, pattern in _TELL_TALES if re.search(pattern, text)), "")
    if not server and not owner:
        raise EdgetallyError(
            f"format '{shorten(text)}' could be Apache's, Varnish's or lighttpd's: say with --server which one it is"
        )
    if server and server not in COMPILERS:
        raise EdgetallyError(
            f"{server}'s formats have names: `edgetally formats` lists them; '{shorten(text)}' is none"
        )
    family = {"apache", "varnish", "lighttpd"}
    if server and owner and owner != server and not {server, owner} <= family:
        what = "a format with $variables is" if owner == "nginx" else f"the format '{shorten(text)}' looks like"
        raise EdgetallyError(
            f"{what} {owner}'s, but the log's server is '{server}': name a format of {server}'s, or correct the server"
        )
    return server or owner
