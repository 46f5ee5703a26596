"""The client for asyncio: `AsyncClient`.  `waypost.client.Client` is the same for threads.

    async with waypost.AsyncClient("127.0.0.1:50051") as client:
        vectors = (await client.embed(["hello"])).vectors

A client belongs to the event loop it was made in.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self, Unpack

import grpc
import grpc.aio

from waypost import _calls
from waypost._async import AsyncGuarded, Batches
from waypost._base import ADDRESS, TIMEOUT_S
from waypost._control import ExplainOptions
from waypost._documents.aio import AsyncDocumentCalls
from waypost._generate import CountPromptOptions, GenerateOptions, Messages
from waypost._requests import ClassifyOptions, CountOptions, EmbedOptions, RerankOptions, embed_stream
from waypost._streams import AsyncStream
from waypost.control import Budget, Explanation, NewToken, Rollout, RolloutStatus, Token
from waypost.observed import Decision, History, MetricFamily, RouterStatus, ScoreWeights
from waypost.results import (
    Classifications,
    Embeddings,
    Generation,
    GenerationChunk,
    InstanceInfo,
    InstanceStatus,
    ModelInfo,
    PromptTokens,
    Ranking,
    TokenCounts,
)
from waypost.tls import Tls, credentials


class AsyncClient(AsyncDocumentCalls):
    """Calls a router or a single worker; arguments as those of `waypost.Client`."""

    def __init__(
        self,
        address: str = ADDRESS,
        *,
        timeout: float = TIMEOUT_S,
        key: str | None = None,
        tls: Tls | bool | None = None,
        options: Sequence[tuple[str, Any]] = (),
    ) -> None:
        secure, options = credentials(address, tls), [*_calls.channel_options(address), *options]
        channel = (
            grpc.aio.secure_channel(address, secure, options) if secure else grpc.aio.insecure_channel(address, options)
        )
        super().__init__(address, timeout, key, channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the calls under way and closes the connection."""
        await self._channel.close()

    async def embed(
        self, texts: Sequence[str], *, timeout: float | None = None, **options: Unpack[EmbedOptions]
    ) -> Embeddings:
        """One unit vector per text."""
        return await self._unary(_calls.embed(texts, **options), timeout)

    async def embed_stream(
        self, batches: Batches[Sequence[str]], *, timeout: float | None = None, **options: Unpack[EmbedOptions]
    ) -> AsyncIterator[Embeddings]:
        """One result per batch, in order; the deadline is that of the whole stream."""
        requests = AsyncGuarded(batches, lambda texts: embed_stream(texts, **options))
        stream = self._stream(_calls.EMBED_STREAM, self._channel.stream_stream, aiter(requests), timeout)
        async with stream as results:
            async for result in results:
                yield result
        requests.raise_error()

    async def count_tokens(
        self, texts: Sequence[str], *, timeout: float | None = None, **options: Unpack[CountOptions]
    ) -> TokenCounts:
        """Tokens per text, without running the model."""
        return await self._unary(_calls.count_tokens(texts, **options), timeout)

    async def classify(
        self, texts: Sequence[str], *, timeout: float | None = None, **options: Unpack[ClassifyOptions]
    ) -> Classifications:
        """Labels with calibrated scores, per text."""
        return await self._unary(_calls.classify(texts, **options), timeout)

    async def rerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        timeout: float | None = None,
        **options: Unpack[RerankOptions],
    ) -> Ranking:
        """The documents ordered against the query, best first."""
        return await self._unary(_calls.rerank(query, documents, **options), timeout)

    async def generate(
        self, messages: Messages, *, timeout: float | None = None, **options: Unpack[GenerateOptions]
    ) -> Generation:
        """The whole answer; a `str` is one user message."""
        return await self._unary(_calls.generate(messages, **options), timeout)

    def generate_stream(
        self, messages: Messages, *, timeout: float | None = None, **options: Unpack[GenerateOptions]
    ) -> AsyncStream[GenerationChunk]:
        """The answer token by token; closing the stream, or leaving its `async with`, cancels the call."""
        call = _calls.generate_stream(messages, **options)
        return self._stream(call.rpc, self._channel.unary_stream, call.request, timeout)

    async def count_prompt_tokens(
        self, messages: Messages, *, timeout: float | None = None, **options: Unpack[CountPromptOptions]
    ) -> PromptTokens:
        """Tokens of a prompt as `generate` would read it, without running the model."""
        return await self._unary(_calls.count_prompt_tokens(messages, **options), timeout)

    async def models(self, *, timeout: float | None = None) -> tuple[ModelInfo, ...]:
        """The models that can be asked for by name."""
        return await self._unary(_calls.models(), timeout)

    async def instances(self, *, timeout: float | None = None) -> tuple[InstanceStatus, ...]:
        """The instances with their state, as the router sees them."""
        return await self._unary(_calls.instances(), timeout)

    async def instance(self, *, timeout: float | None = None) -> InstanceInfo:
        """What is called itself: a worker with its models and its queue, or a router, which has none."""
        return await self._unary(_calls.instance(), timeout)

    async def explain(
        self, text: str, *, timeout: float | None = None, **options: Unpack[ExplainOptions]
    ) -> Explanation:
        """Where a request would go now and why, without sending it there."""
        return await self._unary(_calls.explain(text, **options), timeout)

    async def budget(self, tenant: str = "", *, timeout: float | None = None) -> Budget:
        """What was spent this month and what is left; without a tenant, of all."""
        return await self._unary(_calls.budget(tenant), timeout)

    async def feedback(self, request_id: str, score: float, *, timeout: float | None = None) -> str:
        """Says how good an answer was, from 0 to 1; `request_id` is its `routing.request_id`.  Returns the model."""
        return await self._unary(_calls.feedback(request_id, score), timeout)

    async def rollouts(self, *, timeout: float | None = None) -> tuple[RolloutStatus, ...]:
        """Models that are being replaced, and how far that has come."""
        return await self._unary(_calls.rollouts(), timeout)

    async def set_rollout(self, rollout: Rollout, *, timeout: float | None = None) -> Rollout:
        """Starts, changes or ends a rollout; returns it with its new revision.

        Raises:
            Conflict: it is not as `rollout.revision` had it any more.
        """
        return await self._unary(_calls.set_rollout(rollout), timeout)

    async def load_model(self, model: str, *, timeout: float | None = None) -> ModelInfo:
        """Takes a model back into the service of the router that is called."""
        return await self._unary(_calls.load_model(model), timeout)

    async def unload_model(self, model: str, *, timeout: float | None = None) -> ModelInfo:
        """Takes a model out of the router's service: calls that name it fail with `Unloaded`, others go elsewhere."""
        return await self._unary(_calls.unload_model(model), timeout)

    async def tokens(self, *, timeout: float | None = None) -> tuple[Token, ...]:
        """All tokens, without their secrets."""
        return await self._unary(_calls.tokens(), timeout)

    async def create_token(
        self,
        tenant: str = "",
        *,
        role: str = "infer",
        note: str = "",
        lifetime: float | None = None,
        timeout: float | None = None,
    ) -> NewToken:
        """Makes a token; what comes back is the only place that has its secret.

        From the first token on, every call needs one.

        Args:
            tenant: for whom calls with it are made; empty: nobody in particular.
            role: "infer", "operate" or "admin".
            note: what it is for.
            lifetime: seconds it is good for; None: until it is revoked.
        """
        return await self._unary(_calls.create_token(tenant, role, note, lifetime), timeout)

    async def revoke_token(self, id: str, *, timeout: float | None = None) -> Token:
        """Ends a token, at every router of the mesh within a second."""
        return await self._unary(_calls.revoke_token(id), timeout)

    async def metrics(self, *, own_only: bool = False, timeout: float | None = None) -> tuple[MetricFamily, ...]:
        """What is counted and measured; of a router with what its instances tell, unless `own_only`."""
        return await self._unary(_calls.metrics(own_only), timeout)

    async def status(self, *, timeout: float | None = None) -> RouterStatus:
        """How the router fares, at a glance."""
        return await self._unary(_calls.status(), timeout)

    async def history(self, after: datetime | None = None, *, timeout: float | None = None) -> History:
        """How it fared in the last minutes, second by second; only what is later than `after`."""
        return await self._unary(_calls.history(after), timeout)

    async def decisions(
        self, limit: int = 100, *, after: int = 0, request_id: str = "", timeout: float | None = None
    ) -> tuple[Decision, ...]:
        """The router's latest decisions, oldest first; those after number `after`, those of one call."""
        return await self._unary(_calls.decisions(limit, after, request_id), timeout)

    async def drain(self, instance: str, drained: bool = True, *, timeout: float | None = None) -> InstanceStatus:
        """Takes an instance out of the router's choice, or back into it; calls under way end."""
        return await self._unary(_calls.drain(instance, drained), timeout)

    async def pin(self, model: str, pinned: bool = True, *, timeout: float | None = None) -> ModelInfo:
        """Keeps a model from being unloaded, or no longer."""
        return await self._unary(_calls.pin(model, pinned), timeout)

    async def set_weights(self, weights: ScoreWeights, *, timeout: float | None = None) -> ScoreWeights:
        """Changes how the router weighs the terms of the score, until it ends."""
        return await self._unary(_calls.set_weights(weights), timeout)

    async def set_log_level(self, level: str, instance: str = "", *, timeout: float | None = None) -> tuple[str, ...]:
        """Changes what is written to the logs ("debug", "info", "warning", "error"), until the processes end.

        Of the router and all its instances, or of one; returns those that have it now.
        """
        return await self._unary(_calls.set_log_level(level, instance), timeout)

    async def health(self, service: str = "", *, timeout: float | None = None) -> str:
        """ "SERVING" or "NOT_SERVING": of the whole server, of a service, or of a model ("models/NAME")."""
        return await self._unary(_calls.health(service), timeout)
