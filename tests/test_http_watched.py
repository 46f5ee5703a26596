"""A whole mesh seen through its gateway: figures, live events and controls are the router's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate, chain
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

from tests.gateway import PATIENCE_S, Up

CALLS = 7


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A mesh that has answered some calls."""
    with Up(tmp_path_factory.mktemp("m")) as mesh:
        for number in range(CALLS):
            body = {"model": "hash", "input": f"text {number}"}
            assert httpx.post(f"{mesh.ready['http']}/v1/embeddings", json=body).is_success
        yield mesh.ready["http"]


@contextmanager
def watching(url: str) -> Iterator[Iterator[dict[str, Any]]]:
    """Its live events."""
    with httpx.stream("GET", f"{url}/api/live", timeout=PATIENCE_S) as reply:
        lines = (line for line in reply.iter_lines() if line)
        yield (json.loads(line.removeprefix("data: ")) for line in lines)


def calls_of(event: dict[str, Any]) -> int:
    """Of the seconds that it tells."""
    return sum(each["calls"] for each in event["history"]["points"])


def test_figures_of_every_process_are_in_one_scrape(url: str) -> None:
    """As OpenMetrics' own parser reads them, which takes no name twice."""
    text = httpx.get(f"{url}/metrics", headers={"accept": "application/openmetrics-text;version=1.0.0"}).text
    samples = [each for family in openmetrics(text) for each in family.samples]
    calls = [each for each in samples if each.name == "waypost_calls_total" and each.labels["model"] == "hash"]
    assert [(each.labels["code"], each.value) for each in calls] == [("OK", CALLS)]
    memory = {each.labels["instance"] for each in samples if each.name == "waypost_memory_bytes"}
    assert memory == {"router", "local-0"}


def test_live_events_have_the_calls(url: str) -> None:
    """In the decisions at once, in the history when their second is over: its points add up over the events."""
    with watching(url) as events:
        first = next(events)
        told = accumulate(calls_of(each) for each in chain([first], events))
        assert next(calls for calls in told if calls >= CALLS) == CALLS
    assert [each["line"]["model"] for each in first["decisions"]] == ["hash"] * CALLS
    assert first["status"]["role"] == "admin"


def test_what_operators_change_is_seen_by_all_who_look(url: str) -> None:
    """In the next event, by the words of the control."""
    with watching(url) as events:
        assert next(events)["instances"][0]["drained"] is False
        told = httpx.post(f"{url}/api/instances/drain", json={"instance": "local-0"}).json()
        seen = next(each for each in events if each["instances"][0]["drained"])
        assert seen["instances"][0]["state"] == told["state"]
        httpx.post(f"{url}/api/instances/drain", json={"instance": "local-0", "drained": False})
        assert next(each for each in events if not each["instances"][0]["drained"])


def test_a_control_of_what_is_not_there_is_refused_in_the_routers_words(url: str) -> None:
    """By OpenAI's shape."""
    reply = httpx.post(f"{url}/api/instances/drain", json={"instance": "nobody"})
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["param"]) == (404, "instance_not_found", "instance")
