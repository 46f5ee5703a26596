"""The gateway's application: the table of its endpoints, and what all of them go through.

uvicorn → CORS, where it is configured → Starlette's routes → `Door` → a handler → the router
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from router.http import (
    chat_ask,
    classify,
    completions,
    controls,
    embeddings,
    infer,
    live,
    mesh,
    models,
    openapi,
    rerank,
    static,
)
from router.http.chat import ChatChunk, ChatReply, chat
from router.http.endpoint import Door, Endpoint, Gate, Limits
from router.http.exchange import Exchange
from router.http.failure import Failure
from router.http.health import Health, healthz, readyz
from router.http.hosts import Hosts
from router.http.metrics import Meter
from router.http.reply import Reply, json
from router.http.scrape import scraped
from router.http.upstream import Upstream
from waypost import control, observed, results
from waypost.config import Http, Telemetry

if TYPE_CHECKING:
    from router.http.trace import Spans


def endpoints(meter: Meter, audience: live.Audience) -> tuple[Endpoint, ...]:
    """Everything there is."""
    return (
        *_openai(),
        *_mesh(),
        *_controls(),
        Endpoint("GET", "/api/live", live.live(audience), bytes, event=live.LiveEvent, limited=False),
        Endpoint("GET", "/metrics", scraped(meter), bytes, limited=False),
        Endpoint("GET", "/healthz", healthz, Health, limited=False),
        Endpoint("GET", "/readyz", readyz, Health, limited=False),
    )


def _openai() -> tuple[Endpoint, ...]:
    return (
        Endpoint("POST", "/v1/chat/completions", chat, ChatReply, chat_ask.ChatRequest, ChatChunk, chat_ask.NAMES),
        Endpoint(
            "POST",
            "/v1/completions",
            completions.completions,
            completions.CompletionReply,
            completions.CompletionRequest,
            completions.CompletionReply,
            completions.NAMES,
        ),
        Endpoint(
            "POST",
            "/v1/embeddings",
            embeddings.embeddings,
            embeddings.EmbeddingsReply,
            embeddings.EmbeddingsRequest,
            names=embeddings.NAMES,
        ),
        Endpoint("POST", "/v1/rerank", rerank.rerank, rerank.RerankReply, rerank.RerankRequest, names=rerank.NAMES),
        Endpoint(
            "POST",
            "/v1/classify",
            classify.classify,
            classify.ClassifyReply,
            classify.ClassifyRequest,
            names=classify.NAMES,
        ),
        Endpoint("GET", "/v1/models", models.models, models.ModelsReply),
        Endpoint("GET", "/v1/models/{model}", models.model, models.ModelCard),
    )


def _mesh() -> tuple[Endpoint, ...]:
    return (
        Endpoint("POST", "/models/infer", infer.infer, infer.InferReply, infer.InferRequest, names=infer.NAMES),
        Endpoint(
            "POST",
            "/api/intelligent-route",
            mesh.intelligent_route,
            control.Explanation,
            mesh.RouteRequest,
            names=mesh.NAMES,
        ),
        Endpoint("GET", "/api/routing-metrics", mesh.routing_metrics, mesh.RoutingMetrics),
        Endpoint("GET", "/api/capacity-status", mesh.capacity_status, mesh.Capacity),
        Endpoint("GET", "/api/decisions", live.decisions, live.Decisions, query=live.DecisionsQuery),
    )


def _controls() -> tuple[Endpoint, ...]:
    rows: tuple[tuple[str, Any, Any, Any], ...] = (
        ("instances/drain", controls.drain, results.InstanceStatus, controls.DrainRequest),
        ("models/pin", controls.pin, results.ModelInfo, controls.PinRequest),
        ("models/load", controls.load, results.ModelInfo, controls.ModelRequest),
        ("models/unload", controls.unload, results.ModelInfo, controls.ModelRequest),
        ("weights", controls.weights, observed.ScoreWeights, controls.WeightsRequest),
        ("rollouts", controls.rollout, control.Rollout, controls.RolloutRequest),
        ("log-level", controls.log_level, controls.LogLevelReply, controls.LogLevelRequest),
    )
    return tuple(
        Endpoint("POST", f"/api/{path}", handler, replies, asks, names=controls.NAMES)
        for path, handler, replies, asks in rows
    )


def _pages() -> tuple[Endpoint, ...]:
    found = static.files()
    return (
        Endpoint("GET", "/", static.index(found), bytes, limited=False),
        Endpoint("GET", "/dashboard/{file:path}", static.asset(found), bytes, limited=False),
    )


def app(config: Http, router: str, telemetry: Telemetry | None = None) -> Starlette:
    """The gateway to the router at that address."""
    telemetry = telemetry or Telemetry()
    meter, spans, upstream = Meter(telemetry.metrics), _spans(telemetry), Upstream(router)
    gate = Gate(config.max_in_flight)
    meter.watch(lambda: gate.inside)
    limits = Limits(config.max_body_bytes, config.default_timeout_s, gate, Hosts(config))
    audience = live.Audience(config.max_live)
    table = endpoints(meter, audience)
    document = json(openapi.document(table))

    async def described(exchange: Exchange, ask: None) -> Reply:
        return document

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await upstream.close()
        if spans:
            await asyncio.to_thread(spans.close)

    doors = [*table, *_pages(), Endpoint("GET", "/openapi.json", described, bytes, limited=False)]
    made = Starlette(
        routes=[Route(each.path, Door(each, upstream, limits, meter, spans), methods=[each.method]) for each in doors],
        middleware=_cors(config),
        exception_handlers={HTTPException: _no_route},
        lifespan=lifespan,
    )
    made.router.redirect_slashes = False
    made.state.ending = audience.ending
    return made


def _spans(telemetry: Telemetry) -> Spans | None:
    if telemetry.otlp is None:
        return None
    from router.http.trace import Spans  # Takes 0.2 s, which only those pay who want it.

    return Spans(telemetry)


def _cors(config: Http) -> list[Middleware]:
    if not config.cors_origins:
        return []
    exposed = ["x-request-id", "retry-after", "x-waypost-served-model", "x-waypost-instance", "x-waypost-reason"]
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(config.cors_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=exposed,
        )
    ]


async def _no_route(request: Request, error: Exception) -> Response:
    """404 and 405, as any other failure is told."""
    assert isinstance(error, HTTPException)
    words = {404: "no such path; GET /openapi.json lists what there is", 405: f"{request.method} is not for this path"}
    code = "method_not_allowed" if error.status_code == 405 else "not_found"
    told = json(Failure(error.status_code, words.get(error.status_code, error.detail), code).body(), error.status_code)
    headers = dict(error.headers or {})
    return Response(told.body, told.status, headers, "application/json")
