"""The way of a router's lines into the journal, beside the way they went before.

A call and its texts come from different rings, in any order.  A call is written down at once; its texts wait for it, so
that they can say whose they are.  Of tenants without a log nothing is written down at all.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import orjson

from router.events import Sink
from router.payloads import Diary
from waypost.config import Router

PATIENCE_S = 0.5
"""Texts wait so long for their call, whose event may have been dropped."""
REMEMBERED = 32_768
"""Calls whose texts have not come; most of them will have none."""

CALL, TEXT, AUDIT, ROLLOUT, FEEDBACK = "c", "t", "a", "r", "f"
"""Kinds of lines in the journal."""

Key = tuple[str, str]
"""Name of a call, which callers may use again, and its method."""


class Taker(Protocol):
    """What the feed needs of a journal."""

    @property
    def name(self) -> str: ...

    def append(self, kind: str, lines: Sequence[str]) -> list[int]: ...


class Calls:
    """The calls that were written down, for the texts that belong to them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._known: OrderedDict[Key, deque[str]] = OrderedDict()

    def add(self, found: Sequence[tuple[Key, str]]) -> None:
        """Keys and ids of calls."""
        with self._changed:
            for key, call in found:
                self._known.setdefault(key, deque()).append(call)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
            self._changed.notify_all()

    def take(self, key: Key, until: float) -> str | None:
        """The id of a call, the first of several; waits for it until that moment of the monotonic clock."""
        with self._changed:
            self._changed.wait_for(lambda: key in self._known, until - time.monotonic())
            ids = self._known.get(key)
            if not ids:
                return None
            call = ids.popleft()
            if not ids:
                del self._known[key]
        return call


class Feed:
    """Sinks that write lines down in the journal, and then to where they went before.

    Args:
        config: says who has texts kept, and of whom nothing is.
    """

    def __init__(self, journal: Taker, config: Router) -> None:
        self._journal = journal
        self._calls = Calls()
        self._without = frozenset(config.store.without)
        self._marks = tuple(f'"tenant":"{name}"' for name in config.store.without)
        self._mode = config.payloads.mode
        inherited = {"inherit": config.payloads.mode}
        self._modes = {each.name: inherited.get(each.payloads, each.payloads) for each in config.tenants}
        self._has_texts = {self._mode, *self._modes.values()} != {"off"}

    def decisions(self, sink: Sink) -> Sink:
        """For the lines of calls."""
        return Both(self._decided, sink)

    def audits(self, sink: Sink) -> Sink:
        """For changes and refusals."""
        return Both(lambda lines: self._journal.append(AUDIT, lines), sink)

    def rollouts(self, sink: Sink) -> Sink:
        """For the journal of rollouts."""
        return Both(lambda lines: self._journal.append(ROLLOUT, lines), sink)

    def feedback(self, sink: Sink) -> Sink:
        """For what callers think of answers."""
        return Both(lambda lines: self._journal.append(FEEDBACK, self._with_a_log(lines)), sink)

    def texts(self, diary: Diary) -> Diary:
        """For what was asked and answered."""
        return BothDiary(self._said, diary)

    def _decided(self, lines: list[str]) -> None:
        wanted = self._with_a_log(lines)
        positions = self._journal.append(CALL, wanted)
        if self._has_texts:
            self._calls.add([*self._with_texts(wanted, positions)])

    def _with_a_log(self, lines: list[str]) -> list[str]:
        return [line for line in lines if not self._is_without(line)] if self._marks else lines

    def _is_without(self, line: str) -> bool:
        return any(mark in line for mark in self._marks) and orjson.loads(line).get("tenant") in self._without

    def _with_texts(self, lines: list[str], positions: list[int]) -> Any:
        for line, position in zip(lines, positions, strict=False):
            call = orjson.loads(line)
            if self._modes.get(call.get("tenant"), self._mode) != "off":
                yield (call["request_id"], call["method"]), row_id(self._journal.name, position)

    def _said(self, lines: list[str]) -> None:
        until = time.monotonic() + PATIENCE_S
        told = ((line, orjson.loads(line)) for line in lines)
        kept = [self._owned(line, text, until) for line, text in told if text.get("tenant") not in self._without]
        self._journal.append(TEXT, kept)

    def _owned(self, line: str, text: dict[str, Any], until: float) -> str:
        call = self._calls.take((text["request_id"], text["method"]), until)
        return f'{{"of":{orjson.dumps(call).decode()},{line[1:]}'


def row_id(journal: str, position: int) -> str:
    """Of a line's row, always the same: 32 hexadecimal digits that grow with the journal."""
    return f"{journal}{position:016x}"


class Both:
    """Writes lines to one place, and then to another."""

    def __init__(self, first: Callable[[list[str]], Any], second: Sink) -> None:
        self._first, self._second = first, second

    def write(self, lines: list[str]) -> None:
        self._first(lines)
        self._second.write(lines)


class BothDiary(Both):
    """The same, where the second forgets."""

    def __init__(self, first: Callable[[list[str]], Any], second: Diary) -> None:
        super().__init__(first, second)
        self._diary = second

    def forget(self, before: float) -> None:
        self._diary.forget(before)
