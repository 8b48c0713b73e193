"""The wait for gearmand's answer: what the journal says is what an operator needs, and the wait is in seconds."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from roles.gearmand.files.await_answer import answers, last_word, wait

OLD = """\
   INFO Starting up
  FATAL Multi-threaded gearmand requires libevent 1.4 or later
   INFO Shutdown complete
"""


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (OLD, "FATAL Multi-threaded gearmand requires libevent 1.4 or later"),
        ("starting\n\nthe queue is no file\n", "the queue is no file"),
        ("", "nothing"),
    ],
)
def test_the_journals_word_is_the_error(text: str, word: str) -> None:
    assert last_word(text) == word


def test_a_server_that_says_its_version_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"OK 1.1.20\n")

        thread = threading.Thread(target=serve)
        thread.start()
        assert answers("127.0.0.1", server.getsockname()[1])
        thread.join()


def test_where_nobody_answers_the_wait_is_as_long_as_it_was_told() -> None:
    """Each try may take long: counted tries of a server that hangs were minutes."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        begun = time.monotonic()
        said = wait("127.0.0.1", port, "no-such.service", 1)
        assert time.monotonic() - begun < 10
    assert said == f"no-such.service does not answer on 127.0.0.1:{port} after 1 s; its journal says: nothing"
