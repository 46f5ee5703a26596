"""The gateway does what its own OpenAPI document says, for 2,000 requests that nobody thought of.

Schemathesis makes them from the document: some fit it, some do not.  None may be answered by a 5xx, or by a status, a
content type or a body that the document does not have, and what does not fit must be refused.  It is not asked whether
everything that fits is taken: a schema cannot say which models there are, or that `stream_options` goes with `stream`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from schemathesis import GenerationMode, checks

from tests.gateway import Up

POSTS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/rerank",
    "/v1/classify",
    "/models/infer",
    "/api/intelligent-route",
    "/api/instances/drain",
    "/api/models/pin",
    "/api/models/load",
    "/api/models/unload",
    "/api/weights",
    "/api/rollouts",
    "/api/log-level",
)
GETS = (
    "/v1/models",
    "/v1/models/{model}",
    "/api/routing-metrics",
    "/api/capacity-status",
    "/api/decisions",
    "/metrics",
    "/healthz",
    "/readyz",
)
ENDLESS = ("/api/live",)
"""Not tried here: its answer has no end; see `test_http_live`."""
CONTROLS = 40
POSTED, PLAIN = {"/v1/chat/completions": 70, "/models/infer": 90}, 10
"""Requests per path, so many that fit the document and as many that do not: fewer where they take long to be made, and
GETs, which have little to be made of."""
USUAL = 162
PATIENT = {"X-Waypost-Timeout-S": "30"}
"""Whoever gives a request a microsecond gets a 504, as it should be."""
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]


def requests_of(path: str) -> int:
    """How many requests a path gets."""
    steers = path.startswith("/api/") and path != "/api/intelligent-route"
    return CONTROLS if steers else POSTED.get(path, USUAL)


def test_so_many_requests_are_made() -> None:
    """By the tests below."""
    assert sum(2 * requests_of(path) for path in POSTS) + len(GETS) * PLAIN >= 2000


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A mesh of vectors and templates, with a gateway."""
    with Up(tmp_path_factory.mktemp("m")) as mesh:
        yield mesh.ready["http"]


@pytest.fixture(scope="module")
def document(url: str) -> Any:
    """What the gateway says of itself."""
    return schemathesis.openapi.from_url(f"{url}/openapi.json")


@pytest.fixture(scope="module")
def line() -> Iterator[requests.Session]:
    """A connection that is kept."""
    with requests.Session() as session:
        yield session


def test_the_document_has_every_path(document: Any) -> None:
    """So that none is left out below."""
    found = {(each.method.upper(), each.path) for result in document.get_all_operations() for each in [result.ok()]}
    assert found == {("POST", path) for path in POSTS} | {("GET", path) for path in GETS + ENDLESS}


@pytest.mark.parametrize("path", POSTS)
def test_what_fits_the_document_is_answered_by_it(document: Any, line: requests.Session, path: str) -> None:
    """Or refused by it."""
    tried(document[path]["POST"], GenerationMode.POSITIVE, line, CHECKS, requests_of(path))


@pytest.mark.parametrize("path", POSTS)
def test_what_does_not_fit_the_document_is_refused(document: Any, line: requests.Session, path: str) -> None:
    """By a 4xx of its own."""
    wanted = [*CHECKS, checks.negative_data_rejection]
    tried(document[path]["POST"], GenerationMode.NEGATIVE, line, wanted, requests_of(path))


@pytest.mark.parametrize("path", GETS)
def test_what_is_only_asked_for(document: Any, line: requests.Session, path: str) -> None:
    """Is answered by the document, too."""
    tried(document[path]["GET"], GenerationMode.POSITIVE, line, CHECKS, PLAIN)


def tried(operation: Any, mode: GenerationMode, line: requests.Session, wanted: Any, cases: int) -> None:
    """Sends so many requests, the same every time."""
    sent = 0

    @settings(
        max_examples=cases,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode, headers=PATIENT))
    def one(case: Any) -> None:
        nonlocal sent
        case.call_and_validate(session=line, checks=wanted)
        sent += 1

    one()
    assert sent >= cases
