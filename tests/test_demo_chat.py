"""What the demo generates, against a mesh whose answers are known."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import waypost
from tests.fake_mesh import FakeMesh, stalling, streaming
from waypost.cli import demo_chat
from waypost.v1 import common_pb2, generate_pb2, mesh_pb2

SERVED = common_pb2.ServedBy(model="smollm2", version="2", instance="writer-0")


@pytest.fixture
def left(mesh: FakeMesh) -> threading.Event:
    """A mesh with one writer that is busy until the caller of its story has gone; set then."""
    gone = threading.Event()
    told = streaming("Light", " scatters.", served=SERVED)
    story = stalling(gone, *["and "] * demo_chat.PIECES)

    def stream(request: Any, context: Any) -> Any:
        asked = request.request.chat.messages[0].content
        return (story if asked == demo_chat.STORY else told)(request, context)

    mesh.answers |= {
        "GenerateStream": stream,
        "Generate": lambda request, context: generate_pb2.GenerateResponse(text='{"count": 3}', served=SERVED),
        "ListModels": lambda request, context: mesh_pb2.ListModelsResponse(
            models=[mesh_pb2.ModelInfo(name="smollm2", tasks=[mesh_pb2.TASK_GENERATE])]
        ),
        "ListInstances": lambda request, context: mesh_pb2.ListInstancesResponse(
            instances=[mesh_pb2.InstanceStatus(instance="writer-0", address=mesh.address, models=["smollm2"])]
        ),
        "DescribeInstance": lambda request, context: mesh_pb2.DescribeInstanceResponse(
            queue_depth=0 if gone.is_set() else 1
        ),
    }
    return gone


def test_the_demo_streams_fills_in_and_stops(
    mesh: FakeMesh, left: threading.Event, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything is heard as it comes; the slot is free afterwards."""
    heard: list[str] = []
    with waypost.Client(mesh.address) as client:
        chat = demo_chat.chat(client, heard.append)
    assert chat
    assert [each.value for each in chat.answers] == ["Light scatters.", {"count": 3}]
    assert (chat.stopped.busy_before, chat.stopped.busy_after) == (1, 0)
    assert chat.stopped.text == "and " * demo_chat.PIECES
    assert "Light" in heard and "  count = 3\n" in "".join(heard)
    demo_chat.show_timings(chat)
    assert "smollm2 on writer-0" in capsys.readouterr().out


def test_a_mesh_that_cannot_generate_is_not_asked_to(mesh: FakeMesh) -> None:
    """A configuration without a writer has a demo too."""
    mesh.answers["ListModels"] = lambda request, context: mesh_pb2.ListModelsResponse()
    with waypost.Client(mesh.address) as client:
        assert demo_chat.chat(client, print) is None
