"""Reads a GBNF grammar and says what is wrong with it, before llama.cpp sees it.

llama.cpp itself takes some grammars badly: deep nesting ends its stack, left recursion through a rule that may be
empty ends its memory, a rule that never ends is an abort.  Here each of them is a message.  The syntax is that of
`grammars/README.md` of llama.cpp, without references to single tokens.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import TypeAlias

MAX_BYTES = 64 * 1024
MAX_RULES = 1000
MAX_NESTING = 64
MAX_REPEATS = 2000
"""Of one item: llama.cpp's own limit."""
MAX_EXPANDED = 100_000
"""Characters and rules, repetitions written out."""
MAX_PATHS = 100_000
"""Ways from a rule to what it may begin with: llama.cpp walks them all."""
ROOT = "root"


class BadGrammar(Exception):
    """The grammar cannot constrain anything; the message says why and where."""


@dataclass(frozen=True)
class Terminal:
    """So many characters in a row; a class is one, or none where it is empty."""

    length: int = 1


@dataclass(frozen=True)
class Reference:
    """Another rule."""

    name: str


@dataclass(frozen=True)
class Repeat:
    """An item several times."""

    item: Item
    least: int
    most: int


@dataclass(frozen=True)
class Choice:
    """One of several sequences."""

    alternatives: tuple[tuple[Item, ...], ...]


Item: TypeAlias = Terminal | Reference | Repeat | Choice
Rules: TypeAlias = dict[str, Choice]

_SPACE = re.compile(r"(?:[ \t]|#[^\r\n]*)*")
_SPACE_AND_LINES = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_NAME = re.compile(r"[a-zA-Z0-9-]+")
_ESCAPE = r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[tnr\\\"\[\]-])"
_LITERAL = re.compile(rf'"(?P<inside>(?:[^"\\]|{_ESCAPE})*)"')
_CLASS = re.compile(rf"\[\^?(?P<inside>(?:[^\]\\]|{_ESCAPE})*)\]")
_REPEAT = re.compile(r"[*+?]|\{[ \t]*(?P<least>\d+)[ \t]*(?:(?P<range>,)[ \t]*(?P<most>\d+)?[ \t]*)?\}")
_LEAST = {"*": 0, "?": 0, "+": 1}


def check(text: str) -> None:
    """Whether llama.cpp can be given the grammar.

    Raises:
        BadGrammar: it cannot.
    """
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise BadGrammar(f"it has more than {MAX_BYTES} bytes")
    if "\0" in text:
        raise BadGrammar("it has a character NUL; write \\x00")
    rules = parse(text)
    _check_size(rules)
    _check_names(rules)
    _check_ends(rules)
    _check_recursion(rules)


def parse(text: str) -> Rules:
    """The rules by name.

    Raises:
        BadGrammar: the text is not GBNF.
    """
    reader = _Reader(text)
    reader.skip(_SPACE_AND_LINES)
    rules: Rules = {}
    while not reader.at_end:
        name, rule = reader.rule()
        rules[name] = rule
    return rules


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    @property
    def at_end(self) -> bool:
        return self._at >= len(self._text)

    def rule(self) -> tuple[str, Choice]:
        name = self._expect(_NAME, "the name of a rule")[0]
        self.skip(_SPACE)
        self._expect(re.compile("::="), "`::=`")
        self.skip(_SPACE_AND_LINES)
        rule = self._choice()
        if not self.at_end:
            self._expect(re.compile(r"\r\n?|\n"), "the end of the rule")
        self.skip(_SPACE_AND_LINES)
        return name, rule

    def skip(self, pattern: re.Pattern[str]) -> None:
        if found := pattern.match(self._text, self._at):
            self._at = found.end()

    def _choice(self) -> Choice:
        alternatives = [self._sequence()]
        while self._taken("|"):
            self.skip(_SPACE_AND_LINES)
            alternatives.append(self._sequence())
        return Choice(tuple(alternatives))

    def _sequence(self) -> tuple[Item, ...]:
        items: list[Item] = []
        while (item := self._item()) is not None:
            self._space()
            items.append(self._repeated(item))
        return tuple(items)

    def _item(self) -> Item | None:
        match self._text[self._at : self._at + 1]:
            case '"':
                return Terminal(len(self._expect(_LITERAL, "a string that ends, with escapes that exist")[1]))
            case "[":
                return Terminal(bool(self._expect(_CLASS, "a class that ends, with escapes that exist")[1]))
            case "(":
                return self._group()
            case "<" | "!":
                raise self._error("a string, class, group or rule: references to tokens are not taken")
            case ".":
                self._at += 1
                return Terminal()
        found = _NAME.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return Reference(found[0]) if found else None

    def _group(self) -> Choice:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise self._error(f"at most {MAX_NESTING} groups in each other")
        self._at += 1
        self.skip(_SPACE_AND_LINES)
        inside = self._choice()
        if not self._taken(")"):
            raise self._error("`)`")
        self._depth -= 1
        return inside

    def _repeated(self, item: Item) -> Item:
        while found := _REPEAT.match(self._text, self._at):
            item = Repeat(item, *self._times(found))
            self._at = found.end()
            self._space()
        return item

    def _times(self, found: re.Match[str]) -> tuple[int, int]:
        """Least and most; those without end count as one more than the least."""
        least = int(found["least"] or _LEAST.get(found[0], 0))
        most = int(found["most"]) if found["most"] else least + bool(found["range"])
        if max(least, most) > MAX_REPEATS or most < least:
            raise self._error(f"repetitions in order, at most {MAX_REPEATS}")
        return least, most

    def _space(self) -> None:
        self.skip(_SPACE_AND_LINES if self._depth else _SPACE)

    def _taken(self, character: str) -> bool:
        if taken := self._text.startswith(character, self._at):
            self._at += 1
        return taken

    def _expect(self, pattern: re.Pattern[str], what: str) -> tuple[str, str]:
        found = pattern.match(self._text, self._at)
        if not found:
            raise self._error(what)
        self._at = found.end()
        return found[0], found.groupdict().get("inside") or ""

    def _error(self, expected: str) -> BadGrammar:
        line = self._text.count("\n", 0, self._at) + 1
        column = self._at - self._text.rfind("\n", 0, self._at)
        there = repr(self._text[self._at : self._at + 16]) if not self.at_end else "the end"
        return BadGrammar(f"line {line}, column {column} has {there} where {expected} is expected")


def _check_size(rules: Rules) -> None:
    if len(rules) > MAX_RULES:
        raise BadGrammar(f"it has {len(rules)} rules, more than {MAX_RULES}")
    for name, rule in rules.items():
        if (size := _expanded(rule)) > MAX_EXPANDED:
            raise BadGrammar(
                f"rule `{name}` has {size} parts when its repetitions are written out, over {MAX_EXPANDED}"
            )


def _check_names(rules: Rules) -> None:
    if ROOT not in rules:
        raise BadGrammar(f"it has no rule `{ROOT}`")
    for name, rule in rules.items():
        for unknown in sorted(set(_references(rule)) - rules.keys()):
            raise BadGrammar(f"rule `{name}` names `{unknown}`, which is not there")


def _check_ends(rules: Rules) -> None:
    """A rule that needs itself, at least indirectly, has no text at all."""
    ending = _closure(rules, _ends)
    if endless := [name for name in _reachable(rules) if name not in ending]:
        raise BadGrammar(f"rule `{endless[0]}` never ends: it always needs itself again")


def _check_recursion(rules: Rules) -> None:
    empty = _closure(rules, _may_be_empty)
    first = {name: Counter(_first(rule, empty)) for name, rule in rules.items()}
    try:
        order = list(TopologicalSorter(first).static_order())
    except CycleError as error:
        cycle = " -> ".join(reversed(error.args[1]))
        raise BadGrammar(f"it has left recursion, a rule that begins with itself: {cycle}") from None
    paths: dict[str, int] = {}
    for name in order:
        paths[name] = 1 + sum(count * paths[each] for each, count in first[name].items())
    if max(paths.values()) > MAX_PATHS:
        raise BadGrammar(f"rule `{max(paths, key=lambda name: paths[name])}` begins in too many ways")


def _expanded(item: Item) -> int:
    match item:
        case Terminal(length):
            return length
        case Repeat(inside, _, most):
            return most * _expanded(inside)
        case Choice(alternatives):
            return sum(_expanded(each) for sequence in alternatives for each in sequence)
    return 1


def _references(item: Item) -> Iterator[str]:
    match item:
        case Reference(name):
            yield name
        case Repeat(inside):
            yield from _references(inside)
        case Choice(alternatives):
            for sequence in alternatives:
                for each in sequence:
                    yield from _references(each)


def _reachable(rules: Rules) -> list[str]:
    found, pending = [ROOT], [ROOT]
    while pending:
        new = set(_references(rules[pending.pop()])).difference(found)
        found += sorted(new)
        pending += new
    return found


def _closure(rules: Rules, holds: Callable[[Item, set[str]], bool]) -> set[str]:
    """Names of the rules of which something holds because it holds of others."""
    users = defaultdict(set)
    for name, rule in rules.items():
        for used in _references(rule):
            users[used].add(name)
    known: set[str] = set()
    pending = list(rules)
    while pending:
        name = pending.pop()
        if name not in known and holds(rules[name], known):
            known.add(name)
            pending += users[name]
    return known


def _ends(item: Item, ending: set[str]) -> bool:
    match item:
        case Reference(name):
            return name in ending
        case Repeat(inside, least):
            return least == 0 or _ends(inside, ending)
        case Choice(alternatives):
            return any(all(_ends(each, ending) for each in sequence) for sequence in alternatives)
    return True


def _may_be_empty(item: Item, empty: set[str]) -> bool:
    match item:
        case Terminal():
            return not item.length
        case Reference(name):
            return name in empty
        case Repeat(inside, least):
            return least == 0 or _may_be_empty(inside, empty)
        case Choice(alternatives):
            return any(all(_may_be_empty(each, empty) for each in sequence) for sequence in alternatives)


def _first(item: Item, empty: set[str]) -> Iterator[str]:
    """Rules that an item may begin with."""
    match item:
        case Reference(name):
            yield name
        case Repeat(inside):
            yield from _first(inside, empty)
        case Choice(alternatives):
            for sequence in alternatives:
                yield from _first_of(sequence, empty)


def _first_of(sequence: tuple[Item, ...], empty: set[str]) -> Iterator[str]:
    for each in sequence:
        yield from _first(each, empty)
        if not _may_be_empty(each, empty):
            return
