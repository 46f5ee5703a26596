"""`waypost chat`: turns, commands, and an answer that is stopped without ending the session."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

import grpc
import pytest

from tests.commands import Run
from tests.fake_mesh import Answer, FakeMesh, stalling, streaming
from waypost.v1 import common_pb2

PATIENCE_S = 20.0


@pytest.fixture(autouse=True)
def address(mesh: FakeMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake mesh is the one that is called."""
    monkeypatch.setenv("WAYPOST_ADDRESS", mesh.address)


def turns(mesh: FakeMesh) -> list[list[tuple[str, str]]]:
    """The messages of each request."""
    return [[(each.role, each.content) for each in request.request.chat.messages] for request in mesh.requests]


def test_every_turn_has_all_before_it(run: Run, mesh: FakeMesh) -> None:
    """In one session, so that one instance keeps the conversation in memory."""
    mesh.answers["GenerateStream"] = streaming("Hel", "lo", served=common_pb2.ServedBy(model="m", instance="w-0"))
    done = run("chat", "--system", "Be brief.", "--temperature", "0", stdin="Hi\n\nAgain\n")
    assert done.code == 0
    assert "Hello\n" in done.out and "m on w-0" in done.err
    first = [("system", "Be brief."), ("user", "Hi")]
    assert turns(mesh) == [first, [*first, ("assistant", "Hello"), ("user", "Again")]]
    hints = [request.request.route for request in mesh.requests]
    assert hints[0].session and hints[0].session == hints[1].session
    assert mesh.requests[0].request.truncation == common_pb2.TRUNCATION_START


def test_commands_change_what_the_model_is_told(run: Run, mesh: FakeMesh, tmp_path: Path) -> None:
    """And keep it in a file."""
    mesh.answers["GenerateStream"] = streaming("Hello")
    file = tmp_path / "talk.json"
    lines = ("Hi", "/reset", "/system Be brief.", "Once more", f"/save {file}", "/help", "/dance")
    done = run("chat", stdin="\n".join(lines))
    assert turns(mesh)[1] == [("system", "Be brief."), ("user", "Once more")]
    assert [each["content"] for each in json.loads(file.read_text())] == ["Be brief.", "Once more", "Hello"]
    assert f"3 messages are in {file}" in done.out.replace("\n", "")
    assert "/reset: forget what was said" in done.out
    assert "no command /dance; there is /help" in done.out


def test_a_conversation_that_cannot_be_saved_goes_on(run: Run, mesh: FakeMesh) -> None:
    """The reason is said."""
    done = run("chat", stdin="/save /none/talk.json\n/save\n")
    assert done.code == 0
    assert "/none/talk.json: No such file or directory" in done.out
    assert "no file: Is a directory" in done.out


def test_a_turn_that_failed_is_not_kept(run: Run, mesh: FakeMesh, fail: Answer) -> None:
    """The session goes on without it."""
    refuse, greet = fail(grpc.StatusCode.RESOURCE_EXHAUSTED, "64 requests wait already"), streaming("Hello")
    mesh.answers["GenerateStream"] = lambda request, context: (
        refuse(request, context) if len(mesh.requests) < 2 else greet(request, context)
    )
    done = run("chat", stdin="One\nTwo\n")
    assert "64 requests wait already" in done.out
    assert turns(mesh) == [[("user", "One")], [("user", "Two")]]


def test_ctrl_c_at_the_prompt_only_clears_the_line(run: Run, mesh: FakeMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says how to leave."""
    typed: list[type[BaseException]] = [KeyboardInterrupt, EOFError]

    def read(prompt: str) -> str:
        raise typed.pop(0)

    monkeypatch.setattr("builtins.input", read)
    done = run("chat")
    assert done.code == 0
    assert done.out.count("Ctrl-D leaves") == 2


class Terminal:
    """`waypost chat` on a pseudo terminal."""

    def __init__(self) -> None:
        self._side, other = pty.openpty()
        # A session's leader that opens a terminal is ruled by it: only then Ctrl-C there is a signal.
        opened = f'exec "$0" "$@" <>{os.ttyname(other)} >&0 2>&0'
        command = ("sh", "-c", opened, sys.executable, "-P", "-m", "waypost", "chat")
        self.process = subprocess.Popen(command, start_new_session=True)
        self._kept_open = other
        self._seen = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._side)
        os.close(self._kept_open)

    def type(self, keys: str) -> None:
        os.write(self._side, keys.encode())

    def until(self, text: str) -> None:
        """Reads until `text` was shown, and forgets it."""
        while text not in self._seen:
            self._seen += os.read(self._side, 4096).decode()
        self._seen = self._seen.partition(text)[2]


@pytest.mark.timeout(60)
def test_ctrl_c_stops_the_answer_and_ctrl_d_leaves(mesh: FakeMesh) -> None:
    """What was said stays in the conversation."""
    left = threading.Event()
    mesh.answers["GenerateStream"] = stalling(left, "Once upon")
    with Terminal() as terminal:
        terminal.until("> ")
        terminal.type("Tell me a story\r")
        terminal.until("Once upon")
        terminal.type("\x03")
        terminal.until("stopped")
        assert left.wait(PATIENCE_S)
        mesh.answers["GenerateStream"] = streaming(" a time")
        terminal.until("> ")
        terminal.type("Go on\r")
        terminal.until(" a time")
        terminal.until("> ")
        terminal.type("\x04")
        assert terminal.process.wait(PATIENCE_S) == 0
    assert turns(mesh)[1] == [("user", "Tell me a story"), ("assistant", "Once upon"), ("user", "Go on")]
