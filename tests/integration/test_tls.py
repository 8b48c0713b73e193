"""TLS to a real gearmand behind a real stunnel: who is refused hears why in a sentence, and nobody else is affected."""

from __future__ import annotations

import os
import re
import select
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from edgetally.wire import tls
from edgetally.wire.gearman import LinkError, unreachable
from edgetally.wire.submit import Job, submit
from edgetally.wire.worker import TakenJob, Worker
from tests.integration.conftest import listener, queue, wait_for
from tests.support import servers
from tests.support.tls import stunnel, tls_folder, write_configuration

FUNCTION = "test.batch"
DAY = 86400.0
NAMES = ["edge1", "agg1", "jobs1"]


@pytest.fixture
def front(gearmand: servers.Server, tmp_path: Path) -> Iterator[servers.Server]:
    """A stunnel that admits edge1, agg1 and jobs1."""
    with stunnel(gearmand, tls_folder(tmp_path / "jobs1", "jobs1", server=True), NAMES) as server:
        yield server


@pytest.fixture
def edge(tmp_path: Path) -> str:
    return str(tls_folder(tmp_path / "edge1", "edge1"))


def send(address: str, folder: str, count: int = 1, size: int = 10) -> int:
    """Submit jobs, and how many were taken."""
    jobs = [Job(os.urandom(12).hex(), b"." * size) for _ in range(count)]
    return len(submit([address], FUNCTION, jobs, 20, tls=folder))


def collect(worker: Worker, count: int) -> list[TakenJob]:
    """Hold jobs until there are count of them."""
    held: list[TakenJob] = []

    def enough() -> bool:
        held.extend(worker.wait(0.2))
        return len(held) >= count

    wait_for(f"{count} jobs", enough)
    return held


def refusal(address: str, folder: str) -> str:
    """The sentence with which a job is not taken; the same as where an aggregator tries its job servers."""
    with pytest.raises(LinkError) as error:
        send(address, folder)
    said = str(error.value)
    assert "\n" not in said
    if folder:
        assert unreachable(address, folder) in said
    return said


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[ssl.SSLSocket, ssl.SSLSocket]]:
    """An edge's end of a connection, which does not wait, and a job server's."""
    mine, theirs = (tls_folder(tmp_path / name, name, server=name == "jobs1") for name in ("edge1", "jobs1"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(theirs / "certificate.pem", theirs / "key.pem")
    ends = socket.socketpair()
    with ThreadPoolExecutor() as pool:
        accepted = pool.submit(context.wrap_socket, ends[1], server_side=True)
        link = tls._context(str(mine)).wrap_socket(ends[0], server_hostname=tls.SERVER)
        server = accepted.result()
    with link, server:
        server.settimeout(20)
        link.setblocking(False)
        yield link, server


def test_many_records_are_read_at_once(pair: tuple[ssl.SSLSocket, ssl.SSLSocket]) -> None:
    """A job server answers each job with a record of its own."""
    link, server = pair
    for number in range(5):
        server.sendall(b"answer %d." % number)
    assert link.recv(1 << 18) == b"answer 0.answer 1.answer 2.answer 3.answer 4."
    with pytest.raises(BlockingIOError):
        link.recv(1)
    server.sendall(b"the last")
    server.shutdown(socket.SHUT_WR)
    assert link.recv(1 << 18) == b"the last"
    assert link.recv(1) == b""


def send_records(server: ssl.SSLSocket, data: bytes) -> None:
    for at in range(0, len(data), 7001):
        server.sendall(data[at : at + 7001])


def test_of_no_record_a_part_is_left(pair: tuple[ssl.SSLSocket, ssl.SSLSocket]) -> None:
    """What OpenSSL holds already no select tells: who waits for it waits for ever."""
    link, server = pair
    sent = os.urandom(150 * 7001)
    with ThreadPoolExecutor() as pool:
        sending = pool.submit(send_records, server, sent)
        came = bytearray()
        while len(came) < len(sent):
            assert select.select([link], [], [], 20)[0], "nothing more can be read, and not all has come"
            with suppress(BlockingIOError):
                came += link.recv(1 << 18)
            assert link.pending() == 0
        sending.result()
    assert came == sent


def test_jobs_go_there_and_back(front: servers.Server, gearmand: servers.Server, edge: str, tmp_path: Path) -> None:
    """More than a record of TLS holds, in both directions, and an answer to a question."""
    assert send(front.address, edge, 20) == 20
    assert send(front.address, edge, 3, size=5 << 20) == 3
    assert queue(gearmand, FUNCTION)[0] == 23
    folder = str(tls_folder(tmp_path / "agg1", "agg1"))
    worker = Worker([front.address], (FUNCTION,), "test", 100, 1 << 30, tls=folder)
    held = collect(worker, 23)
    assert sorted(len(job.payload) for job in held)[-3:] == [5 << 20] * 3
    for job in held:
        worker.complete(job, b"done")
    worker.close()
    wait_for("empty queue", lambda: queue(gearmand, FUNCTION)[0] == 0)


def test_plain_tcp_at_the_port_of_tls(front: servers.Server) -> None:
    said = refusal(front.address, "")
    assert "closed by the server before it said a word, as one does that wants TLS" in said
    assert "roll this host out with edgetally_tls" in said


def test_tls_at_the_port_of_plain_tcp(gearmand: servers.Server, edge: str) -> None:
    assert "has its gearmand_tls_port" in refusal(gearmand.address, edge)


def test_a_server_that_speaks_something_else(edge: str) -> None:
    with listener(b"HTTP/1.1 400 Bad Request\r\n\r\n") as address:
        assert "it does not speak TLS" in refusal(address, edge)


def test_no_certificate(front: servers.Server, edge: str) -> None:
    """A stranger's own program, as ours always shows one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(f"{edge}/authority.pem")
    with ExitStack() as stack:
        plain = stack.enter_context(socket.create_connection((front.host, front.port), 5))
        link = stack.enter_context(context.wrap_socket(plain))
        with pytest.raises(ssl.SSLError, match="certificate required"):
            link.recv(1)
    assert send(front.address, edge) == 1


def test_another_authority(front: servers.Server, tmp_path: Path) -> None:
    """Of both sides, as after a new edgetally_ca_key; and where only this host's certificate is of another."""
    other = tls_folder(tmp_path / "other", "edge1", secret="another secret of another authority")
    assert "its certificate is of another authority than this host's: roll out both again" in refusal(
        front.address, str(other)
    )
    ours = tls_folder(tmp_path / "ours", "edge1")
    (other / "authority.pem").write_text((ours / "authority.pem").read_text())
    assert "this host's certificate is of another authority than the job server's" in refusal(
        front.address, str(tls_folder_copy(other, tmp_path / "mixed"))
    )


def tls_folder_copy(folder: Path, to: Path) -> Path:
    """The same files elsewhere: what a folder holds is read once."""
    to.mkdir()
    for file in folder.iterdir():
        (to / file.name).write_text(file.read_text())
    return to


def test_an_expired_certificate(front: servers.Server, tmp_path: Path) -> None:
    folder = tls_folder(tmp_path / "old", "edge1", now=time.time() - 800 * DAY)
    said = refusal(front.address, str(folder))
    assert re.search(r"this host's certificate, which ends \d{4}-\d\d-\d\d \d\d:\d\d UTC, has ended", said)
    assert "roll this host out again" in said


def test_a_certificate_that_is_not_valid_yet_names_the_clock(front: servers.Server, tmp_path: Path) -> None:
    folder = tls_folder(tmp_path / "early", "edge1", now=time.time() + 10 * DAY)
    said = refusal(front.address, str(folder))
    assert re.search(
        r"which is valid from \d{4}-.* is not valid yet by the job server's clock: look at `timedatectl", said
    )


@pytest.mark.parametrize(
    ("days", "words"), [(-800, "has ended by this host's clock"), (10, "is not valid yet by this host's clock")]
)
def test_the_job_servers_certificate_and_the_clock(
    gearmand: servers.Server, tmp_path: Path, edge: str, days: int, words: str
) -> None:
    tls = tls_folder(tmp_path / "jobs1", "jobs1", server=True, now=time.time() + days * DAY)
    with stunnel(gearmand, tls, NAMES) as front:
        said = refusal(front.address, edge)
    assert words in said
    assert time.strftime("%Y-%m-%d", time.gmtime()) in said
    assert "`timedatectl` here" in said


def test_an_edge_that_poses_as_a_job_server(gearmand: servers.Server, tmp_path: Path, edge: str) -> None:
    with stunnel(gearmand, tls_folder(tmp_path / "edge2", "edge2"), NAMES) as front:
        assert "its certificate is no job server's" in refusal(front.address, edge)


def test_a_host_that_is_not_admitted(front: servers.Server, tmp_path: Path) -> None:
    """Revoked, or in no inventory: whatever certificate it has, it is refused by its name."""
    for number in range(2):
        folder = tls_folder(tmp_path / f"edge7-{number}", "edge7", now=time.time() - number * 100 * DAY)
        said = refusal(front.address, str(folder))
        assert "it does not admit edge7, which is in edgetally_revoked" in said


def test_a_revocation_ends_what_is_open(
    front: servers.Server, gearmand: servers.Server, tmp_path: Path, edge: str
) -> None:
    """The role restarts stunnel. The worker that stays comes back by itself, and the other hears why it may not."""
    gone = str(tls_folder(tmp_path / "edge7", "edge7"))
    assert front.process
    write_configuration(gearmand, front.folder, [*NAMES, "edge7"], front.port)
    front.stop()
    front.start()
    workers = [
        Worker([front.address], (FUNCTION,), name, 10, 1 << 20, tls=tls)
        for name, tls in (("stays", edge), ("goes", gone))
    ]
    for worker in workers:
        wait_for("connection", lambda: worker.wait(0.05) == [] and worker.is_connected())  # noqa: B023
    wait_for("both", lambda: queue(gearmand, FUNCTION)[2] == 2)
    write_configuration(gearmand, front.folder, NAMES, front.port)
    front.stop()
    front.start()
    wait_for("end of both", lambda: queue(gearmand, FUNCTION)[2] <= 1)
    wait_for("refusal", lambda: workers[1].wait(0.05) == [] and "does not admit edge7" in str(workers[1].lost))
    wait_for("return", lambda: workers[0].wait(0.05) == [] and workers[0].is_connected())
    wait_for("one", lambda: queue(gearmand, FUNCTION)[2] == 1)
    for worker in workers:
        worker.close()


def test_strangers_who_say_nothing_keep_nobody_out(front: servers.Server, gearmand: servers.Server, edge: str) -> None:
    """They are sent away after the ten seconds of TIMEOUTbusy, and meanwhile others are served as ever."""
    with ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection((front.host, front.port), 5)) for _ in range(200)]
        begun = time.monotonic()
        assert send(front.address, edge, 10) == 10
        assert time.monotonic() - begun < 5
        for link in silent:
            link.settimeout(30)
            assert link.recv(1) == b""
    assert send(front.address, edge) == 1


def test_a_gearmand_that_is_down_behind_tls(front: servers.Server, gearmand: servers.Server, edge: str) -> None:
    gearmand.kill()
    assert "look at `systemctl status gearmand-tls gearmand` there" in refusal(front.address, edge)
    gearmand.start()
    assert send(front.address, edge) == 1


def test_a_file_that_is_missing(front: servers.Server, edge: str, tmp_path: Path) -> None:
    folder = tls_folder_copy(Path(edge), tmp_path / "copy")
    (folder / "key.pem").unlink()
    said = refusal(front.address, str(folder))
    assert f"{folder}/key.pem cannot be read (No such file or directory): roll this host out again" in said


def test_the_clock_of_the_job_server_is_wrong(gearmand: servers.Server, tmp_path: Path, edge: str) -> None:
    """By its clock this host's certificate is not valid yet, or has ended; it is not by this host's."""
    tls = tls_folder(tmp_path / "jobs1", "jobs1", server=True)
    with stunnel(gearmand, tls, NAMES, faketime="-10d") as front:
        assert "is not valid yet by the job server's clock: look at `timedatectl` there" in refusal(front.address, edge)
    with stunnel(gearmand, tls, NAMES, faketime="+800d") as front:
        assert "has ended by the job server's clock" in refusal(front.address, edge)
