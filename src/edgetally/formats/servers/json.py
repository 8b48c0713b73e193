r"""Logs in JSON, one object a line: any, by the names of its members, and presets for what is well known.

    json time=ts,bytes=size,host=request.host,path=request.uri,duration=duration:ms,hit=cache:HIT,STALE

Each field is what it is to the tally, the path to its member, and after a colon how to read it; more of that, such as
the words of a hit, stand after commas. A dot in a name is written `\.`; so are commas, colons and equals signs. Several
hosts are taken in their order, several sizes are added up. A preset's name in place of `json` has its fields where none
are given in their place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from edgetally.errors import EdgetallyError, nearest
from edgetally.formats import clocks
from edgetally.formats.build import Dialect, findings_of
from edgetally.formats.json_line import UNITS, Member
from edgetally.formats.log_format import LogFormat
from edgetally.formats.pattern import Part
from edgetally.formats.values import JSON_HIT, shorten
from edgetally.record import NamedTuple

DIALECT = Dialect(
    server="json",
    title="JSON",
    directive="json",
    roles={},
    advice={
        "time": "time=MEMBER",
        "size": "bytes=MEMBER",
        "wire": "the bytes on the wire, if the server has a member for them,",
        "host": "a member with the host",
        "duration": "a member with the duration",
        "offset": "have the offset logged as well",
        "hit": "a member with what the cache says",
    },
)
# What the fields are called, and the role of each
ROLES = {"time": "time", "bytes": "size", "host": "host", "path": "path", "duration": "duration", "hit": "hit"}
_TIMES = {"unix": "s", "unix_ms": "ms", "unix_us": "us", "unix_ns": "ns"}
_TIME_KINDS = ("rfc3339", "clf")
_TARGETS = {"url": "url", "request": "request"}
_MOST_HOSTS = 4
_PIECE = re.compile(r"(?:[^,\\]|\\.)*")
_STEP = re.compile(r"((?:[^.:\\]|\\.)+)(\.|:|$)", re.S)


class Field(NamedTuple):
    """A field as it is given: what it is, the path to its member, and how that is read."""

    role: str
    path: tuple[str, ...]
    options: tuple[str, ...]


class Preset(NamedTuple):
    """A well-known log. server: as an edge's configuration names it; fields: as they would be given."""

    server: str
    description: str
    fields: str
    example: str


_CDN_TIME = '"2026-05-28T20:31:07Z"'
PRESETS: Mapping[str, Preset] = {
    "caddy": Preset(
        "caddy",
        "Caddy's access log in JSON",
        "time=ts,bytes=size:body,host=request.host,path=request.uri,duration=duration",
        '{"level":"info","ts":1780000000.123456,"logger":"http.log.access","msg":"handled request","request":'
        '{"remote_ip":"192.0.2.7","remote_port":"51234","proto":"HTTP/2.0","method":"GET","host":"www.example.com",'
        '"uri":"/a.gif?b","headers":{"User-Agent":["curl/8.0"]}},"bytes_read":0,"user_id":"","duration":0.0015,'
        '"size":2326,"status":200,"resp_headers":{"Server":["Caddy"]}}',
    ),
    "traefik_json": Preset(
        "traefik",
        "Traefik's access log, format json",
        "time=StartUTC,start,bytes=DownstreamContentSize:body,host=RequestHost,host=RequestAddr,path=RequestPath,"
        "duration=Duration:ns",
        '{"ClientHost":"192.0.2.7","DownstreamContentSize":2326,"DownstreamStatus":200,"Duration":2500000,'
        '"RequestHost":"www.example.com","RequestMethod":"GET","RequestPath":"/a.gif?b",'
        '"StartUTC":"2026-10-10T20:55:36.250123456Z","level":"info","msg":"","time":"2026-10-10T20:55:36Z"}',
    ),
    "ingress_nginx": Preset(
        "nginx",
        "Kubernetes' ingress-nginx, its documented log-format-upstream in JSON",
        "time=time,bytes=bytes_sent,host=vhost,path=path,duration=request_time",
        '{"time": "2026-05-28T20:31:07+00:00", "remote_addr": "192.0.2.7", "bytes_sent": 2326, "request_time": 0.002, '
        '"status": 200, "vhost": "www.example.com", "path": "/a.gif", "request_query": "b", "duration": 0.002}',
    ),
    "cloudflare": Preset(
        "json",
        "Cloudflare's Logpush, dataset http_requests",
        "time=EdgeEndTimestamp,bytes=EdgeResponseBytes,host=ClientRequestHost,path=ClientRequestURI,"
        "hit=CacheCacheStatus:hit,stale,updating,revalidated,stream_hit",
        '{"CacheCacheStatus":"hit","ClientRequestHost":"www.example.com","ClientRequestURI":"/a.gif?b",'
        f'"EdgeEndTimestamp":{_CDN_TIME},"EdgeResponseBytes":2326,"EdgeStartTimestamp":{_CDN_TIME}}}',
    ),
    "fastly": Preset(
        "json",
        "Fastly's log in JSON, with the members of its documented example",
        "time=timestamp:%Y-%m-%dT%H:%M:%S%z,start,bytes=response_body_size:body,host=host,path=url,duration=time_elapsed:us,"
        "hit=response_state:HIT,HIT-CLUSTER,HIT-WAIT,HIT-STALE,HIT-STALE-CLUSTER,HIT-REFRESH",
        '{"timestamp":"2026-05-28T20:31:07+0000","client_ip":"192.0.2.7","host":"www.example.com","url":"/a.gif?b",'
        '"request_method":"GET","response_state":"MISS","response_status":200,"response_body_size":2326}',
    ),
    "bunny": Preset(
        "json",
        "bunny.net's CDN logs in JSON",
        "time=timestamp,bytes=bytesSent,host=url:url,path=url:url,hit=cacheStatus:HIT,STALE,UPDATING,REVALIDATED",
        '{"cacheStatus":"HIT","statusCode":200,"timestamp":1780000267421,"bytesSent":2326,"pullZoneId":390,'
        '"remoteIp":"192.0.2.0","url":"https://www.example.com/a.gif?b"}',
    ),
    "azure_front_door": Preset(
        "json",
        "Azure Front Door's access log in JSON",
        "time=time,bytes=properties.responseBytes,host=properties.requestUri:url,path=properties.requestUri:url,"
        "duration=properties.timeTaken,hit=properties.cacheStatus:HIT,REMOTE_HIT,PARTIAL_HIT",
        f'{{"time":{_CDN_TIME},"category":"FrontDoorAccessLog","properties":{{"httpMethod":"GET","requestUri":'
        '"https://www.example.com:443/a.gif?b","responseBytes":"2326","timeTaken":"0.014","httpStatusCode":"200",'
        '"cacheStatus":"HIT"}}',
    ),
    "google_lb": Preset(
        "json",
        "Google Cloud's HTTP(S) load balancer and CDN, entries of Cloud Logging",
        "time=timestamp,start,bytes=httpRequest.responseSize,host=httpRequest.requestUrl:url,"
        "path=httpRequest.requestUrl:url,duration=httpRequest.latency,hit=httpRequest.cacheHit:true",
        '{"httpRequest":{"cacheHit":true,"cacheLookup":true,"latency":"0.002500s","requestMethod":"GET",'
        '"requestUrl":"https://www.example.com/a.gif?b","responseSize":"2326","status":200},"insertId":"1",'
        '"timestamp":"2026-05-28T20:31:07.250123Z"}',
    ),
}


def preset(name: str) -> LogFormat:
    """A preset by its name."""
    return compile_json(name)


def compile_json(text: str) -> LogFormat:
    """Compile `json` or a preset's name, and the fields that follow."""
    name, _, given = text.strip().partition(" ")
    known = PRESETS.get(name)
    if known is None and name != "json":
        close = nearest(name, ("json", *PRESETS))
        raise EdgetallyError(
            f"--fields go with json or one of {', '.join(PRESETS)}, and not with {shorten(name)}"
            + (f": did you mean '{close}'?" if close else ": name one of these")
        )
    fields = fields_of(given)
    if known:
        roles = {field.role for field in fields}
        fields = [field for field in fields_of(known.fields) if field.role not in roles] + fields
    title = f"JSON with {given.strip()}" if given or not known else known.description
    return _compiled(name, title, known, fields, known.example if known and not given else "")


def fields_of(text: str) -> list[Field]:
    """The fields of a specification. A piece without a role goes on with the field before it."""
    found: list[Field] = []
    for piece in _pieces(text):
        role, equals, rest = piece.partition("=")
        if equals and role.strip() in ROLES:
            path, options = _path(rest, piece)
            found.append(Field(ROLES[role.strip()], path, options))
        elif equals and re.fullmatch(r"\w+", role.strip()):
            close = nearest(role.strip(), ROLES)
            hint = f"did you mean '{close}'?" if close else f"name one of {', '.join(ROLES)}"
            raise EdgetallyError(f"--fields: '{shorten(role.strip())}' is no field: {hint}")
        elif found and piece:
            found[-1] = found[-1]._replace(options=(*found[-1].options, piece))
        else:
            raise EdgetallyError(
                f"--fields: '{shorten(piece)}' names no member: write FIELD=MEMBER with one of {', '.join(ROLES)}"
            )
    return found


def _pieces(text: str) -> list[str]:
    """What stands between the commas."""
    pieces, at = [], 0
    while text.strip() and at <= len(text):
        match = _PIECE.match(text, at)
        end = match.end() if match else len(text)
        pieces.append(text[at:end].strip())
        at = end + 1
    return pieces


def _path(text: str, piece: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(names on the way to a member, options) of what stands behind an equals sign."""
    names: list[str] = []
    at, end = 0, "."
    while end == "." or not names:
        match = _STEP.match(text, at)
        if match is None:
            raise EdgetallyError(
                f"--fields: '{shorten(piece)}' names no member: write the names with dots between them"
            )
        names.append(re.sub(r"\\(.)", r"\1", match[1], flags=re.S).strip())
        at, end = match.end(), match[2]
    option = text[at:].strip()
    if end == ":" and not option:
        raise EdgetallyError(f"--fields: '{shorten(piece)}' ends with a colon: say behind it how to read the member")
    return tuple(names), (option,) if option else ()


# --------------------------------------------------------------------------------------------------------------------
# From fields to a format


def _compiled(name: str, title: str, known: Preset | None, fields: list[Field], example: str) -> LogFormat:
    members, roles = _members(fields)
    _require(name, roles)
    parts = tuple(Part(member.name, member.kind) for member in members)
    body = all("body" in field.options for field in fields if field.role == "size")
    starts = any("start" in field.options for field in fields if field.role == "time")
    server = known.server if known else "json"
    dialect = DIALECT._replace(server=server)
    notes = tuple(findings_of(dialect, parts, roles, body, starts))
    hit = _hit([field for field in fields if field.role == "hit"])
    meaning, adds = "body" if body else "wire", starts and "duration" in roles
    fmt = LogFormat(name, title, example, server, parts, roles, meaning, adds, hit, False, notes)
    return fmt._replace(members=members, advice=dialect.advice)


def _members(fields: list[Field]) -> tuple[tuple[Member, ...], dict[str, tuple[int, ...]]]:
    """The members that the fields name, each once, and the roles of each."""
    places: dict[Member, int] = {}
    roles: dict[str, tuple[int, ...]] = {}
    for field in fields:
        member = _READ[field.role](field)
        clash = next((other for other in places if _clash(member, other)), None)
        if clash:
            raise EdgetallyError(
                f"--fields: {member.name} and {clash.name} are read in two ways, and a member has one: name it once"
            )
        roles[field.role] = (*roles.get(field.role, ()), places.setdefault(member, len(places)))
    return tuple(places), roles


def _clash(one: Member, other: Member) -> bool:
    """Whether two members are the same but for how they are read, or one would be in the other."""
    shorter = min(len(one.path), len(other.path))
    return one != other and one.path[:shorter] == other.path[:shorter]


def _require(name: str, roles: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse fields without time or bytes, and more of one than can be used."""
    for field, role in ROLES.items():
        most = {"host": _MOST_HOSTS, "size": 2}.get(role, 1)
        if len(roles.get(role, ())) > most:
            raise EdgetallyError(f"--fields: {field} stands there {len(roles[role])} times: at most {most} can be used")
    for field, what in (("time", "the time"), ("bytes", "the bytes")):
        if ROLES[field] not in roles:
            raise EdgetallyError(f"{name} does not say {what}: add {field}=MEMBER to --fields")


def _time(field: Field) -> Member:
    options = [option for option in field.options if option not in ("start", "end")]
    if len(options) > 1:
        raise EdgetallyError(
            f"--fields: time={'.'.join(field.path)} has two formats, {' and '.join(options)}: name one"
        )
    option = options[0] if options else ""
    if option in _TIMES:
        return Member(field.path, "unix", _TIMES[option])
    if "%" in option:
        odd = clocks.unknown_word(option)
        if odd:
            what = f"lacks {odd}" if " " in odd else f"has {odd}, which cannot be read"
            raise EdgetallyError(f"--fields: the format '{shorten(option)}' {what}: correct it")
        return Member(field.path, f"local:{option}", "")
    if option and option not in _TIME_KINDS:
        raise _unknown(field, option, (*_TIMES, *_TIME_KINDS, "start"), " or a format of strftime(3)")
    return Member(field.path, option or "stamp", "")


def _size(field: Field) -> Member:
    return _of_options(field, ("body", "wire"), lambda _: Member(field.path, "size"))


def _duration(field: Field) -> Member:
    return _of_options(field, tuple(UNITS), lambda unit: Member(field.path, "decimal", unit or "s"))


def _host(field: Field) -> Member:
    return _of_options(field, tuple(_TARGETS), lambda kind: Member(field.path, _TARGETS.get(kind, "host")))


def _path_member(field: Field) -> Member:
    return _of_options(field, tuple(_TARGETS), lambda kind: Member(field.path, _TARGETS.get(kind, "uri")))


def _word(field: Field) -> Member:
    return Member(field.path, "text")


_READ = {"time": _time, "size": _size, "duration": _duration, "host": _host, "path": _path_member, "hit": _word}


def _of_options(field: Field, known: tuple[str, ...], member: Callable[[str], Member]) -> Member:
    """A member whose field has one option at most."""
    for option in field.options:
        if option not in known:
            raise _unknown(field, option, known)
    if len(field.options) > 1:
        raise EdgetallyError(f"--fields: {'.'.join(field.path)} has {' and '.join(field.options)}: name one")
    return member(field.options[0] if field.options else "")


def _unknown(field: Field, option: str, known: tuple[str, ...], more: str = "") -> EdgetallyError:
    close = nearest(option, known)
    hint = f"did you mean '{close}'?" if close else f"it is one of {', '.join(known)}{more}"
    return EdgetallyError(f"--fields: '{shorten(option)}' is no way to read {'.'.join(field.path)}: {hint}")


def _hit(fields: list[Field]) -> re.Pattern[bytes]:
    """What matches the words of a hit."""
    words = [word for field in fields for word in field.options]
    return re.compile("|".join(map(re.escape, words)).encode()) if words else JSON_HIT
