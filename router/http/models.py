"""GET /v1/models and /v1/models/{model}."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from router.http.exchange import Exchange
from router.http.failure import Failure
from waypost import _replies, results
from waypost.v1 import mesh_pb2


class ModelCard(TypedDict):
    """A model, and what Waypost knows of it."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    waypost: results.ModelInfo


class ModelsReply(TypedDict):
    """All models that can be asked for by name."""

    object: Literal["list"]
    data: list[ModelCard]


async def models(exchange: Exchange, ask: None) -> ModelsReply:
    """The models there are."""
    return {"object": "list", "data": [_card(each) for each in await known(exchange)]}


async def model(exchange: Exchange, ask: None) -> ModelCard:
    """One model."""
    name = exchange.scope["path_params"]["model"]
    for each in await known(exchange):
        if each.name == name:
            return _card(each)
    raise Failure(404, f"no instance has a model {name!r}", "model_not_found", "model")


async def known(exchange: Exchange) -> tuple[results.ModelInfo, ...]:
    """What the router lists."""
    return _replies.models(await exchange.call(exchange.upstream.models, mesh_pb2.ListModelsRequest()))


def _card(of: results.ModelInfo) -> ModelCard:
    return {"id": of.name, "object": "model", "created": 0, "owned_by": "waypost", "waypost": of}
