"""GET /metrics against a fake mesh that answers GetMetrics, read by Prometheus' own parsers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from router.http.scrape import written
from tests.fake_mesh import FakeMesh, failing
from tests.gateway import Gateway
from waypost.v1 import mesh_pb2, metrics_pb2

OPENMETRICS = "application/openmetrics-text;version=1.0.0;q=0.9,text/plain;version=0.0.4;q=0.5"
TRACE = "0af7651916cd43dd8448eb211c80319c"
Series = metrics_pb2.MetricSeries
FAMILIES = [
    metrics_pb2.MetricFamily(
        name="tsa_tokens_generated",
        help="Tokens of answers.",
        type=metrics_pb2.METRIC_TYPE_COUNTER,
        labels=["model", "instance"],
        series=[Series(values=["m", "w-0"], value=7), Series(values=["m", "w-1"], value=5)],
    ),
    metrics_pb2.MetricFamily(
        name="tsa_instance_queue_depth",
        type=metrics_pb2.METRIC_TYPE_GAUGE,
        labels=["instance"],
        series=[Series(values=["w-0"], value=3)],
    ),
    metrics_pb2.MetricFamily(
        name="tsa_generation_latency_seconds",
        type=metrics_pb2.METRIC_TYPE_HISTOGRAM,
        labels=["model"],
        bounds=[0.005, 1],
        series=[
            Series(
                values=["m"],
                value=4.5,
                buckets=[1, 0, 2],
                created=Timestamp(seconds=1_700_000_000),
                exemplars=[
                    metrics_pb2.Exemplar(bucket=2, value=2.5, trace_id=TRACE, time=Timestamp(seconds=1_700_000_001))
                ],
            )
        ],
    ),
    metrics_pb2.MetricFamily(name="of_a_newer_router", series=[Series(value=1)]),
]


@pytest.fixture
def told(mesh: FakeMesh) -> FakeMesh:
    """A mesh that tells the figures above."""
    mesh.answers["GetMetrics"] = lambda request, context: mesh_pb2.GetMetricsResponse(families=FAMILIES)
    return mesh


def read(gateway: Gateway, accept: str = "") -> dict[str, Metric]:
    """What a scrape reads."""
    reply = gateway.get("/metrics", accept=accept)
    parse: Callable[[str], Iterator[Metric]] = plain
    if reply.headers["content-type"].startswith("application/openmetrics-text"):
        parse = openmetrics
    return {each.name: each for each in parse(reply.text)}


def values(of: Metric) -> dict[tuple[str, ...], float]:
    """By name and labels."""
    return {(each.name, *sorted(each.labels.values())): each.value for each in of.samples}


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_a_scrape_has_the_figures_of_the_mesh(gateway: Gateway, accept: str) -> None:
    """Counters, gauges and histograms, whose buckets add up."""
    found = read(gateway, accept)
    assert values(found["tsa_tokens_generated"]) == {
        ("tsa_tokens_generated_total", "m", "w-0"): 7,
        ("tsa_tokens_generated_total", "m", "w-1"): 5,
    }
    assert values(found["tsa_instance_queue_depth"]) == {("tsa_instance_queue_depth", "w-0"): 3}
    latency = "tsa_generation_latency_seconds"
    buckets = {each.labels["le"]: each.value for each in found[latency].samples if each.name.endswith("_bucket")}
    assert buckets == {"0.005": 1, "1.0": 1, "+Inf": 3}
    assert values(found[latency]) | {(f"{latency}_count", "m"): 3, (f"{latency}_sum", "m"): 4.5} == values(
        found[latency]
    )
    assert values(found["waypost_router_up"]) == {("waypost_router_up",): 1}
    assert "of_a_newer_router" not in found


@pytest.mark.usefixtures("told")
def test_openmetrics_has_traces_as_exemplars(gateway: Gateway) -> None:
    """In the bucket of the call that was traced."""
    samples = read(gateway, OPENMETRICS)["tsa_generation_latency_seconds"].samples
    ((le, exemplar),) = [(each.labels["le"], each.exemplar) for each in samples if each.exemplar]
    assert (le, exemplar.labels, exemplar.value) == ("+Inf", {"trace_id": TRACE}, 2.5)
    assert float(exemplar.timestamp) == 1_700_000_001


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_nothing_says_when_it_was_created(gateway: Gateway, accept: str) -> None:
    """That would be one more gauge for every counter."""
    gateway.get("/v1/models")
    assert not [name for name in read(gateway, accept) if name.endswith("_created")]
    assert "_created" not in gateway.get("/metrics", accept=accept).text


@pytest.mark.usefixtures("told")
def test_the_gateway_counts_itself(gateway: Gateway) -> None:
    """A path that is not there makes no label."""
    gateway.get("/v1/models")
    gateway.get("/nowhere")
    found = read(gateway)
    assert values(found["waypost_http_requests"])[("waypost_http_requests_total", "/v1/models", "501")] == 1
    assert values(found["waypost_http_request_seconds"])[("waypost_http_request_seconds_count", "/v1/models")] == 1
    assert "waypost_http_in_flight" in found
    assert "process_cpu_seconds" in found
    assert "nowhere" not in gateway.get("/metrics").text


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.PERMISSION_DENIED])
def test_without_the_router_there_are_the_gateways_own(mesh: FakeMesh, gateway: Gateway, code: grpc.StatusCode) -> None:
    """Away, or with a key that does not do."""
    mesh.answers["GetMetrics"] = failing(code, "no")
    found = read(gateway)
    assert values(found["waypost_router_up"]) == {("waypost_router_up",): 0}
    assert "waypost_http_in_flight" in found


def test_a_router_that_hangs_does_not_make_the_scrape_fail(mesh: FakeMesh, gateway: Gateway) -> None:
    """It gets half of the time that Prometheus says it waits."""
    end = threading.Event()

    def hangs(request: object, context: grpc.ServicerContext) -> mesh_pb2.GetMetricsResponse:
        context.add_callback(end.set)
        end.wait()
        return mesh_pb2.GetMetricsResponse()

    mesh.answers["GetMetrics"] = hangs
    reply = gateway.get("/metrics", x_prometheus_scrape_timeout_seconds="0.2")
    assert "waypost_router_up 0.0" in reply.text


def test_the_scrapes_token_goes_to_the_router(mesh: FakeMesh, gateway: Gateway) -> None:
    """Who may see the figures is its to say."""
    seen = []

    def told(request: object, context: grpc.ServicerContext) -> mesh_pb2.GetMetricsResponse:
        seen.append(dict(context.invocation_metadata())["authorization"])
        return mesh_pb2.GetMetricsResponse()

    mesh.answers["GetMetrics"] = told
    gateway.get("/metrics", authorization="Bearer wp_secret")
    assert seen == ["Bearer wp_secret"]


@given(
    labels=st.dictionaries(st.sampled_from(["model", "instance", "reason"]), st.text(max_size=20)),
    buckets=st.lists(st.integers(0, 2**40), min_size=3, max_size=3),
)
def test_any_label_value_comes_through(labels: dict[str, str], buckets: list[int]) -> None:
    """Quotes, line breaks and backslashes of models' names among them."""
    family = metrics_pb2.MetricFamily(
        name="x_seconds",
        type=metrics_pb2.METRIC_TYPE_HISTOGRAM,
        labels=labels,
        bounds=[1, 2],
        series=[Series(values=labels.values(), value=1, buckets=buckets)],
    )
    told = mesh_pb2.GetMetricsResponse(families=[family]).SerializeToString()
    for accept, parse in (("", plain), (OPENMETRICS, openmetrics)):
        text = written(CollectorRegistry(), told, accept).body.decode()
        found = {each.name: each for each in parse(text)}["x_seconds"].samples
        assert [each.labels for each in found if each.name == "x_seconds_sum"] == [labels]
        assert [each.value for each in found if each.name == "x_seconds_count"] == [sum(buckets)]
