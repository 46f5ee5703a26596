"""An inbox and jobs as the worker's service gives them to a generating backend, without the service."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Queue
from typing import Any

from services.backend import Generator
from waypost.v1 import generate_pb2

PATIENCE_S = 20.0


def chat(*texts: str, **fields: Any) -> generate_pb2.GenerateRequest:
    """A request of a user's messages."""
    messages = [generate_pb2.ChatMessage(role="user", content=text) for text in texts]
    return generate_pb2.GenerateRequest(chat=generate_pb2.Prompt(messages=messages), **fields)


def raw(text: str, **fields: Any) -> generate_pb2.GenerateRequest:
    """A request of a raw prompt."""
    return generate_pb2.GenerateRequest(raw=text, **fields)


class FakeJob:
    """A request, and all that a backend did with it."""

    tenant = ""
    priority = 2

    def __init__(
        self, request: Any, timeout_s: float = PATIENCE_S, kind: str = "generate", traceparent: str | None = None
    ) -> None:
        self.request = request.SerializeToString()
        self.kind = kind
        self.traceparent = traceparent
        self.pieces: list[str] = []
        self.reason: str | None = None
        self.final: dict[str, Any] = {}
        self.refusal: dict[str, Any] = {}
        self.tokens: int | None = None
        self.begun = self.cancelled = False
        self._deadline = time.monotonic() + timeout_s
        self._changed = threading.Condition()
        self._on_cancel: list[Callable[[], None]] = []

    @property
    def remaining_s(self) -> float:
        return self._deadline - time.monotonic()

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def ended(self) -> bool:
        return bool(self.reason or self.refusal or self.tokens is not None)

    def on_cancel(self, callback: Callable[[], None]) -> None:
        self._on_cancel.append(callback)
        if self.cancelled:
            callback()

    def begin(self) -> None:
        self._note(begun=True)

    def push(self, text: str, tokens: int = 1) -> None:
        assert text and self.begun and not self.ended
        self._note(pieces=[*self.pieces, text])

    def finish(self, reason: str, **final: Any) -> None:
        assert not self.ended
        self._note(reason=reason, final=final)

    def fail(self, refusal_json: str) -> None:
        assert not self.ended
        self._note(refusal=json.loads(refusal_json))

    def count(self, tokens: int) -> None:
        assert not self.ended
        self._note(tokens=tokens)

    def cancel(self) -> None:
        """The caller leaves."""
        self.cancelled = True
        for callback in self._on_cancel:
            callback()

    def wait(self, until: Callable[[FakeJob], Any] = lambda job: job.ended) -> FakeJob:
        """This job, once `until` holds of it."""
        with self._changed:
            assert self._changed.wait_for(lambda: until(self), PATIENCE_S), vars(self)
        return self

    def _note(self, **changes: Any) -> None:
        with self._changed:
            vars(self).update(changes)
            self._changed.notify_all()


class FakeInbox:
    """Jobs in the order they came."""

    def __init__(self) -> None:
        self.closed = False
        self._jobs: Queue[FakeJob | None] = Queue()

    def put(self, request: Any, **options: Any) -> FakeJob:
        job = FakeJob(request, **options)
        self._jobs.put(job)
        return job

    def ask(self, request: Any, **options: Any) -> FakeJob:
        """A job, once it has ended."""
        return self.put(request, **options).wait()

    def take(self, timeout_s: float | None = None) -> FakeJob | None:
        return self._jobs.get(timeout=timeout_s)

    def close(self) -> None:
        self.closed = True
        self._jobs.put(None)


@contextmanager
def answering(generator: Generator) -> Iterator[FakeInbox]:
    """The inbox of a model at work; leaving it waits until the model has ended, and fails with what it raised."""
    inbox = FakeInbox()
    raised: list[BaseException] = []

    def answer() -> None:
        try:
            generator.answer(inbox)  # type: ignore[arg-type]
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield inbox
    finally:
        inbox.close()
        thread.join(PATIENCE_S)
    assert not thread.is_alive() and not raised, raised
