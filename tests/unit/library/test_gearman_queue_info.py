"""The module gearman_queue_info against servers that are not what they should be.

Its users look at it when the job server is in trouble, so each kind of trouble must come back as one sentence, in time.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

from tests.support import ROOT

FILE = ROOT / "library" / "gearman_queue_info.py"
LOOPBACK = "127.0.0.1"

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.json"))
"""What real servers of several versions have answered: see the README there."""

Speaker = Callable[[socket.socket], None]


def load() -> Any:
    """The module as Python; library/ is no package."""
    spec = importlib.util.spec_from_file_location("gearman_queue_info", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


info = load()


def test_the_programs_module_is_this_file() -> None:
    """A link: a copy would go its own way."""
    assert (ROOT / "src" / "edgetally" / "health" / FILE.name).resolve() == FILE


@contextlib.contextmanager
def server(speak: Speaker) -> Iterator[int]:
    """A server on loopback that accepts one connection and hands it to `speak`; yields its port."""
    with socket.create_server((LOOPBACK, 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    speak(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes an accept that nobody has come to
    thread.join(10)
    assert not thread.is_alive()


def until_hung_up(connection: socket.socket) -> None:
    """Stay silent until the module hangs up."""
    with contextlib.suppress(OSError):
        while connection.recv(4096):
            pass


UNKNOWN = b"ERR UNKNOWN_COMMAND Unknown+server+command\r\n"


def answers(
    status: bytes,
    version: bytes = b"0.14\n",
    *,
    priorities: bytes = UNKNOWN,
    workers: bytes = b".\n",
    stay: bool = True,
    piece: int = 1 << 20,
    late: float = 0.0,
) -> Speaker:
    """A server that gives these answers, `piece` bytes at a time, the first one `late` seconds late.

    Then it stays silent, or hangs up; without `stay` also after an answer that is cut.
    """

    def speak(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        commands = {b"version": version, b"status": status, b"prioritystatus": priorities, b"workers": workers}
        for command, answer in commands.items():
            if connection.recv(64) != command + b"\r\n":
                return  # the module has hung up, or the test sees what it makes of that
            time.sleep(late if command == b"version" else 0)
            for start in range(0, len(answer), piece):
                connection.sendall(answer[start : start + piece])
            if not stay and not answer.endswith(b"\n"):
                return
        if stay:
            until_hung_up(connection)

    return speak


def run(capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, Any]:
    """Run the module as Ansible does and return what it prints."""
    with patch_module_args(options), pytest.raises(SystemExit):
        info.main()
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert {"server", "queues", "workers", "totals", "healthy", "problems"} <= set(printed)
    return printed


def ask(capsys: pytest.CaptureFixture[str], speak: Speaker, **options: Any) -> dict[str, Any]:
    """Run the module against a fake server."""
    with server(speak) as port:
        return run(capsys, **{"host": LOOPBACK, "port": port, "timeout": 5, **options})


def queue(total: int, running: int, workers: int, registered: bool = True) -> dict[str, Any]:
    """A queue as the module returns it."""
    waiting = total - running
    counts = {"total": total, "running": running, "waiting": waiting, "workers": workers}
    return {**counts, "registered": registered, "priorities": None}


def assert_sentence(text: str, port: int, *words: str) -> None:
    """One sentence that names host and port, the cause, and what to look at."""
    assert f"{LOOPBACK}:{port}" in text
    assert "look" in text
    assert text.endswith(".")
    assert "\n" not in text
    for word in words:
        assert word in text


STATUS = b"edgetally.batch\t3\t1\t2\nedgetally.receipt\t0\t0\t1\nold\t7\t0\t0\n.\n"


# ---- a server as it should be


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (b"0.14\n", "0.14"),
        (b"OK 1.1.20\n", "1.1.20"),
        (b"OK 1.1.20+ds\r\n", "1.1.20+ds"),
        (b"OK \n", ""),
        (b"ERR UNKNOWN_COMMAND Unknown+server+commandversion\r\n", ""),
    ],
)
def test_version(capsys: pytest.CaptureFixture[str], version: bytes, expected: str) -> None:
    found = ask(capsys, answers(STATUS, version))
    assert found["server"]["version"] == expected
    assert found["changed"] is False


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_queues_and_totals_however_the_answer_is_cut(capsys: pytest.CaptureFixture[str], piece: int) -> None:
    found = ask(capsys, answers(STATUS, piece=piece))
    assert found["queues"] == {
        "edgetally.batch": queue(3, 1, 2),
        "edgetally.receipt": queue(0, 0, 1),
        "old": queue(7, 0, 0),
    }
    assert found["totals"] == {"total": 10, "running": 1, "waiting": 9, "workers": 3}
    assert found["healthy"] is True
    assert found["problems"] == []


@pytest.mark.parametrize("status", [b".\n", b".\r\n"])
def test_a_server_without_queues(capsys: pytest.CaptureFixture[str], status: bytes) -> None:
    found = ask(capsys, answers(status))
    assert found["queues"] == {}
    assert found["totals"] == {"total": 0, "running": 0, "waiting": 0, "workers": 0}


def test_line_ends_of_both_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(capsys, answers(b"a\t1\t0\t0\r\n.\r\n"))["queues"] == {"a": queue(1, 0, 0)}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("vidéo".encode(), "vidéo"),
        (b"caf\xe9", r"caf\xe9"),
        (b"with\ttab", r"with\ttab"),
        (b"with\rreturn", r"with\rreturn"),
        (b".", "."),
        (b"ERR", "ERR"),
        (b"", ""),
    ],
)
def test_odd_names(capsys: pytest.CaptureFixture[str], name: bytes, shown: str) -> None:
    assert ask(capsys, answers(name + b"\t1\t0\t0\n.\n"))["queues"] == {shown: queue(1, 0, 0)}


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_priorities(capsys: pytest.CaptureFixture[str], end: bytes) -> None:
    lines = [b"edgetally.batch\t1\t0\t1\t2", b"gone\t0\t0\t0\t0", b".", b""]
    found = ask(capsys, answers(STATUS, priorities=end.join(lines)))["queues"]
    assert found["edgetally.batch"]["priorities"] == {"high": 1, "normal": 0, "low": 1}
    assert found["old"]["priorities"] is None, "the server did not name it"
    assert "gone" not in found


@pytest.mark.parametrize(
    ("line", "worker"),
    [
        (b"40 127.0.0.1 - : edgetally.batch", ("127.0.0.1", "", ["edgetally.batch"])),
        (b"40 ::1 aggregator-1 : old edgetally.batch\r", ("::1", "aggregator-1", ["edgetally.batch", "old"])),
        (b"40 192.0.2.7 edgetally agg1:12 : old", ("192.0.2.7", "edgetally agg1:12", ["old"])),
        (b"40 192.0.2.7 caf\xe9 : old other", ("192.0.2.7", r"caf\xe9", ["old"])),
        (b"-1 127.0.0.1 - : folder", None),
        (b"40 127.0.0.1 - :", None),
    ],
)
def test_workers(capsys: pytest.CaptureFixture[str], line: bytes, worker: tuple[str, str, list[str]] | None) -> None:
    found = ask(capsys, answers(STATUS, workers=line + b"\n.\n"))["workers"]
    assert found == ([] if worker is None else [dict(zip(("address", "client_id", "queues"), worker))])


def test_workers_of_other_queues_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    workers = b"2 192.0.2.2 b : old\n1 192.0.2.1 a : edgetally.batch old\n.\n"
    found = ask(capsys, answers(STATUS, workers=workers), queues=["edgetally.*"])["workers"]
    assert found == [{"address": "192.0.2.1", "client_id": "a", "queues": ["edgetally.batch"]}]


def test_a_server_that_replays_its_queue_answers_late(capsys: pytest.CaptureFixture[str]) -> None:
    begun = time.monotonic()
    assert ask(capsys, answers(STATUS, late=0.5), timeout=20)["healthy"] is True
    assert time.monotonic() - begun >= 0.5
    found = ask(capsys, answers(STATUS, late=0.5), timeout=0.2)
    assert_sentence(found["msg"], found["server"]["port"], "nothing to `version` within 0.2 s", "replays its queue")


# ---- what real servers have answered


def recorded(file: Path, state: str) -> Speaker:
    """A server that answers as the recorded one did."""
    first: dict[str, bytes] = {}
    for one in json.loads(file.read_text(encoding="utf-8"))[state]:
        first.setdefault(one["command"], one["answer"].encode("latin-1"))

    def speak(connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            for line in lines:
                connection.sendall(first[line.decode().rstrip()])

    return speak


@pytest.mark.parametrize("file", TRANSCRIPTS, ids=lambda file: file.stem)
def test_a_recorded_server(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    found = ask(capsys, recorded(file, "populated"), queues=["edgetally.*", "retired", "name-*"])
    assert found["server"]["version"].startswith(file.stem)
    numbers = {name: tuple(one[count] for count in info.COUNTS) for name, one in found["queues"].items()}
    assert numbers == {
        "edgetally.batch": (3, 1, 2, 1),
        "edgetally.receipt": (0, 0, 0, 2),
        "retired": (0, 0, 0, 0),
        r"name-\xff-not-utf-8": (1, 0, 1, 0),
    }
    told = None if file.stem.startswith("0.") else {"high": 0, "normal": 1, "low": 1}
    assert found["queues"]["edgetally.batch"]["priorities"] == told
    workers = {one["client_id"]: sorted(one["queues"]) for one in found["workers"]}
    assert workers == {"aggregator-1": ["edgetally.batch", "edgetally.receipt"], "": ["edgetally.receipt"]}
    assert {one["address"] for one in found["workers"]} == {LOOPBACK}


@pytest.mark.parametrize("file", TRANSCRIPTS, ids=lambda file: file.stem)
def test_a_recorded_empty_server(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    found = ask(capsys, recorded(file, "empty"))
    assert (found["queues"], found["workers"], found["healthy"]) == ({}, [], True)


# ---- a server that is something else, or is in trouble


@pytest.mark.parametrize(
    "version",
    [
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"0.14\nand more\n",
        b"\n",
        b"\xff\xfe\x00\n",
    ],
)
def test_not_gearmand(capsys: pytest.CaptureFixture[str], version: bytes) -> None:
    found = ask(capsys, answers(STATUS, version))
    assert found["failed"] is True
    assert_sentence(found["msg"], found["server"]["port"], "`version`", "ss -ltnp", ascii(version.decode("latin-1")))
    assert found["healthy"] is False
    assert found["problems"] == [found["msg"]]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"a\t-1\t0\t0\n", r"a\t-1"),
        (b"a\t1.5\t0\t0\n", r"a\t1.5"),
        (b"a\t99999999999\t0\t0\n", r"a\t99999999999"),
        (b"a\t\xd9\xa1\t0\t0\n", r"a\t\xd9"),
        (b"a\t0\t4294967295\t0\n", r"a\t0\t4294967295"),
        (b"a\t1\t0\n", r"a\t1\t0"),
        (b"a 1 0 0\n", "a 1 0 0"),
        (b"\n", "''"),
        (b"b\t1\t0\t0\nb\t2\t0\t0\n", r"b\t2"),
        (b"x" * 5000 + b"\n", "(5000 bytes)"),
    ],
)
def test_garbage_in_the_list(capsys: pytest.CaptureFixture[str], line: bytes, shown: str) -> None:
    found = ask(capsys, answers(b"good\t1\t0\t0\n" + line + b".\n"))
    assert found["failed"] is True
    assert_sentence(found["msg"], found["server"]["port"], "`status`", shown)
    assert len(found["msg"]) < 400


@pytest.mark.parametrize(
    ("speak", "command", "shown"),
    [
        (answers(STATUS, priorities=b"old\t1\t0\n.\n"), "prioritystatus", r"old\t1\t0"),
        (answers(STATUS, priorities=b"old\t1\tx\t0\t0\n.\n"), "prioritystatus", r"old\t1\tx"),
        (answers(STATUS, workers=b"nobody\n.\n"), "workers", "nobody"),
        (answers(STATUS, workers=UNKNOWN), "workers", "ERR UNKNOWN_COMMAND"),
    ],
)
def test_garbage_in_the_other_lists(
    capsys: pytest.CaptureFixture[str], speak: Speaker, command: str, shown: str
) -> None:
    found = ask(capsys, speak)
    assert found["failed"] is True
    assert_sentence(found["msg"], found["server"]["port"], f"`{command}`", shown)
    assert (found["queues"], found["workers"]) == ({}, [])


def test_an_error_has_no_terminator(capsys: pytest.CaptureFixture[str]) -> None:
    begun = time.monotonic()
    found = ask(capsys, answers(b"ERR UNKNOWN_COMMAND Unknown+server+commandstatus\r\n"), timeout=60)
    assert_sentence(found["msg"], found["server"]["port"], "ERR UNKNOWN_COMMAND", "`status`")
    assert time.monotonic() - begun < 30, "it must not wait for a `.`"


def test_hanging_up_in_the_middle(capsys: pytest.CaptureFixture[str]) -> None:
    found = ask(capsys, answers(b"edgetally.batch\t3\t1", stay=False))
    assert_sentence(found["msg"], found["server"]["port"], "broke off (it hung up)", "edgetally.batch", "`status`")


def test_hanging_up_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    found = ask(capsys, lambda connection: None)
    assert_sentence(found["msg"], found["server"]["port"], "broke off", "nothing to `version`")


@pytest.mark.parametrize(
    ("speak", "words"),
    [
        (until_hung_up, ["nothing to `version`", "replays its queue"]),
        (answers(b"edgetally.batch\t3\t1\t2\n"), [r"only 'edgetally.batch\t3\t1\t2\n' to `status`"]),
        (answers(STATUS, workers=b"40 127.0.0.1 - :\n"), ["only '40 127.0.0.1 - :\\n' to `workers`"]),
        (answers(STATUS, b"J\x00\x00\x00\n"[:4]), [r"only 'J\x00\x00\x00' to `version`"]),
    ],
)
def test_silence_ends_at_the_deadline(capsys: pytest.CaptureFixture[str], speak: Speaker, words: list[str]) -> None:
    begun = time.monotonic()
    found = ask(capsys, speak, timeout=0.3)
    assert 0.25 < time.monotonic() - begun < 5
    assert_sentence(found["msg"], found["server"]["port"], "within 0.3 s", *words)


def test_a_drip_ends_at_the_same_deadline(capsys: pytest.CaptureFixture[str]) -> None:
    """A time-out for each read would never end this one."""
    over = threading.Event()

    def speak(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not over.wait(0.02):
                connection.sendall(b"x")

    begun = time.monotonic()
    found = ask(capsys, speak, timeout=0.5)
    over.set()
    assert time.monotonic() - begun < 5
    assert_sentence(found["msg"], found["server"]["port"], "within 0.5 s")


def test_a_flood_ends(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(info, "MAX_ANSWER", 100_000)

    def speak(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(b"x" * 65536)

    found = ask(capsys, speak, timeout=60)
    assert_sentence(found["msg"], found["server"]["port"], "xxxx", "bytes)")


def test_many_queues_are_read_in_time(capsys: pytest.CaptureFixture[str]) -> None:
    status = b"".join(b"queue%d\t1\t0\t0\n" % number for number in range(50_000)) + b".\n"
    assert ask(capsys, answers(status), timeout=20)["totals"]["total"] == 50_000


# ---- no server


def test_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
    found = run(capsys, host=LOOPBACK, port=port)
    assert found["failed"] is True
    assert_sentence(found["msg"], port, "refused", "systemctl status gearmand", "gearmand_listen")
    assert found["server"] == {"host": LOOPBACK, "port": port, "version": "", "certificate_ends": None}
    assert found["queues"] == {}


def test_black_hole(capsys: pytest.CaptureFixture[str]) -> None:
    """A server whose queue of connections is full drops the next one, as a firewall would."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((LOOPBACK, 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex((LOOPBACK, port))
        begun = time.monotonic()
        found = run(capsys, host=LOOPBACK, port=port, timeout=0.4)
        assert time.monotonic() - begun < 5
    assert_sentence(found["msg"], port, "accepted no connection within 0.4 s", "firewall")


def test_no_such_name(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    found = run(capsys, host="jobs.example.com")
    assert "jobs.example.com:7003 has no address" in found["msg"]
    assert "Name or service not known" in found["msg"]
    assert "`getent hosts jobs.example.com`" in found["msg"]


def test_a_name_that_no_resolver_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert "cannot be resolved" in run(capsys, host="a" * 64 + ".example.com")["msg"]


def test_a_resolver_that_hangs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(60) and [])
    begun = time.monotonic()
    found = run(capsys, host="jobs.example.com", timeout=0.3)
    over.set()
    assert time.monotonic() - begun < 5
    assert "cannot be resolved (no answer within 0.3 s)" in found["msg"]


def test_the_second_address_is_tried(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with server(answers(STATUS)) as port:
        family = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        addresses = [(*family, ("127.0.0.9", port)), (*family, (LOOPBACK, port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
        assert run(capsys, host="jobs.example.com", port=port)["server"]["version"] == "0.14"


def test_without_a_host_this_host_s_own_server_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """The role listens on one address, which need not be 127.0.0.1."""
    with socket.create_server((LOOPBACK, 0)) as probe:  # a port that nobody else has on any address of loopback
        port = probe.getsockname()[1]
    with socket.create_server(("127.0.0.5", port)):
        assert info.listening(port) == "127.0.0.5"
        with socket.create_server((LOOPBACK, port)):
            assert info.listening(port) == LOOPBACK
    assert info.listening(port) == LOOPBACK
    with server(answers(STATUS)) as port:
        assert run(capsys, port=port)["server"]["host"] == LOOPBACK


def test_an_ipv6_listener_is_found() -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with listener:
        assert info.listening(listener.getsockname()[1]) == "::1"


# ---- thresholds


@pytest.mark.parametrize(
    ("options", "problems"),
    [
        ({}, []),
        ({"queues": ["edgetally.batch"], "max_waiting": 2, "min_workers": 2}, []),
        ({"queues": ["edgetally.batch"], "max_waiting": 1}, ["edgetally.batch: 2 waiting, at most 1 allowed"]),
        ({"queues": ["edgetally.batch"], "min_workers": 3}, ["edgetally.batch: 2 workers, at least 3 wanted"]),
        (
            {"queues": ["edgetally.batch"], "max_waiting": 0, "min_workers": 9},
            ["edgetally.batch: 2 waiting, at most 0 allowed", "edgetally.batch: 2 workers, at least 9 wanted"],
        ),
        ({"max_waiting": 2}, ["old: 7 waiting, at most 2 allowed"]),
        ({"queues": ["edgetally.*"], "max_waiting": 2, "min_workers": 1}, []),
        ({"queues": ["new"], "max_waiting": 0}, []),
        (
            {"queues": ["new"], "min_workers": 1},
            ["new: 0 workers, at least 1 wanted (the server does not know this queue)"],
        ),
        ({"queues": ["n*"], "max_waiting": 0}, []),
        ({"queues": ["n*", "old"], "min_workers": 0}, []),
        ({"queues": ["n*"], "min_workers": 1}, ["n*: no queue matches, so it has no worker"]),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_thresholds(
    capsys: pytest.CaptureFixture[str], options: dict[str, Any], problems: list[str], strict: bool
) -> None:
    found = ask(capsys, answers(STATUS), strict=strict, **options)
    assert found["problems"] == problems
    assert found["healthy"] is (not problems)
    assert found.get("failed", False) is (bool(problems) and strict)
    if problems and strict:
        assert all(problem in found["msg"] for problem in problems)
        assert f"{LOOPBACK}:{found['server']['port']}" in found["msg"]


def test_workers_wanted_of_a_server_without_queues(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(capsys, answers(b".\n"), min_workers=1)["problems"] == ["*: no queue matches, so it has no worker"]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ([], ["edgetally.batch", "edgetally.receipt", "old"]),
        (["old"], ["old"]),
        (["edgetally.*"], ["edgetally.batch", "edgetally.receipt"]),
        (["edgetally.?atch", "old"], ["edgetally.batch", "old"]),
        (["*[dt]"], ["edgetally.receipt", "old"]),
        (["EDGETALLY.*"], []),
        (["", "old"], ["old"]),
    ],
)
def test_selection(capsys: pytest.CaptureFixture[str], wanted: list[str], names: list[str]) -> None:
    found = ask(capsys, answers(STATUS), queues=wanted)
    assert sorted(found["queues"]) == names
    assert found["totals"]["total"] == sum(one["total"] for one in found["queues"].values())


def test_a_queue_that_nobody_knows(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(capsys, answers(STATUS), queues=["new"])["queues"] == {"new": queue(0, 0, 0, registered=False)}


def test_a_name_that_looks_like_a_pattern_is_itself_first(capsys: pytest.CaptureFixture[str]) -> None:
    found = ask(capsys, answers(b"a[b]\t1\t0\t0\nab\t2\t0\t0\n.\n"), queues=["a[b]"], min_workers=1)
    assert list(found["queues"]) == ["a[b]"]
    assert found["problems"] == ["a[b]: 0 workers, at least 1 wanted"]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"host": ""}, "host"),
        ({"port": 0}, "port"),
        ({"port": 65536}, "port"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": "nan"}, "timeout"),
        ({"timeout": "inf"}, "timeout"),
        ({"max_waiting": -1}, "max_waiting"),
        ({"min_workers": -1}, "min_workers"),
    ],
)
def test_options_out_of_range(capsys: pytest.CaptureFixture[str], options: dict[str, Any], word: str) -> None:
    found = run(capsys, **{"host": LOOPBACK, **options})
    assert found["failed"] is True
    assert found["msg"].startswith(f"The option {word} is ")


def test_check_mode(capsys: pytest.CaptureFixture[str]) -> None:
    found = ask(capsys, answers(STATUS), _ansible_check_mode=True)
    assert found["totals"]["total"] == 10
    assert "skipped" not in found


# ---- the documentation


def test_documentation_equals_argument_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: dict[str, Any] = {}

    def take(**arguments: Any) -> None:
        taken.update(arguments)
        raise SystemExit

    monkeypatch.setattr(info, "AnsibleModule", take)
    with pytest.raises(SystemExit):
        info.main()
    documented = yaml.safe_load(info.DOCUMENTATION)["options"]
    assert {
        name: {key: value for key, value in option.items() if key != "description"}
        for name, option in documented.items()
    } == taken["argument_spec"]
    assert taken["supports_check_mode"] is True


def test_documentation_equals_return_values(capsys: pytest.CaptureFixture[str]) -> None:
    documented = yaml.safe_load(info.RETURN)
    found = ask(capsys, answers(STATUS))
    assert set(documented) == set(found) - {"changed", "invocation"}
    assert set(documented["server"]["contains"]) == set(found["server"])
    assert set(documented["totals"]["contains"]) == set(found["totals"])
    assert set(documented["queues"]["contains"]) == set(found["queues"]["old"])
    assert set(documented["queues"]["contains"]["priorities"]["contains"]) == set(info.PRIORITIES)
    worker = ask(capsys, answers(STATUS, workers=b"1 192.0.2.1 - : old\n.\n"))["workers"][0]
    assert set(documented["workers"]["contains"]) == set(worker)


def test_examples_use_options_that_there_are() -> None:
    options = set(yaml.safe_load(info.DOCUMENTATION)["options"])
    for task in yaml.safe_load(info.EXAMPLES):
        assert set(task["gearman_queue_info"]) <= options


def test_it_is_python_3_9() -> None:
    ast.parse(FILE.read_text(encoding="utf-8"), feature_version=(3, 9))
