"""Tools that a caller offers: their definitions checked before a model sees them, its calls before the caller does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.refusal import InvalidField
from services.schemas import Schema
from waypost.v1.generate_pb2 import Tool

NO_ARGUMENTS = '{"type": "object", "properties": {}}'


@dataclass(frozen=True)
class Call:
    """A tool call of a model."""

    id: str
    name: str
    arguments_json: str


@dataclass(frozen=True)
class Toolbox:
    """The tools of a request: schema of the arguments by name."""

    schemas: Mapping[str, Schema]

    @classmethod
    def of(cls, tools: Iterable[Tool]) -> Toolbox:
        """Checks the definitions.

        Raises:
            InvalidField: a schema is none of an object.
        """
        fields = ((tool, f"tools[{index}].parameters_json") for index, tool in enumerate(tools))
        return cls({tool.name: _arguments(tool.parameters_json, field) for tool, field in fields})

    def problem(self, call: Call) -> str | None:
        """Why `call` cannot be run: its name is not known, or its arguments do not satisfy the schema."""
        if call.name not in self.schemas:
            return f"there is no tool {call.name!r}"
        if not isinstance(_loaded(call.arguments_json), dict):
            return f"the arguments of {call.name!r} are no JSON object"
        wrong = self.schemas[call.name].problem_of_text(call.arguments_json)
        return wrong and f"the arguments of {call.name!r} do not satisfy its schema: {wrong}"


def _arguments(text: str, field: str) -> Schema:
    schema = Schema.parsed(text or NO_ARGUMENTS, field)
    if not isinstance(schema.value, dict) or schema.value.get("type", "object") != "object":
        raise InvalidField(field, text, 'the schema of an object: {"type": "object", …}')
    return schema


def _loaded(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
