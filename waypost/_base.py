"""What `Client` and `AsyncClient` have in common: address, key, default deadline, and one stub per rpc."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from waypost import _fields as fields
from waypost._calls import Rpc

ADDRESS = "127.0.0.1:50051"
TIMEOUT_S = 60.0


class BaseClient:
    """A channel with the stubs made on it."""

    def __init__(self, address: str, timeout: float, key: str | None, channel: Any) -> None:
        self.address = address
        self._timeout = timeout
        self._metadata = _metadata(os.environ.get("WAYPOST_KEY", "") if key is None else key)
        self._channel = channel
        self._stubs: dict[str, Any] = {}

    def _stub(self, rpc: Rpc[Any], kind: Callable[..., Any]) -> Any:
        if rpc.path not in self._stubs:
            self._stubs[rpc.path] = kind(
                rpc.path,
                request_serializer=lambda request: request.SerializeToString(),
                response_deserializer=rpc.reply.FromString,
            )
        return self._stubs[rpc.path]

    def _seconds(self, timeout: float | None) -> float:
        return self._timeout if timeout is None else timeout


def _metadata(key: str) -> tuple[tuple[str, str], ...]:
    """What is sent along with every call; gRPC's own complaint of a bad key would show it."""
    if not all("!" <= letter <= "~" for letter in key):
        raise fields.invalid("key", "has spaces, line breaks or letters that no header may have")
    return (("authorization", f"Bearer {key}"),) if key else ()


class BaseGuarded:
    """Requests of a stream; grpcio hides an error of their iterator, so it is kept and raised after the replies."""

    error: Exception | None = None

    def raise_error(self) -> None:
        """Raises what ended the requests early, if anything did."""
        if self.error:
            raise self.error
