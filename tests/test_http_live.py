"""GET /api/live and /api/decisions against a fake mesh."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from router.http import live
from tests.fake_mesh import FakeMesh, failing
from tests.gateway import PATIENCE_S, Gateway
from tests.plane import eventually
from waypost.v1 import common_pb2, mesh_pb2

STARTED = 1_700_000_000


@dataclass
class Router:
    """A router of which each poll finds one second and one decision more."""

    started: int = STARTED
    polls: int = 0
    asked: list[Any] = field(default_factory=list)

    def answers(self) -> dict[str, Any]:
        """As a fake mesh has them."""
        return {
            "GetStatus": self.status,
            "ListInstances": lambda *_: mesh_pb2.ListInstancesResponse(
                instances=[
                    mesh_pb2.InstanceStatus(
                        instance="w-0", latency_p95=Duration(nanos=5_000_000), breaker=mesh_pb2.BREAKER_STATE_OPEN
                    )
                ]
            ),
            "ListModels": lambda *_: mesh_pb2.ListModelsResponse(models=[mesh_pb2.ModelInfo(name="m", pinned=True)]),
            "GetBudget": lambda *_: mesh_pb2.GetBudgetResponse(month="2026-11", spent_usd=1.5),
            "ListRollouts": lambda *_: mesh_pb2.ListRolloutsResponse(),
            "GetHistory": self.history,
            "ListDecisions": self.decisions,
        }

    def status(self, request: object, context: object) -> mesh_pb2.GetStatusResponse:
        """Began when it is said to."""
        self.polls += 1
        tiers = [mesh_pb2.TierStatus(tier=common_pb2.TIER_HIGH, target=0.5)]
        return mesh_pb2.GetStatusResponse(instance="router", started=Timestamp(seconds=self.started), tiers=tiers)

    def history(self, request: mesh_pb2.GetHistoryRequest, context: object) -> mesh_pb2.GetHistoryResponse:
        """What is later than asked."""
        self.asked.append(request)
        times = (Timestamp(seconds=STARTED + second) for second in range(1, self.polls + 1))
        points = [mesh_pb2.HistoryPoint(time=at, calls=2, latencies=[1, 1]) for at in times]
        return mesh_pb2.GetHistoryResponse(
            bounds=[0.01], points=[each for each in points if each.time.seconds > request.after.seconds]
        )

    def decisions(self, request: mesh_pb2.ListDecisionsRequest, context: object) -> mesh_pb2.ListDecisionsResponse:
        """What is later than asked."""
        self.asked.append(request)
        all_of = (mesh_pb2.Decision(number=n, json=json.dumps({"n": n})) for n in range(1, self.polls + 1))
        return mesh_pb2.ListDecisionsResponse(decisions=[each for each in all_of if each.number > request.after])


@pytest.fixture
def router(mesh: FakeMesh, monkeypatch: pytest.MonkeyPatch) -> Router:
    """The mesh is such a router; the gateway asks it as often as it can."""
    made = Router()
    mesh.answers |= made.answers()
    monkeypatch.setattr(live, "PERIOD_S", 0.02)
    return made


@contextmanager
def watching(gateway: Gateway, **headers: str) -> Iterator[Iterator[dict[str, Any]]]:
    """The events of a stream."""
    with gateway.client.stream("GET", "/api/live", headers=headers) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream"), reply.read()
        yield (json.loads(line.removeprefix("data: ")) for line in reply.iter_lines() if line not in ("", DONE))


DONE = "data: [DONE]"


def test_the_first_event_has_everything(router: Router, gateway: Gateway) -> None:
    """By the names that the Python client has for it; moments as ISO has them, durations in seconds."""
    with watching(gateway) as events:
        first = next(events)
    assert list(first) == ["status", "instances", "models", "budget", "rollouts", "history", "decisions"]
    assert first["status"]["started"] == "2023-11-14T22:13:20+00:00"
    assert first["status"]["tiers"] == [{"tier": "high", "target": 0.5, "achieved": 0.0}]
    assert (first["instances"][0]["latency_p95"], first["instances"][0]["breaker"]) == (0.005, "open")
    assert first["models"][0]["pinned"]
    assert (first["budget"]["spent_usd"], first["budget"]["cap_usd"]) == (1.5, None)
    assert first["history"]["bounds"] == [0.01]
    assert first["history"]["points"][0] | {"time": 0} == {
        "time": 0,
        "calls": 2,
        "errors": 0,
        "latencies": [1, 1],
        "completion_tokens": 0,
        "prompt_tokens": 0,
        "cost_usd": 0.0,
        "cache_hits": 0,
        "in_flight": 0,
        "instances": [],
    }
    assert first["decisions"] == [{"number": 1, "line": {"n": 1}}]


def test_later_events_have_what_is_new(router: Router, gateway: Gateway) -> None:
    """Of the history and the decisions; the rest as it is now."""
    with watching(gateway) as events:
        found = [next(events) for _ in range(3)]
    assert [each["decisions"] for each in found] == [[{"number": n, "line": {"n": n}}] for n in (1, 2, 3)]
    assert [len(each["history"]["points"]) for each in found] == [1, 1, 1]
    assert not any("reset" in each for each in found)


def test_a_lost_router_is_told_and_found_again(mesh: FakeMesh, router: Router, gateway: Gateway) -> None:
    """With its whole history then."""
    with watching(gateway) as events:
        next(events)
        mesh.answers["GetStatus"] = failing(grpc.StatusCode.UNAVAILABLE, "away")
        lost = next(each for each in events if "error" in each)
        assert lost == {"error": "the router does not answer: away"}
        mesh.answers["GetStatus"] = router.status
        back = next(each for each in events if "error" not in each)
    assert back["reset"] is True
    assert [each["number"] for each in back["decisions"]] == list(range(1, router.polls + 1))[: len(back["decisions"])]
    assert back["decisions"][0]["number"] == 1


def test_a_router_that_began_anew_is_noticed(router: Router, gateway: Gateway) -> None:
    """Its numbers are others, though it was never seen to be away."""
    with watching(gateway) as events:
        next(events)
        router.started += 1
        anew = next(each for each in events if "reset" in each)
    assert anew["decisions"][0]["number"] == 1


def test_a_stream_may_begin_without_a_router(mesh: FakeMesh, router: Router, gateway: Gateway) -> None:
    """It says so, and all comes when the router does."""
    mesh.answers["GetStatus"] = failing(grpc.StatusCode.UNAVAILABLE, "away")
    with watching(gateway) as events:
        assert "error" in next(events)
        mesh.answers["GetStatus"] = router.status
        assert next(each for each in events if "error" not in each)["decisions"][0]["number"] == 1


@pytest.mark.parametrize(
    ("code", "status"), [(grpc.StatusCode.UNAUTHENTICATED, 401), (grpc.StatusCode.PERMISSION_DENIED, 403)]
)
def test_who_may_not_look_is_told_by_the_status(
    mesh: FakeMesh, router: Router, gateway: Gateway, code: grpc.StatusCode, status: int
) -> None:
    """As the router judges the key that came along."""
    mesh.answers["GetStatus"] = failing(code, "no")
    reply = gateway.get("/api/live", authorization="Bearer wp_x")
    assert (reply.status_code, reply.json()["error"]["message"]) == (status, "no")


def test_a_token_that_is_revoked_ends_its_stream(mesh: FakeMesh, router: Router, gateway: Gateway) -> None:
    """The last event is the error."""
    with watching(gateway) as events:
        next(events)
        mesh.answers["GetStatus"] = failing(grpc.StatusCode.UNAUTHENTICATED, "revoked")
        *_, last = events
    assert last["error"]["code"] == "invalid_api_key"


def test_so_many_look_at_once(mesh: FakeMesh, router: Router) -> None:
    """One more is refused, until somebody leaves."""
    with Gateway(mesh.address, max_live=1) as gateway:
        with watching(gateway) as events:
            next(events)
            refused = gateway.get("/api/live")
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "gateway_full")
        eventually(lambda: opens(gateway))


def opens(gateway: Gateway) -> bool:
    """Whether a stream is let in."""
    with gateway.client.stream("GET", "/api/live") as reply:
        return reply.status_code == 200


def test_a_client_that_leaves_ends_its_stream(
    mesh: FakeMesh, router: Router, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, long before the next event."""
    monkeypatch.setattr(live, "PERIOD_S", 3600.0)
    with watching(gateway) as events:
        next(events)
    counted = 'waypost_http_requests_total{path="/api/live",status="499"} 1.0'
    eventually(lambda: counted in gateway.get("/metrics").text)
    assert router.polls == 1


def test_a_gateway_that_ends_ends_its_streams(mesh: FakeMesh, router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not wait for those who only look on."""
    monkeypatch.setattr(live, "PERIOD_S", 3600.0)
    with Gateway(mesh.address, drain_s=3600.0) as gateway:
        reply = httpx.Client(base_url=gateway.url, timeout=PATIENCE_S)
        stream = reply.stream("GET", "/api/live")
        lines = stream.__enter__().iter_lines()
        next(lines)
        ended = threading.Thread(target=gateway.stop)
        ended.start()
        *_, last, _ = lines
        ended.join(PATIENCE_S)
        stream.__exit__(None, None, None)
        reply.close()
    assert last == DONE


def test_who_does_not_read_is_cut(mesh: FakeMesh, router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    """And until then not asked for: what waits to be read is bounded."""
    large = mesh_pb2.ListModelsResponse(models=[mesh_pb2.ModelInfo(name="m", tags=["x" * 1_000_000])])
    mesh.answers["ListModels"] = lambda *_: large
    monkeypatch.setattr(live, "STALLED_S", 0.2)
    with Gateway(mesh.address, max_live=1) as gateway:
        host, port = gateway.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), PATIENCE_S) as line:
            line.sendall(f"GET /api/live HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            eventually(lambda: router.polls > 1)
            eventually(lambda: opens(gateway))


def test_decisions_are_asked_for(mesh: FakeMesh, router: Router, gateway: Gateway) -> None:
    """So many, or those of one request."""
    router.polls = 2
    assert gateway.get("/api/decisions").json() == {
        "decisions": [{"number": 1, "line": {"n": 1}}, {"number": 2, "line": {"n": 2}}]
    }
    gateway.get("/api/decisions?limit=7&after=1&request_id=r-1")
    assert router.asked[-1] == mesh_pb2.ListDecisionsRequest(limit=7, after=1, request_id="r-1")
    gateway.get(f"/api/decisions?after={2**40}")
    assert router.asked[-1].after == 2**40


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        ("limit=0", "invalid_value", "limit"),
        ("limit=many", "invalid_value", "limit"),
        ("limt=1", "unknown_parameter", "limt"),
    ],
)
def test_a_wrong_query_is_named(gateway: Gateway, query: str, code: str, param: str) -> None:
    """As a wrong body is."""
    reply = gateway.get(f"/api/decisions?{query}")
    assert reply.status_code == 400
    assert (reply.json()["error"]["code"], reply.json()["error"]["param"]) == (code, param)
