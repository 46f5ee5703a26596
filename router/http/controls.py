"""What operators change while a mesh runs: POST /api/instances/drain, /api/models/{pin,load,unload}, /api/weights,
/api/rollouts, /api/log-level.

The router judges whether the caller may, and writes down that it was done.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from router.http.exchange import Exchange
from router.http.shape import Ask
from waypost import _control, _observed, _replies, control, observed, results

Name = Annotated[str, Field(min_length=1, max_length=256)]
Weight = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Step = Annotated[float, Field(gt=0, le=1)]
UINT32 = 2**32 - 1
NAMES = {"rollout": "", "weights": ""}


class DrainRequest(Ask):
    """Takes an instance out of the router's choice, or back into it; calls under way end."""

    instance: Name
    drained: bool = True


class PinRequest(Ask):
    """Keeps a model from being unloaded, or no longer."""

    model: Name
    pinned: bool = True


class ModelRequest(Ask):
    """A model by name."""

    model: Name


class WeightsRequest(Ask):
    """How much each term of the score counts; 0: not at all."""

    latency: Weight
    queue: Weight
    fit: Weight
    health: Weight
    feedback: Weight


class RolloutRequest(Ask):
    """The replacement of the model `stable` by `canary` under a name: started, changed or ended."""

    name: Name
    stable: Name
    canary: Name
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=64)] = (0.1, 0.3, 0.8)
    """Shares of the calls that the canary gets, one after the other."""
    step: Annotated[int, Field(ge=0, le=UINT32)] = 0
    shadow_share: Share = 0.0
    step_limit: Annotated[float, Field(gt=0, le=1e9)] = 1800.0
    """Seconds at one step, at most."""
    state: Literal["running", "promoted", "rolled_back", "inconclusive"] = "running"
    reason: Annotated[str, Field(max_length=1024)] = ""
    revision: Annotated[int, Field(ge=0, le=UINT32)] = 0
    """The one that is changed; 0: there is none of that name yet."""


class LogLevelRequest(Ask):
    """What processes write to their logs."""

    level: Literal["debug", "info", "warning", "error"]
    instance: Annotated[str, Field(max_length=256)] = ""
    """Only this one; empty: all of the mesh."""


class LogLevelReply(TypedDict):
    """Who has it now."""

    instances: tuple[str, ...]


async def drain(exchange: Exchange, ask: DrainRequest) -> results.InstanceStatus:
    """Takes an instance out of the router's choice, or back into it."""
    request = _observed.drain_instance(ask.instance, ask.drained)
    return _observed.drained_instance(await exchange.call(exchange.upstream.drain_instance, request))


async def pin(exchange: Exchange, ask: PinRequest) -> results.ModelInfo:
    """Keeps a model from being unloaded, or no longer."""
    request = _observed.pin_model(ask.model, ask.pinned)
    return _observed.pinned_model(await exchange.call(exchange.upstream.pin_model, request))


async def load(exchange: Exchange, ask: ModelRequest) -> results.ModelInfo:
    """Takes a model back into the router's service."""
    request = _control.load_model(ask.model)
    return _replies.changed_model(await exchange.call(exchange.upstream.load_model, request))


async def unload(exchange: Exchange, ask: ModelRequest) -> results.ModelInfo:
    """Takes a model out of the router's service."""
    request = _control.unload_model(ask.model)
    return _replies.changed_model(await exchange.call(exchange.upstream.unload_model, request))


async def weights(exchange: Exchange, ask: WeightsRequest) -> observed.ScoreWeights:
    """Changes how the router weighs the terms of the score, until it ends."""
    request = _observed.set_weights(observed.ScoreWeights(**ask.model_dump()))
    return _observed.new_weights(await exchange.call(exchange.upstream.set_weights, request))


async def rollout(exchange: Exchange, ask: RolloutRequest) -> control.Rollout:
    """Starts, changes or ends the replacement of a model."""
    request = _control.set_rollout(control.Rollout(**ask.model_dump()))
    return _control.changed_rollout(await exchange.call(exchange.upstream.set_rollout, request))


async def log_level(exchange: Exchange, ask: LogLevelRequest) -> LogLevelReply:
    """Changes what processes write to their logs, until they end."""
    request = _observed.set_log_level(ask.level, ask.instance)
    return {"instances": _observed.told(await exchange.call(exchange.upstream.set_log_level, request))}
