"""proto/inference has the names, numbers and types of Triton's own protos, and router's reflection shows it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_tools import protoc
from tritonclient.grpc import model_config_pb2, service_pb2

from tests.plane import Plane

ROOT = Path(__file__).parents[1] / "proto"
SERVICE = "inference.GRPCInferenceService"


def copied(module: Any) -> FileDescriptorProto:
    copy = FileDescriptorProto()
    module.DESCRIPTOR.CopyToProto(copy)
    return copy


def messages(all_of: Any, prefix: str = "") -> Iterator[tuple[str, DescriptorProto]]:
    for message in all_of:
        yield prefix + message.name, message
        yield from messages(message.nested_type, f"{prefix}{message.name}.")


def fields(message: DescriptorProto) -> dict[str, tuple[Any, ...]]:
    return {each.name: (each.number, each.label, each.type, each.type_name) for each in message.field}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> FileDescriptorProto:
    """Compiled without code, which would clash with Triton's in this process."""
    out = tmp_path_factory.mktemp("proto") / "inference.bin"
    roots = [f"-I{ROOT}", f"-I{files('grpc_tools') / '_proto'}"]
    assert protoc.main(["protoc", *roots, f"--descriptor_set_out={out}", "inference/grpc_service.proto"]) == 0
    return FileDescriptorSet.FromString(out.read_bytes()).file[0]


def test_every_message_is_part_of_triton_s(ours: FileDescriptorProto) -> None:
    """No field more, and each with its number and type."""
    theirs = dict(messages([*copied(service_pb2).message_type, *copied(model_config_pb2).message_type]))
    for name, message in messages(ours.message_type):
        assert fields(message).items() <= fields(theirs[name]).items(), name


def test_every_call_is_triton_s(ours: FileDescriptorProto) -> None:
    """And none is missing."""
    assert ours.service[0] == copied(service_pb2).service[0]


def test_only_the_router_shows_it_by_reflection(plane: Plane) -> None:
    """A worker does not serve it."""
    worker = plane.worker(plane.hash_model())
    router = plane.router(worker)
    shown = [SERVICE in ProtoReflectionDescriptorDatabase(node.channel).get_services() for node in (router, worker)]
    assert shown == [True, False]
