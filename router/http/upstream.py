"""The router as the gateway calls it: one channel, one stub per rpc, made once."""

from __future__ import annotations

from typing import Any

import grpc.aio
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from waypost import _calls, tls
from waypost.v1 import classify_pb2, embed_pb2, generate_pb2, mesh_pb2, rerank_pb2

RECONNECT = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
"""A router that starts again is back within a second."""


class Upstream:
    """Stubs of the router at `address`; belongs to the event loop it is made in."""

    def __init__(self, address: str) -> None:
        self.address = address
        options = [*_calls.channel_options(address), *RECONNECT]
        self._channel = _channel(address, options)
        self.embed = self._unary("EmbedService/Embed", embed_pb2.EmbedResponse)
        self.classify = self._unary("ClassifyService/Classify", classify_pb2.ClassifyResponse)
        self.rerank = self._unary("RerankService/Rerank", rerank_pb2.RerankResponse)
        self.generate = self._unary("GenerateService/Generate", generate_pb2.GenerateResponse)
        self.models = self._unary("MeshService/ListModels", mesh_pb2.ListModelsResponse)
        self.instances = self._unary("MeshService/ListInstances", mesh_pb2.ListInstancesResponse)
        self.instance = self._unary("MeshService/DescribeInstance", mesh_pb2.DescribeInstanceResponse)
        self.explain = self._unary("MeshService/Explain", mesh_pb2.ExplainResponse)
        self.budget = self._unary("MeshService/GetBudget", mesh_pb2.GetBudgetResponse)
        self.rollouts = self._unary("MeshService/ListRollouts", mesh_pb2.ListRolloutsResponse)
        self.set_rollout = self._unary("MeshService/SetRollout", mesh_pb2.SetRolloutResponse)
        self.load_model = self._unary("MeshService/LoadModel", mesh_pb2.LoadModelResponse)
        self.unload_model = self._unary("MeshService/UnloadModel", mesh_pb2.UnloadModelResponse)
        self.status = self._unary("MeshService/GetStatus", mesh_pb2.GetStatusResponse)
        self.history = self._unary("MeshService/GetHistory", mesh_pb2.GetHistoryResponse)
        self.decisions = self._unary("MeshService/ListDecisions", mesh_pb2.ListDecisionsResponse)
        self.drain_instance = self._unary("MeshService/DrainInstance", mesh_pb2.DrainInstanceResponse)
        self.pin_model = self._unary("MeshService/PinModel", mesh_pb2.PinModelResponse)
        self.set_weights = self._unary("MeshService/SetWeights", mesh_pb2.SetWeightsResponse)
        self.set_log_level = self._unary("MeshService/SetLogLevel", mesh_pb2.SetLogLevelResponse)
        # As bytes: a large mesh's figures are read where they are written, in a thread.
        self.metrics: Any = self._channel.unary_unary("/waypost.v1.MeshService/GetMetrics", _serialized)
        self.generate_stream = self._channel.unary_stream(
            "/waypost.v1.GenerateService/GenerateStream",
            generate_pb2.GenerateStreamRequest.SerializeToString,
            generate_pb2.GenerateStreamResponse.FromString,
        )
        self.health = self._channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            health_pb2.HealthCheckRequest.SerializeToString,
            health_pb2.HealthCheckResponse.FromString,
        )

    async def close(self) -> None:
        """Ends what is under way, and the connection."""
        await self._channel.close()

    def _unary(self, method: str, reply: type[Message]) -> Any:
        return self._channel.unary_unary(f"/waypost.v1.{method}", _serialized, reply.FromString)


def _channel(address: str, options: list[tuple[str, Any]]) -> grpc.aio.Channel:
    if proof := tls.credentials(address, None):
        return grpc.aio.secure_channel(address, proof, options=options)
    return grpc.aio.insecure_channel(address, options=options)


def _serialized(request: Message) -> bytes:
    return request.SerializeToString()
