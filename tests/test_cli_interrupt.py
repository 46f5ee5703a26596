"""Ctrl-C during an answer: it stops the answer, wherever it meets the program."""

from __future__ import annotations

import signal
import threading

import pytest

from tests.fake_mesh import FakeMesh, stalling, streaming
from waypost.cli.interrupt import on_ctrl_c
from waypost.client import Client
from waypost.errors import Cancelled

PATIENCE_S = 20.0


def test_ctrl_c_within_the_block_stops_and_raises_nothing() -> None:
    """In a thread of its own, so that no lock of the main thread can be in its way."""
    stopped = threading.Event()
    with on_ctrl_c(stopped.set):
        signal.raise_signal(signal.SIGINT)
        assert stopped.wait(PATIENCE_S)


def test_after_the_block_ctrl_c_is_what_it_was() -> None:
    """Nothing of it stays: neither handler nor thread."""
    threads = threading.active_count()
    with on_ctrl_c(lambda: None):
        assert threading.active_count() == threads + 1
    assert threading.active_count() == threads
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.timeout(60)
def test_a_channel_goes_on_after_many_answers_were_stopped(mesh: FakeMesh) -> None:
    """A KeyboardInterrupt in the middle of grpcio left its locks taken, once in some hundred times."""
    with Client(mesh.address) as client:
        for _ in range(200):
            mesh.answers["GenerateStream"] = stalling(threading.Event(), "Once")
            with client.generate_stream("Tell") as chunks, on_ctrl_c(chunks.close), pytest.raises(Cancelled):
                for _ in chunks:
                    signal.raise_signal(signal.SIGINT)
        mesh.answers["GenerateStream"] = streaming("a time")
        assert next(chunk.text for chunk in client.generate_stream("Go on")) == "a time"
