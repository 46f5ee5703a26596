"""`waypost chat`: a conversation in the terminal.

Ctrl-C stops the answer and not the session; Ctrl-D leaves.  What was said so far stays, also of a stopped answer, so
that "go on" works.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from waypost.cli import answer, show
from waypost.cli.interrupt import on_ctrl_c
from waypost.cli.options import (
    Adapter,
    Address,
    MaxTokens,
    Model,
    NoStore,
    Seed,
    System,
    Temperature,
    Timeout,
    address_or_running,
    given,
)

if TYPE_CHECKING:
    from waypost.client import Client
    from waypost.results import Generation, GenerationChunk

PROMPT = "> "


def chat(
    address: Address = "",
    model: Model = "",
    system: System = "",
    max_tokens: MaxTokens = 0,
    temperature: Temperature = None,
    seed: Seed = None,
    adapter: Adapter = "",
    no_store: NoStore = False,
    timeout: Timeout = 300.0,
) -> None:
    """Talk with a model; /help lists what else can be said.

    A conversation that outgrows the model's context loses its oldest turns, and the line below the answer says so.
    """
    from waypost.client import Client

    sampling = given(max_tokens=max_tokens, temperature=temperature, seed=seed)
    options = given(model=model, adapter=adapter, truncate="start", no_store=no_store) | sampling
    with Client(address_or_running(address), timeout=timeout) as client:
        talk = Conversation(client, options, system)
        _say("/help lists the commands, Ctrl-C stops an answer, Ctrl-D leaves")
        for line in _lines():
            talk.hear(line)


class Conversation:
    """What was said so far, and to whom."""

    def __init__(self, client: Client, options: dict[str, Any], system: str) -> None:
        self._client = client
        # One session: the instance that has the conversation in memory gets its next turn.
        self._options = options | {"session": uuid.uuid4().hex, "priority": "high"}
        self._system = system
        self._turns: list[dict[str, Any]] = []

    def messages(self) -> list[dict[str, Any]]:
        """Everything the model is given."""
        return [*([{"role": "system", "content": self._system}] if self._system else []), *self._turns]

    def hear(self, line: str) -> None:
        """Does what the line says: a command with a slash, or something to answer."""
        name, _, rest = line[1:].partition(" ")
        if not line.startswith("/"):
            self._ask(line)
        elif name in COMMANDS:
            COMMANDS[name](self, rest.strip())
        else:
            _say(f"no command /{name}; there is {', '.join(f'/{each}' for each in COMMANDS)}")

    def _ask(self, text: str) -> None:
        from waypost.errors import Cancelled, WaypostError

        self._turns.append({"role": "user", "content": text})
        said: list[str] = []
        try:
            answer.summary(self._answer(said))
        except Cancelled:
            _say("\nstopped")
        except WaypostError as error:
            _say(f"\n{error.message}")
        self._keep("".join(said))

    def _answer(self, said: list[str]) -> Generation:
        with self._client.generate_stream(self.messages(), **self._options) as chunks, on_ctrl_c(chunks.close):
            return replace(answer.streamed(_noted(chunks, said)), routing=chunks.routing)

    def _keep(self, text: str) -> None:
        """The answer, or nothing of the turn where there is none."""
        if text:
            self._turns.append({"role": "assistant", "content": text})
        else:
            self._turns.pop()

    def help(self, rest: str) -> None:
        """this list"""
        for name, does in COMMANDS.items():
            _say(f"/{name}: {does.__doc__}")

    def reset(self, rest: str) -> None:
        """forget what was said"""
        self._turns.clear()
        _say("forgotten")

    def system(self, rest: str) -> None:
        """tell the model who it is, from the next turn on; without a text, nothing"""
        self._system = rest
        _say(f"the model is told: {rest}" if rest else "the model is told nothing")

    def save(self, rest: str) -> None:
        """write the conversation to a file, as JSON"""
        try:
            Path(rest).write_text(json.dumps(self.messages(), indent=2, ensure_ascii=False))
        except OSError as error:
            return _say(f"{rest or 'no file'}: {error.strerror}")
        _say(f"{len(self.messages())} messages are in {rest}")


COMMANDS: dict[str, Callable[[Conversation, str], None]] = {
    "help": Conversation.help,
    "reset": Conversation.reset,
    "system": Conversation.system,
    "save": Conversation.save,
}


def _noted(chunks: Iterable[GenerationChunk], said: list[str]) -> Iterator[GenerationChunk]:
    for chunk in chunks:
        said.append(chunk.text)
        yield chunk


def _lines() -> Iterator[str]:
    """Lines that say something, until the input ends."""
    if sys.stdin.isatty():
        import readline  # noqa: F401  (gives `input` its editing and history)
    while True:
        try:
            line = input(PROMPT).strip()
        except EOFError:
            return print()
        except KeyboardInterrupt:
            line = ""
            _say("\nCtrl-D leaves")
        if line:
            yield line


def _say(text: str) -> None:
    show.console().print(text, style="dim", markup=False)
