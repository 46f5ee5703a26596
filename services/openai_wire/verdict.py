"""Whether an answer is what was asked for: providers promise schemas, and not all of them keep the promise."""

from __future__ import annotations

from collections.abc import Sequence

from services.openai_wire.ask import Ask
from services.openai_wire.gather import Gathered
from services.refusal import ModelFailed
from services.tools import Call


def calls_of(gathered: Gathered, asked: Ask) -> Sequence[Call]:
    """The tool calls of a whole answer; those of one that was cut are none.

    Raises:
        ModelFailed: a call, or the answer, does not satisfy its schema, or there is no call where there must be one.
    """
    if gathered.reason == "stop":
        _check_text(gathered, asked)
    calls = gathered.calls if gathered.reason == "tool_calls" else []
    for call in calls:
        if wrong := asked.tools.problem(call):
            raise ModelFailed(f"its tool call cannot be run: {wrong}")
    return calls


def _check_text(gathered: Gathered, asked: Ask) -> None:
    if asked.must_call:
        raise ModelFailed("it called no tool, where tool_choice is TOOL_CHOICE_REQUIRED")
    if asked.schema and (wrong := asked.schema.problem_of_text(gathered.text)):
        raise ModelFailed(f"its answer does not satisfy json_schema: {wrong}")
