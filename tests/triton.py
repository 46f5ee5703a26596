"""What `tritonclient` sends and gets, in the fewest words."""

from __future__ import annotations

from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient import grpc as triton
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.plane import PATIENCE_S, Failure, Node, failure

CHANNEL = [("grpc.default_authority", "localhost"), ("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]


def dial(address: str) -> triton.InferenceServerClient:
    """A client of its own."""
    return triton.InferenceServerClient(address, channel_args=CHANNEL)


def tensor(name: str, *texts: str, shape: tuple[int, ...] | None = None) -> triton.InferInput:
    """An input of texts."""
    data = np.array([text.encode() for text in texts], np.object_).reshape(shape or (len(texts),))
    made = triton.InferInput(name, list(data.shape), "BYTES")
    made.set_data_from_numpy(data)
    return made


def wanted(*names: str, **top: int) -> list[triton.InferRequestedOutput]:
    """Requested outputs; `head=k` for the k best labels."""
    plain = [triton.InferRequestedOutput(name) for name in names]
    return plain + [triton.InferRequestedOutput(name, class_count=count) for name, count in top.items()]


def words(result: triton.InferResult, name: str) -> Any:
    """An output of texts, decoded."""
    return np.vectorize(bytes.decode, otypes=[object])(result.as_numpy(name)).tolist()


def said(result: triton.InferResult) -> dict[str, Any]:
    """The parameters of a response."""
    parameters = result.get_response().parameters
    return {name: getattr(each, each.WhichOneof("parameter_choice")) for name, each in parameters.items()}


class Answers:
    """What comes back over a stream, in order; its `put` is the callback."""

    def __init__(self) -> None:
        self._came: SimpleQueue[tuple[triton.InferResult | None, Exception | None]] = SimpleQueue()

    def put(self, result: triton.InferResult | None, error: Exception | None) -> None:
        self._came.put((result, error))

    def next(self) -> triton.InferResult:
        """The next answer."""
        result, error = self._came.get(timeout=PATIENCE_S)
        assert result is not None, error
        return result

    def error(self) -> Any:
        """The next error."""
        result, error = self._came.get(timeout=PATIENCE_S)
        assert error is not None, result
        return error

    def whole(self) -> list[triton.InferResult]:
        """All to the last of a request."""
        results = [self.next()]
        while not said(results[-1])["triton_final_response"]:
            results.append(self.next())
        return results


def request(*inputs: Any, **fields: Any) -> service_pb2.ModelInferRequest:
    """A request as no client of Triton's would make it; inputs are InferInputTensors."""
    return service_pb2.ModelInferRequest(inputs=inputs, **fields)


def raw(name: str = "text", datatype: str = "BYTES", shape: tuple[int, ...] = (1,), **fields: Any) -> Any:
    """An input, without contents unless `contents` are there."""
    return service_pb2.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=shape, **fields)


def infer(node: Node, message: service_pb2.ModelInferRequest, timeout: float = PATIENCE_S, **options: Any) -> Any:
    """Starts a call as it stands."""
    stub = service_pb2_grpc.GRPCInferenceServiceStub(node.channel)
    return stub.ModelInfer.future(message, timeout=timeout, **options)


def refused(node: Node, message: service_pb2.ModelInferRequest, timeout: float = PATIENCE_S) -> Failure:
    """What is told to a call that must fail."""
    return failure(infer(node, message, timeout))


def floats(result: triton.InferResult, name: str) -> NDArray[np.float32]:
    """An output of numbers."""
    found: NDArray[np.float32] = result.as_numpy(name)
    return found
