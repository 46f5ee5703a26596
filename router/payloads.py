"""What was asked and answered, as JSON lines: from the ring in Rust to a file, and in time out of it again.

A line has `request` and `reply` as their tenant's `mode` says, see `router.payload_texts`.  Calls come undecoded, so
all the work is done here, in a thread of its own: when it cannot keep up calls are lost, and the log says how many.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import structlog
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from router.events import Sink, batches, say_dropped, write
from router.payload_texts import Kept, Told, as_it_is, hashed, redacted, redacted_beginning
from waypost import places
from waypost.config import Payloads, Router
from waypost.logfile import RotatingFile
from waypost.v1 import classify_pb2, embed_pb2, generate_pb2, rerank_pb2, retrieve_pb2

log = structlog.get_logger()

BATCH = 64
DAY_S = 86400.0
SWEEP_S = 3600.0
"""Lines that are too old are removed so often."""
PREFIX = 5
"""Bytes before each message: a flag and a length."""

Payload = Mapping[str, Any]
Line = dict[str, Any]


class Core(Protocol):
    """The part of `_core.Router` that hands out calls."""

    def next_payloads(self, max: int, timeout_s: float) -> list[dict[str, Any]]: ...

    def dropped_payloads(self) -> int: ...


class Diary(Sink, Protocol):
    """A sink that forgets."""

    def forget(self, before: float) -> None: ...


def job(
    config: Router, core: Core, also: Callable[[Diary], Diary] = lambda diary: diary
) -> Callable[[threading.Event], None]:
    """What writes the lines; also where nobody has anything kept any more, since the old ones are to go.

    Args:
        also: gives a diary that keeps lines elsewhere, too.

    Raises:
        OSError: the key of this home's hashes cannot be read or made.
    """
    hashes = "hash" in {config.payloads.mode, *(tenant.payloads for tenant in config.tenants)}
    teller = Teller(home_key() if hashes else b"", config.payloads.max_text_bytes)
    diary = also(_diary(config.payloads))
    return lambda stop: drain(core, teller, diary, config.payloads.retention_days, stop)


def _diary(config: Payloads) -> Diary:
    if config.to == "none":
        return Nowhere()
    return File(places.log("payloads") if config.to == "file" else Path(config.to), config.max_bytes)


def home_key() -> bytes:
    """Key of this home's hashes, made once; whoever has it can try texts against them."""
    path = places.home() / "payloads.key"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        with tempfile.NamedTemporaryFile(dir=path.parent) as made, suppress(FileExistsError):
            made.write(secrets.token_bytes(32))
            made.flush()
            os.link(made.name, path)  # whole, or not at all
    return path.read_bytes()


def drain(core: Core, teller: Teller, diary: Diary, days: float, stop: threading.Event) -> None:
    """Writes calls as they come until `stop` is set, and then those that are left."""
    dropped, swept = 0, time.monotonic()
    _forget(diary, days)
    for payloads in batches(lambda wait_s: core.next_payloads(BATCH, wait_s), stop):
        if payloads:
            write(diary, [json.dumps(teller.line(payload)) for payload in payloads], "payloads")
        dropped = say_dropped("payloads", dropped, core.dropped_payloads())
        if time.monotonic() - swept >= SWEEP_S:
            _forget(diary, days)
            swept = time.monotonic()


def _forget(diary: Diary, days: float) -> None:
    try:
        diary.forget(time.time() - days * DAY_S)
    except OSError as error:
        log.error("old payloads not removed", error=str(error))


class Nowhere:
    """Takes lines and forgets them."""

    def write(self, lines: list[str]) -> None:
        pass

    def forget(self, before: float) -> None:
        pass


class File(RotatingFile):
    """A file that forgets its oldest lines."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        super().__init__(path, max_bytes)
        self._files = (path, Path(f"{path}.1"))

    def forget(self, before: float) -> None:
        """Removes the lines from before that moment, seconds since 1970."""
        limit = datetime.fromtimestamp(before, UTC).isoformat()
        for path in self._files:
            with suppress(FileNotFoundError):
                _forget_lines(path, limit)


def _forget_lines(path: Path, limit: str) -> None:
    """Lines are in the order in which calls ended: from the first that stays on, all do."""
    with path.open("rb") as lines:
        start = lines.tell()
        while (line := lines.readline()) and _timestamp(line) < limit:
            start = lines.tell()
        if start == 0:
            return
        if not line:
            path.unlink()
            return
        lines.seek(start)
        _replace(path, lines)


def _replace(path: Path, rest: BinaryIO) -> None:
    """In its place at once; what a crash leaves beside it, the next sweep writes over."""
    kept = Path(f"{path}.kept")
    with os.fdopen(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        shutil.copyfileobj(rest, file)
    kept.replace(path)


def _timestamp(line: bytes) -> str:
    """Of a line that is none: the beginning of time."""
    try:
        return str(json.loads(line)["timestamp"])
    except (ValueError, KeyError, TypeError):
        return ""


@dataclass(frozen=True)
class Rpc:
    """A call of the contract: what its messages are, and whether there are several."""

    request: type[Message]
    reply: type[Message]
    streams: bool
    """Both sides do."""

    def requests(self, said: bytes) -> Message | list[Message]:
        """What was asked; in a stream the real request is inside of each."""
        found = [self.request.FromString(each) for each in messages(said)]
        if not self.request.__name__.endswith("StreamRequest"):
            return found[0] if found else self.request()
        inner: list[Any] = [each.request for each in map(_any, found)]
        return inner if self.streams else (inner or [self.request()])[0]

    def replies(self, said: bytes) -> Message | list[Message]:
        """What was answered; the pieces of a text are one."""
        found = [self.reply.FromString(each) for each in messages(said)]
        if self.streams:
            return [each.response for each in map(_any, found)]
        return _joined(found) if self.reply is generate_pb2.GenerateStreamResponse else (found or [self.reply()])[0]


def _any(message: Any) -> Any:
    """Messages of the stream have fields that their common type does not."""
    return message


def messages(said: bytes) -> Iterator[bytes]:
    """The messages in frames; of one that is not whole, nothing."""
    at = 0
    while at + PREFIX <= len(said):
        end = at + PREFIX + int.from_bytes(said[at + 1 : at + PREFIX])
        if end > len(said):
            return
        yield said[at + PREFIX : end]
        at = end


def _joined(pieces: list[Any]) -> generate_pb2.GenerateResponse:
    whole = generate_pb2.GenerateResponse()
    for piece in pieces:
        whole.MergeFrom(piece.final)
        whole.logprobs.extend(piece.logprobs)
    whole.text = "".join(piece.text for piece in pieces)
    return whole


def _rpcs() -> Iterator[tuple[str, Rpc]]:
    for module in (embed_pb2, classify_pb2, rerank_pb2, generate_pb2, retrieve_pb2):
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                types = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
                yield f"/{service.full_name}/{method.name}", Rpc(*types, streams=bool(method.client_streaming))


RPCS = dict(_rpcs())
"""By the path of its HTTP request."""


class Teller:
    """Makes lines of calls.

    Args:
        key: of the hashes; may be empty where there are none.
        max_text_bytes: of each direction.
    """

    def __init__(self, key: bytes, max_text_bytes: int) -> None:
        self._keep: dict[str, Kept] = {"full": as_it_is, "redacted": redacted, "hash": hashed(key)}
        self._room = max_text_bytes

    def line(self, payload: Payload) -> Line:
        """The line of a call; where its messages cannot be told, it says why."""
        known = {key: payload[key] for key in ("request_id", "tenant", "method", "model", "mode", "status")}
        timestamp = datetime.fromtimestamp(payload["timestamp"], UTC).isoformat()
        line = {"event": "payload", "timestamp": timestamp, **known}
        try:
            return line | self._said(payload)
        except Exception as error:  # whatever a caller sends, the next call is written
            return line | {"why": f"cannot be told: {type(error).__name__}"}

    def _said(self, payload: Payload) -> Line:
        rpc = RPCS[payload["method"]]
        said: Line = {}
        for side, read in (("request", rpc.requests), ("reply", rpc.replies)):
            cut = bool(payload[f"{side}_cut"])
            told = self._told(payload["mode"], cut)
            found = read(payload[side])
            said[side] = [told.message(each) for each in found] if isinstance(found, list) else told.message(found)
            if cut or told.cut:
                said[f"{side}_cut"] = True
        return said

    def _told(self, mode: str, cut: bool) -> Told:
        keep = redacted_beginning if cut and mode == "redacted" else self._keep[mode]
        return Told(keep, names=mode != "full", room=self._room)
