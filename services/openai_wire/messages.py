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


def instructed(messages: list[dict[str, Any]], schema: Any) -> list[dict[str, Any]]:
    """The conversation with a schema at the end of its system message; DeepSeek wants the word JSON there."""
    told = f"Answer with JSON alone, without any other text. It must satisfy this JSON schema: {json.dumps(schema)}"
    if messages and messages[0]["role"] == "system":
        return [messages[0] | {"content": f"{messages[0]['content']}\n\n{told}"}, *messages[1:]]
    return [{"role": "system", "content": told}, *messages]


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments_json or "{}"}
    return {"id": call.id, "type": "function", "function": function}
