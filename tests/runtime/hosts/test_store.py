"""Connecting to PyTorch's store: it takes no longer than it may, and what is wrong is said in words."""

import socket
import threading
from collections.abc import Iterator

import pytest

from ops.runtime.hosts import store
from tests.commands import free_port

HOST = "127.0.0.1"


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a program that never answers."""
    with socket.create_server((HOST, 0)) as listening:
        yield int(listening.getsockname()[1])


def test_keeps_and_reaches_a_store() -> None:
    port = free_port()
    keeper = store.connect(HOST, port, 30, keeps=True)
    store.connect(HOST, port, 30).set("key", "value")
    assert keeper.get("key") == b"value"


def test_waits_no_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "GRACE", 0.1)
    before = threading.enumerate()
    with socket.create_server((HOST, 0)) as listening, pytest.raises(store.NoAnswerError):
        store.connect(HOST, listening.getsockname()[1], 0.1)
    for thread in set(threading.enumerate()) - set(before):  # now it sees that the connection is closed
        thread.join()


class TestWhyNot:
    def test_nobody_there(self) -> None:
        assert store.why_not(RuntimeError(), HOST, free_port()) == "Connection refused"

    def test_another_program_there(self, silent: int) -> None:
        assert store.why_not(store.NoAnswerError(), HOST, silent).endswith("does another program listen there?")

    def test_this_machines_port_in_use(self, silent: int) -> None:
        with pytest.raises(RuntimeError) as caught:
            store.connect(HOST, silent, 30, keeps=True)
        assert store.why_not(caught.value, HOST, silent).startswith("a port that another program of this machine uses")
