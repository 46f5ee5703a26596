"""Messages and tools as the format writes them."""

from __future__ import annotations

import json
from typing import Any

from services.tools import NO_ARGUMENTS
from waypost.v1.generate_pb2 import ChatMessage, Tool, ToolCall


def message(message: ChatMessage) -> dict[str, Any]:
    """One of the conversation; a message that is only calls has no content."""
    body: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        body["tool_calls"] = [_call(each) for each in message.tool_calls]
        body["content"] = message.content or None
    if message.tool_call_id:
        body["tool_call_id"] = message.tool_call_id
    return body


def tool(tool: Tool) -> dict[str, Any]:
    """A function the model may call; its schema was checked."""
    parameters = json.loads(tool.parameters_json or NO_ARGUMENTS)
    function = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return {"type": "function", "function": function}


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments_json or "{}"}
    return {"id": call.id, "type": "function", "function": function}
