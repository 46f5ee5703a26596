"""The gateway described: an OpenAPI 3.1 document made from the table of its endpoints and the types they read and send.

FastAPI would make one as well, for 80 µs a request; the table knows as much.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter

import waypost
from router.http.endpoint import Endpoint
from router.http.exchange import MAX_TIMEOUT_S
from router.http.failure import ErrorReply
from router.http.hints import HEADERS, Hints
from router.http.shape import Query

Doc = dict[str, Any]

REF = "#/components/schemas/{model}"
FAILURES = {
    "400": "The request cannot succeed as it is.",
    "401": "No key, or one that nobody has.",
    "403": "The key does not allow this, or the guard blocks the text.",
    "404": "No such model, head or adapter.",
    "409": "Somebody else changed it meanwhile.",
    "413": "The body, or a text in it, is too large.",
    "415": "The body is not JSON.",
    "421": "The host is none that this gateway answers for.",
    "429": "Too many requests, or no money left; Retry-After says when to come back, where that helps.",
    "500": "The model or the gateway failed.",
    "501": "This mesh does not answer such requests.",
    "503": "Nothing can serve this now; Retry-After says when to come back.",
    "504": "The deadline passed.",
}
OWN_HEADERS: dict[str, tuple[str, Doc]] = {
    "X-Request-Id": (
        "Name of the request in logs and feedback: up to 64 visible letters; else one is made.",
        {"type": "string"},
    ),
    "X-Waypost-Timeout-S": (
        "Seconds until the request is given up.",
        {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_TIMEOUT_S},
    ),
}


def document(table: Iterable[Endpoint]) -> Doc:
    """The document for these endpoints."""
    rows = list(table)
    schemas, components = _schemas(rows)
    paths: Doc = {}
    for each in rows:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Waypost", "version": waypost.__version__, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": components,
            "parameters": _parameters(),
            "responses": {status: _failure(text, schemas) for status, text in FAILURES.items()},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }


def _schemas(rows: list[Endpoint]) -> tuple[dict[Any, Doc], Doc]:
    """The schema of each type, and what they refer to."""
    asked = {(each.asks, "validation") for each in rows if each.asks}
    sent = {
        (kind, "serialization") for each in rows for kind in (each.replies, each.event) if kind not in (None, bytes)
    }
    kinds = sorted(asked | sent | {(ErrorReply, "serialization")}, key=lambda each: str(each[0]))
    inputs: Any = [(kind, mode, TypeAdapter(kind)) for kind, mode in kinds]
    found, shared = TypeAdapter.json_schemas(inputs, ref_template=REF)
    return {kind: schema for (kind, _), schema in found.items()}, shared.get("$defs", {})


def _operation(of: Endpoint, schemas: dict[Any, Doc]) -> Doc:
    made: Doc = {
        "operationId": re.sub(r"\W+", "_", f"{of.method.lower()}{of.path}").strip("_"),
        "summary": (of.handler.__doc__ or "").strip().splitlines()[0] if of.handler.__doc__ else of.path,
        "responses": {"200": _answer(of, schemas)}
        | {status: {"$ref": f"#/components/responses/{status}"} for status in FAILURES},
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in _header_names(of)]
        + [_in_path(name) for name in re.findall(r"{(\w+)}", of.path)]
        + (_in_query(of.query) if of.query else []),
    }
    if of.asks:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": schemas[of.asks]}}}
    return made


def _answer(of: Endpoint, schemas: dict[Any, Doc]) -> Doc:
    if of.replies is bytes and not of.event:
        return {"description": "Text.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    content = {} if of.replies is bytes else {"application/json": {"schema": schemas[of.replies]}}
    if of.event:
        content["text/event-stream"] = {"schema": {"type": "string", "contentSchema": schemas[of.event]}}
    return {"description": "The answer.", "content": content}


def _failure(text: str, schemas: dict[Any, Doc]) -> Doc:
    return {"description": text, "content": {"application/json": {"schema": schemas[ErrorReply]}}}


def _header_names(of: Endpoint) -> list[str]:
    """Hints are for what is routed."""
    return [*OWN_HEADERS, *map(_titled, HEADERS)] if "route" in of.names else list(OWN_HEADERS)


def _titled(header: bytes) -> str:
    return header.decode().title()


def _parameters() -> Doc:
    own = {name: _header(name, text, schema) for name, (text, schema) in OWN_HEADERS.items()}
    return own | {_titled(key): _hint(_titled(key), name) for key, name in HEADERS.items()}


def _hint(header: str, name: str) -> Doc:
    """A header as what the hint is in a body; a list is a text with commas."""
    inside = Hints.model_json_schema()["properties"][name]
    schema = next(each for each in inside["anyOf"] if each.get("type") != "null")
    return _header(header, inside["description"], {"type": "string"} if schema["type"] == "array" else schema)


def _header(name: str, text: str, schema: Doc) -> Doc:
    return {"name": name, "in": "header", "required": False, "description": text, "schema": schema}


def _in_query(kind: type[Query]) -> list[Doc]:
    schema = kind.model_json_schema()["properties"]
    return [
        {"name": name, "in": "query", "required": False, "description": each["description"], "schema": each}
        for name, each in schema.items()
    ]


def _in_path(name: str) -> Doc:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
