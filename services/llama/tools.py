"""Functions that a model may ask its caller to run: told to it, forced from it, and found in what it wrote.

Templates that know tools tell the model in the words it was trained on.  For the others a text does, in the form that
most open models know: one `<tool_call>{"name": …, "arguments": {…}}</tool_call>` per call.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from string import ascii_letters, digits
from typing import Any

from services.llama import schema
from services.refusal import InvalidField
from services.tools import Call, Toolbox
from waypost.v1.generate_pb2 import Tool

NO_ARGUMENTS: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
INTRODUCTION = """\
You may call functions to help with the user's request. These are the functions, one JSON object per line:
<tools>
{tools}
</tools>
To call a function, answer with nothing but its name and arguments as JSON inside of these tags:
<tool_call>
{{"name": "the function's name", "arguments": {{"argument": "value"}}}}
</tool_call>"""

_BLOCKS = re.compile(r"\s*(?:<tool_call>((?:(?!</?tool_call>).)*)</tool_call>\s*)+", re.DOTALL)
_BLOCK = re.compile(r"<tool_call>((?:(?!</?tool_call>).)*)</tool_call>", re.DOTALL)
_UNCLOSED = re.compile(r"\s*<tool_call>((?:(?!</?tool_call>).)*)", re.DOTALL)


def check(tools: Sequence[Tool]) -> None:
    """Whether the tools can be told to a model.

    Raises:
        InvalidField: a schema is none, or not of an object; two tools have one name.
    """
    Toolbox.of(tools)
    names = [tool.name for tool in tools]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise InvalidField(f"tools[{i}].name", repr(name), "another name than those before it")


def as_template_data(tools: Iterable[Tool]) -> list[dict[str, Any]]:
    """As chat templates expect them."""
    return [{"type": "function", "function": _described(tool)} for tool in tools]


def introduction(tools: Iterable[Tool]) -> str:
    """Tells a model of its tools where its template does not."""
    return INTRODUCTION.format(tools="\n".join(json.dumps(_described(tool), ensure_ascii=False) for tool in tools))


def as_text(name: str, arguments: Any) -> str:
    """A call, as the introduction asks for it."""
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments}, ensure_ascii=False)}\n</tool_call>"


def response(content: str) -> str:
    """What a tool gave back, for a template that does not know such messages."""
    return f"<tool_response>\n{content}\n</tool_response>"


def grammar(tools: Sequence[Tool]) -> str:
    """One call of one of the tools, with valid arguments, as a JSON object.

    Raises:
        InvalidField: a schema cannot be enforced.
    """
    for i, tool in enumerate(tools):
        schema.gbnf(tool.parameters_json or json.dumps(NO_ARGUMENTS), f"tools[{i}].parameters_json")
    definitions = {f"tool{i}": _moved(_parameters(tool), f"#/$defs/tool{i}") for i, tool in enumerate(tools)}
    calls = [_call_schema(tool.name, {"$ref": f"#/$defs/tool{i}"}) for i, tool in enumerate(tools)]
    return schema.grammar_of({"anyOf": calls, "$defs": definitions})


def parse(text: str, tools: Sequence[Tool]) -> list[tuple[str, str, str]] | None:
    """The calls that an answer consists of: id, name, arguments as JSON.  None where it is a text, or one is wrong."""
    toolbox = Toolbox.of(tools)
    calls = [_call(said, toolbox) for said in _written(text)]
    return [astuple(call) for call in calls if call] if calls and all(calls) else None


def _written(text: str) -> list[Any]:
    """JSON values that may be calls."""
    if _BLOCKS.fullmatch(text):
        return [_json(inside) for inside in _BLOCK.findall(text)]
    if unclosed := _UNCLOSED.fullmatch(text):
        return [_json(unclosed[1])]
    said = _json(text)
    return said if isinstance(said, list) else [said]


def _call(said: Any, toolbox: Toolbox) -> Call | None:
    said = said.get("function", said) if isinstance(said, dict) else None
    if not isinstance(said, dict) or not isinstance(said.get("name"), str):
        return None
    arguments = said.get("arguments", said.get("parameters", {}))
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    call = Call(_id(), said["name"], text)
    return None if toolbox.problem(call) else call


def _id() -> str:
    """Nine letters and digits, as Mistral's templates will have it."""
    return "".join(secrets.choice(ascii_letters + digits) for _ in range(9))


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _parameters(tool: Tool) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(tool.parameters_json) if tool.parameters_json else NO_ARGUMENTS
    return {"type": "object"} | found


def _described(tool: Tool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "parameters": _parameters(tool)}


def _call_schema(name: str, arguments: Any) -> dict[str, Any]:
    properties = {"name": {"const": name}, "arguments": arguments}
    return {"type": "object", "properties": properties, "required": ["name", "arguments"]}


def _moved(value: Any, below: str) -> Any:
    """A schema whose references go to where it stands now."""
    if isinstance(value, list):
        return [_moved(each, below) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: below + each[1:] if key == "$ref" and isinstance(each, str) else _moved(each, below)
        for key, each in value.items()
    }
