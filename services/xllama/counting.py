"""Tokens of a prompt, which the engine tells over HTTP only."""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from services.openai_wire import messages
from services.refusal import ModelFailed
from services.schemas import shown
from waypost.v1.generate_pb2 import GenerateServiceCountTokensRequest

TIMEOUT_S = 10.0


class Counter:
    """Asks the engine's HTTP side."""

    def __init__(self, address: str, secret: str) -> None:
        self._place = urlsplit(address).netloc
        self._headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}

    def count(self, request: GenerateServiceCountTokensRequest) -> int:
        """With the model's chat template for a conversation, as it is for a raw prompt.

        Raises:
            ModelFailed: the engine does not say.
        """
        if request.WhichOneof("input") == "raw":
            return len(self._post("/tokenize", {"content": request.raw, "add_special": True})["tokens"])
        body: dict[str, Any] = {"messages": [messages.message(each) for each in request.chat.messages]}
        if request.tools:
            body["tools"] = [messages.tool(each) for each in request.tools]
        return int(self._post("/v1/chat/completions/input_tokens", body)["input_tokens"])

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        connection = HTTPConnection(self._place, timeout=TIMEOUT_S)
        try:
            connection.request("POST", path, json.dumps(body), self._headers)
            response = connection.getresponse()
            text = response.read().decode()
        except (OSError, HTTPException) as error:
            raise ModelFailed(f"its engine does not count: {error}") from None
        finally:
            connection.close()
        if response.status != 200:
            raise ModelFailed(f"its engine does not count: {shown(text)}")
        return json.loads(text)
