"""JSON schemas that callers send: whether they are any, and whether a model's answer satisfies them.

A caller's schema is a stranger's program.  jsonschema-rs bounds its regular expressions and its recursion, where the
pure Python package would run `pattern` without end; and nothing is ever fetched for a `$ref`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NoReturn

import jsonschema_rs
from jsonschema_rs import ReferencingError, ValidationError

from services.refusal import InvalidField

SHOWN = 200
"""Characters of a schema or an answer that a message repeats."""


@dataclass(frozen=True)
class Schema:
    """A schema, and what checks against it."""

    value: dict[str, Any] | bool
    _validator: jsonschema_rs.Validator

    @classmethod
    def parsed(cls, text: str, field: str) -> Schema:
        """The schema in a request's `field`.

        Raises:
            InvalidField: it is none.
        """
        try:
            value = json.loads(text)
            return cls(value, jsonschema_rs.validator_for(value, retriever=_nothing))
        except (ValidationError, ReferencingError, ValueError, RecursionError) as error:
            raise InvalidField(field, shown(text), f"a JSON schema: {_said(error)}") from None

    def problem(self, value: Any) -> str | None:
        """Where and why `value` does not satisfy it: "$.city: 3 is not of type "string"."""
        try:
            error = next(self._validator.iter_errors(value), None)
        except ValueError as unfit:
            return str(unfit)
        return None if error is None else _said(error)

    def problem_of_text(self, text: str) -> str | None:
        """The same of JSON text."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            return f"it is not JSON: {error}"
        return self.problem(value)


def shown(text: str) -> str:
    """`text`, cut to what a message repeats."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _nothing(uri: str) -> NoReturn:
    raise ValueError(f"{uri} is not in the schema, and nothing is fetched")


def _said(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return shown(str(error) or type(error).__name__)
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.instance_path)
    return shown(f"${path}: {error.message}")
