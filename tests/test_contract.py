"""A client that knows nothing but what the server tells it: reflection, then calls made from what it learnt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

SERVICES = {f"waypost.v1.{name}Service" for name in ("Classify", "Embed", "Generate", "Mesh", "Rerank", "Retrieve")}


@pytest.fixture(scope="module")
def channel(default_mesh: str) -> Iterator[grpc.Channel]:
    """A plain grpcio channel to the router."""
    with grpc.insecure_channel(default_mesh) as opened:
        yield opened


def call(channel: grpc.Channel, service: str, method: str, **fields: Any) -> Any:
    """A unary call, of message types fetched by reflection."""
    pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    described = pool.FindServiceByName(f"waypost.v1.{service}").FindMethodByName(method)
    request, reply = (GetMessageClass(each) for each in (described.input_type, described.output_type))
    rpc = channel.unary_unary(
        f"/waypost.v1.{service}/{method}",
        request_serializer=request.SerializeToString,
        response_deserializer=reply.FromString,
    )
    return rpc(request(**fields), timeout=20)


def test_reflection_lists_every_service(channel: grpc.Channel) -> None:
    """Those of the contract and the standard ones."""
    listed = set(ProtoReflectionDescriptorDatabase(channel).get_services())
    assert SERVICES | {"grpc.health.v1.Health"} <= listed


def test_a_client_made_by_reflection_embeds_classifies_and_reranks(channel: grpc.Channel) -> None:
    """Answers carry who served and how long each stage took."""
    embedded = call(channel, "EmbedService", "Embed", texts=["hello"])
    assert np.frombuffer(embedded.vectors, "<f4").shape == (384,)
    assert (embedded.served.model, embedded.served.instance) == ("minilm", "local-0")
    assert embedded.timings.inference.ToTimedelta() < embedded.timings.total.ToTimedelta()
    mood = call(channel, "ClassifyService", "Classify", texts=["a warm, funny film"], head="sentiment", top_k=1)
    assert mood.results[0].labels[0].label == "positive"
    ranked = call(channel, "RerankService", "Rerank", query="red car", documents=["a blue boat", "the red car"])
    assert ranked.ranking[0].index == 1


def test_what_no_model_does_is_said(channel: grpc.Channel) -> None:
    """The mesh of this test keeps no documents."""
    with pytest.raises(grpc.RpcError) as failed:
        call(channel, "RetrieveService", "QueryDocuments")
    assert failed.value.code() == grpc.StatusCode.FAILED_PRECONDITION


@pytest.mark.parametrize("name", ["", "waypost.v1.EmbedService", "models/minilm", "models/hash"])
def test_health_is_watched_per_service_and_model(channel: grpc.Channel, name: str) -> None:
    """The first message of Watch comes at once."""
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=name), timeout=20)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()
