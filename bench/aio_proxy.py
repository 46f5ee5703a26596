"""A pass-through gRPC proxy in grpc.aio: the control case of bench/hop.py.

python -m bench.aio_proxy LISTEN TARGET
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import grpc


class PassThrough(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Hands the bytes of every unary call to the target."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._stubs: dict[str, Any] = {}

    def service(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method
        stub = self._stubs.setdefault(method, self._channel.unary_unary(method))

        async def call(request: bytes, context: Any) -> bytes:
            return await stub(request, timeout=context.time_remaining())

        return grpc.unary_unary_rpc_method_handler(call)


async def serve(listen: str, target: str) -> None:
    """Serves until the process ends."""
    async with grpc.aio.insecure_channel(target) as channel:
        server = grpc.aio.server(handlers=[PassThrough(channel)])
        server.add_insecure_port(listen)
        await server.start()
        await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2]))
