"""An OTLP receiver that reads nothing: it stands for a collector, which is somebody else's program and CPU.

python -m bench.otlp_sink    # says {"address": …}; for each line it is told, {"exports": …, "bytes": …} so far
"""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc


class Sink(grpc.GenericRpcHandler):
    """Answers every call with an empty message, which is what a receiver says when all is well."""

    def __init__(self) -> None:
        self.exports = self.bytes = 0
        self._handler = grpc.unary_unary_rpc_method_handler(self._take)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        return self._handler

    def _take(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.exports, self.bytes = self.exports + 1, self.bytes + len(request)
        return b""


def main() -> None:
    """Serves until its standard input ends; everything else on the machine goes first."""
    os.nice(19)
    sink, server = Sink(), grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((sink,))
    print(json.dumps({"address": f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"}), flush=True)
    server.start()
    for _ in sys.stdin:
        print(json.dumps({"exports": sink.exports, "bytes": sink.bytes}), flush=True)
    server.stop(None).wait()


if __name__ == "__main__":
    main()
