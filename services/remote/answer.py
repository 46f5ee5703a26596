"""Answers one request: attempts, pieces passed on as they come, the verdict at the end."""

from __future__ import annotations

import time
from contextlib import aclosing

from services.openai_wire.ask import Ask, Endpoint, ask
from services.openai_wire.gather import Gathered
from services.openai_wire.spent import Spent
from services.openai_wire.verdict import calls_of
from services.refusal import ProviderFailed
from services.remote.attempts import attempts
from services.remote.failure import Failure
from services.remote.provider import Provider
from waypost._core import Job
from waypost.config import Model, Remote
from waypost.v1.generate_pb2 import GenerateRequest


async def answer(job: Job, model: Model, remote: Remote, provider: Provider) -> None:
    """Finishes `job`.

    Raises:
        services.refusal.Refused: the request asks for what cannot be had, or the model's answer is not what was asked.
        Failure: the last attempt failed.
    """
    request = GenerateRequest.FromString(job.request)
    asked = ask(request, Endpoint(remote.model, model.generate.max_tokens, remote.schemas))
    gathered = Gathered()
    priced = bool(model.cost_per_1k_tokens_usd or model.cost_per_1k_output_tokens_usd)
    async for attempt in attempts(remote.max_attempts, job.remaining_s, priced=priced):
        with attempt:
            gathered = await _attempt(job, asked, request, provider)
    spent = Spent.on(request, gathered)
    calls = calls_of(gathered, asked)
    job.finish(
        gathered.reason or "stop",
        prompt_tokens=spent.prompt,
        cached_tokens=spent.cached,
        completion_tokens=spent.completion,
        tool_calls=[(call.id, call.name, call.arguments_json) for call in calls],
        cost_usd=spent.cost_usd(model),
    )


async def _attempt(job: Job, asked: Ask, request: GenerateRequest, provider: Provider) -> Gathered:
    gathered = Gathered()
    try:
        await _pass_on(job, asked, provider, gathered)
    except Failure as failure:
        _unless_whole(gathered, failure)
    except ProviderFailed as broken_off:
        _unless_whole(gathered, Failure(broken_off, again=True))
    finally:
        if gathered.begun:
            provider.limits.spend(time.monotonic(), Spent.on(request, gathered).total)
    return gathered


async def _pass_on(job: Job, asked: Ask, provider: Provider, gathered: Gathered) -> None:
    async with aclosing(provider.chunks(asked, job.traceparent)) as chunks:
        async for chunk in chunks:
            if piece := gathered.add(chunk):
                job.push(piece)
    if gathered.reason is None:
        raise ProviderFailed("it ended its answer without saying why")


def _unless_whole(gathered: Gathered, failure: Failure) -> None:
    """What fails after the answer has ended takes at most the usage with it."""
    if gathered.reason is None:
        raise failure.final() if gathered.pieces else failure from None
