"""What `Client` and `AsyncClient` have in common: address, default deadline, and one stub per rpc."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from waypost._calls import Rpc

ADDRESS = "127.0.0.1:50051"
TIMEOUT_S = 60.0


class BaseClient:
    """A channel with the stubs made on it."""

    def __init__(self, address: str, timeout: float, channel: Any) -> None:
        self.address = address
        self._timeout = timeout
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


class BaseGuarded:
    """Requests of a stream; grpcio hides an error of their iterator, so it is kept and raised after the replies."""

    error: Exception | None = None

    def raise_error(self) -> None:
        """Raises what ended the requests early, if anything did."""
        if self.error:
            raise self.error
