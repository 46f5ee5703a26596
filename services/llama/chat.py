"""A conversation as the text that a model was trained on: its own chat template, rendered as transformers does.

Templates differ in what they know.  What one does with a system's message, a call and its result is tried when it is
loaded: a system's message that it refuses goes into the first of the user, arguments are text where it wants text, and
`knows_tools`, `knows_calls` say what has to be told in words (`services.llama.prompt`).

What users write is data: a control token spelt in a message ("<|im_end|>") stays letters.  While the template is
rendered such spellings are held out by markers, so that `Rendered` knows which parts of the text may steer the model.
"""

from __future__ import annotations

import datetime
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

import jinja2
import jinja2.meta
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from services.backend import ModelUnusable
from services.refusal import InvalidField, ModelFailed, Refused

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""For a file without a template."""

Message: TypeAlias = dict[str, Any]
Tools: TypeAlias = Sequence[Mapping[str, Any]]
Part: TypeAlias = tuple[str, bool]
"""A piece of the prompt, and whether control tokens in it are such."""


TRIED_SYSTEM: list[Message] = [{"role": "system", "content": "first"}, {"role": "user", "content": "second"}]
TRIED_TOOLS: Tools = [{"type": "function", "function": {"name": "look", "description": "", "parameters": {}}}]
TRIED_CALL: list[Message] = [
    {"role": "user", "content": "Look"},
    {
        "role": "assistant",
        "content": "",
        # Mistral's templates take ids of nine characters only.
        "tool_calls": [
            {"id": "abcdef123", "type": "function", "function": {"name": "look", "arguments": {"where": "nowhere"}}}
        ],
    },
    {"role": "tool", "content": "found", "tool_call_id": "abcdef123", "name": "look"},
]


class TemplateRefused(Exception):
    """The template itself says that it does not take such a conversation."""


class Chat:
    """A chat template, compiled; may be used by several threads."""

    def __init__(self, template: str | None, *, bos: str, eos: str, control: Sequence[str] = ()) -> None:
        """Compiles it; `control`: spellings of control tokens.

        Raises:
            ModelUnusable: it is not valid Jinja.
        """
        environment = _environment()
        source = template or CHATML
        try:
            self._template = environment.from_string(source)
            variables = jinja2.meta.find_undeclared_variables(environment.parse(source))
        except jinja2.TemplateError as error:
            raise ModelUnusable(f"the model's chat template is not valid: {error}; take another GGUF of it") from None
        self._special = {"bos_token": bos, "eos_token": eos}
        self._control = _any_of(control)
        self._folds_system = not self._shows(TRIED_SYSTEM, "first") and self._shows(_folded(TRIED_SYSTEM), "first")
        self._wants_text = not self._shows_calls() and self._shows_calls(_with_text(TRIED_CALL))
        self.knows_tools = "tools" in variables
        self.knows_calls = self._wants_text or self._shows_calls()

    def render(self, messages: Sequence[Message], tools: Tools = ()) -> list[Part]:
        """The prompt, up to where the assistant's answer begins.

        Raises:
            InvalidField: the template takes no such conversation.
            ModelFailed: the template is wrong.
        """
        held = _Held(self._control)
        said = [held.out_of(message) for message in messages]
        said = _folded(said) if self._folds_system else said
        said = _with_text(said) if self._wants_text else said
        return held.parts(self._render(said, [held.out_of(tool) for tool in tools]))

    def _render(self, messages: list[Message], tools: list[Any]) -> str:
        try:
            return self._template.render(
                messages=messages, tools=tools or None, add_generation_prompt=True, **self._special
            )
        except TemplateRefused as error:
            raise InvalidField("chat", f"refused by the model's template ({error})", "one that it takes") from None
        except (jinja2.TemplateError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
            raise ModelFailed(f"its chat template fails on this conversation: {error}") from None

    def _shows_calls(self, messages: list[Message] = TRIED_CALL) -> bool:
        return self._shows(messages, "look", "nowhere", "found")

    def _shows(self, messages: list[Message], *texts: str) -> bool:
        """Whether the template takes a conversation and leaves none of the texts out."""
        try:
            found = self._render(messages, list(TRIED_TOOLS))
        except Refused:
            return False
        return all(text in found for text in texts)


class _Generation(Extension):
    """`{% generation %}`, by which templates mark the assistant's words for training: here just what is inside."""

    tags = {"generation"}  # noqa: RUF012 (as the base class has it)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _folded(messages: list[Message]) -> list[Message]:
    """The system's words as the beginning of the user's."""
    first, *rest = messages or [{}]
    if first.get("role") != "system" or not rest or rest[0]["role"] != "user":
        return messages
    return [rest[0] | {"content": f"{first['content']}\n\n{rest[0]['content']}"}, *rest[1:]]


def _with_text(messages: list[Message]) -> list[Message]:
    """Arguments of calls as JSON text."""
    return [_with_text_in(message) if "tool_calls" in message else message for message in messages]


def _with_text_in(message: Message) -> Message:
    calls = [
        call | {"function": call["function"] | {"arguments": _tojson(call["function"]["arguments"])}}
        for call in message["tool_calls"]
    ]
    return message | {"tool_calls": calls}


class _Held:
    """Takes the spellings of control tokens out of what users wrote, and puts them back as plain text."""

    def __init__(self, control: re.Pattern[str]) -> None:
        self._control = control
        self._mark = f"\ue000{secrets.token_hex(8)}:"
        self._texts: list[str] = []

    def out_of(self, value: Any) -> Any:
        """`value` with every spelling replaced by a marker, however deep it is."""
        if isinstance(value, str):
            return self._control.sub(self._marker, value)
        if isinstance(value, Mapping):
            return {key: self.out_of(each) for key, each in value.items()}
        return [self.out_of(each) for each in value] if isinstance(value, list) else value

    def parts(self, text: str) -> list[Part]:
        """What was rendered, cut at the markers."""
        pieces = re.split(f"{self._mark}([0-9]+);", text)
        return [(self._texts[int(piece)], False) if i % 2 else (piece, True) for i, piece in enumerate(pieces) if piece]

    def _marker(self, found: re.Match[str]) -> str:
        self._texts.append(found[0])
        return f"{self._mark}{len(self._texts) - 1};"


def _any_of(spellings: Sequence[str]) -> re.Pattern[str]:
    longest_first = sorted(filter(None, spellings), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation]
    )
    environment.filters["tojson"] = _tojson
    environment.globals |= {"raise_exception": _refuse, "strftime_now": _now}
    return environment


def _tojson(value: Any, **options: Any) -> str:
    """Jinja's own would escape "<" and "'", which models were not trained on."""
    return json.dumps(value, **{"ensure_ascii": False} | options)


def _refuse(why: str) -> NoReturn:
    raise TemplateRefused(why)


def _now(form: str) -> str:
    return datetime.datetime.now().strftime(form)
