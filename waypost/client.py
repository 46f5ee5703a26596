"""The client for threads: `Client`.  `waypost.aio.AsyncClient` is the same for asyncio.

    with waypost.Client("127.0.0.1:50051") as client:
        vectors = client.embed(["hello"]).vectors

Every call has a deadline.  Calls without side effects are tried again where nothing answered, for as long as the
deadline allows; see `_calls.service_config`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self, Unpack

import grpc

from waypost import _calls
from waypost._base import ADDRESS, TIMEOUT_S
from waypost._control import ExplainOptions
from waypost._documents.sync import DocumentCalls
from waypost._generate import CountPromptOptions, GenerateOptions, Messages
from waypost._requests import ClassifyOptions, CountOptions, EmbedOptions, RerankOptions, embed_stream
from waypost._streams import Stream
from waypost._sync import Guarded
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


class Client(DocumentCalls):
    """Calls a router or a single worker; safe to share among threads.

    Args:
        address: "host:port", or "unix:/path".
        timeout: seconds a call may take where it names no `timeout` of its own.
        key: the tenant's key, or a token, where the router wants one; without it, what the environment says in
            WAYPOST_KEY.
        tls: whom to believe and what to show, for routers that speak TLS; True: as the environment says, or else
            believing whom gRPC believes; without it, TLS only if the environment names files.
        options: further gRPC channel options.
    """

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
        channel = grpc.secure_channel(address, secure, options) if secure else grpc.insecure_channel(address, options)
        super().__init__(address, timeout, key, channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the calls under way and closes the connection."""
        self._channel.close()

    def embed(
        self, texts: Sequence[str], *, timeout: float | None = None, **options: Unpack[EmbedOptions]
    ) -> Embeddings:
        """One unit vector per text."""
        return self._unary(_calls.embed(texts, **options), timeout)

    def embed_stream(
        self, batches: Iterable[Sequence[str]], *, timeout: float | None = None, **options: Unpack[EmbedOptions]
    ) -> Iterator[Embeddings]:
        """One result per batch, in order; the deadline is that of the whole stream."""
        requests = Guarded(batches, lambda texts: embed_stream(texts, **options))
        with self._stream(_calls.EMBED_STREAM, self._channel.stream_stream, iter(requests), timeout) as results:
            yield from results
        requests.raise_error()

    def count_tokens(
        self, texts: Sequence[str], *, timeout: float | None = None, **options: Unpack[CountOptions]
    ) -> TokenCounts:
        """Tokens per text, without running the model."""
        return self._unary(_calls.count_tokens(texts, **options), timeout)

    def classify(
        self, texts: Sequence[str], *, timeout: float | None = None, **options: Unpack[ClassifyOptions]
    ) -> Classifications:
        """Labels with calibrated scores, per text."""
        return self._unary(_calls.classify(texts, **options), timeout)

    def rerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        timeout: float | None = None,
        **options: Unpack[RerankOptions],
    ) -> Ranking:
        """The documents ordered against the query, best first."""
        return self._unary(_calls.rerank(query, documents, **options), timeout)

    def generate(
        self, messages: Messages, *, timeout: float | None = None, **options: Unpack[GenerateOptions]
    ) -> Generation:
        """The whole answer; a `str` is one user message."""
        return self._unary(_calls.generate(messages, **options), timeout)

    def generate_stream(
        self, messages: Messages, *, timeout: float | None = None, **options: Unpack[GenerateOptions]
    ) -> Stream[GenerationChunk]:
        """The answer token by token; closing the stream, or leaving its `with`, cancels the call."""
        call = _calls.generate_stream(messages, **options)
        return self._stream(call.rpc, self._channel.unary_stream, call.request, timeout)

    def count_prompt_tokens(
        self, messages: Messages, *, timeout: float | None = None, **options: Unpack[CountPromptOptions]
    ) -> PromptTokens:
        """Tokens of a prompt as `generate` would read it, without running the model."""
        return self._unary(_calls.count_prompt_tokens(messages, **options), timeout)

    def models(self, *, timeout: float | None = None) -> tuple[ModelInfo, ...]:
        """The models that can be asked for by name."""
        return self._unary(_calls.models(), timeout)

    def instances(self, *, timeout: float | None = None) -> tuple[InstanceStatus, ...]:
        """The instances with their state, as the router sees them."""
        return self._unary(_calls.instances(), timeout)

    def instance(self, *, timeout: float | None = None) -> InstanceInfo:
        """What is called itself: a worker with its models and its queue, or a router, which has none."""
        return self._unary(_calls.instance(), timeout)

    def explain(self, text: str, *, timeout: float | None = None, **options: Unpack[ExplainOptions]) -> Explanation:
        """Where a request would go now and why, without sending it there."""
        return self._unary(_calls.explain(text, **options), timeout)

    def budget(self, tenant: str = "", *, timeout: float | None = None) -> Budget:
        """What was spent this month and what is left; without a tenant, of all."""
        return self._unary(_calls.budget(tenant), timeout)

    def feedback(self, request_id: str, score: float, *, timeout: float | None = None) -> str:
        """Says how good an answer was, from 0 to 1; `request_id` is its `routing.request_id`.  Returns the model."""
        return self._unary(_calls.feedback(request_id, score), timeout)

    def rollouts(self, *, timeout: float | None = None) -> tuple[RolloutStatus, ...]:
        """Models that are being replaced, and how far that has come."""
        return self._unary(_calls.rollouts(), timeout)

    def set_rollout(self, rollout: Rollout, *, timeout: float | None = None) -> Rollout:
        """Starts, changes or ends a rollout; returns it with its new revision.

        Raises:
            Conflict: it is not as `rollout.revision` had it any more.
        """
        return self._unary(_calls.set_rollout(rollout), timeout)

    def load_model(self, model: str, *, timeout: float | None = None) -> ModelInfo:
        """Takes a model back into the service of the router that is called."""
        return self._unary(_calls.load_model(model), timeout)

    def unload_model(self, model: str, *, timeout: float | None = None) -> ModelInfo:
        """Takes a model out of the router's service: calls that name it fail with `Unloaded`, others go elsewhere."""
        return self._unary(_calls.unload_model(model), timeout)

    def tokens(self, *, timeout: float | None = None) -> tuple[Token, ...]:
        """All tokens, without their secrets."""
        return self._unary(_calls.tokens(), timeout)

    def create_token(
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
        return self._unary(_calls.create_token(tenant, role, note, lifetime), timeout)

    def revoke_token(self, id: str, *, timeout: float | None = None) -> Token:
        """Ends a token, at every router of the mesh within a second."""
        return self._unary(_calls.revoke_token(id), timeout)

    def metrics(self, *, own_only: bool = False, timeout: float | None = None) -> tuple[MetricFamily, ...]:
        """What is counted and measured; of a router with what its instances tell, unless `own_only`."""
        return self._unary(_calls.metrics(own_only), timeout)

    def status(self, *, timeout: float | None = None) -> RouterStatus:
        """How the router fares, at a glance."""
        return self._unary(_calls.status(), timeout)

    def history(self, after: datetime | None = None, *, timeout: float | None = None) -> History:
        """How it fared in the last minutes, second by second; only what is later than `after`."""
        return self._unary(_calls.history(after), timeout)

    def decisions(
        self, limit: int = 100, *, after: int = 0, request_id: str = "", timeout: float | None = None
    ) -> tuple[Decision, ...]:
        """The router's latest decisions, oldest first; those after number `after`, those of one call."""
        return self._unary(_calls.decisions(limit, after, request_id), timeout)

    def drain(self, instance: str, drained: bool = True, *, timeout: float | None = None) -> InstanceStatus:
        """Takes an instance out of the router's choice, or back into it; calls under way end."""
        return self._unary(_calls.drain(instance, drained), timeout)

    def pin(self, model: str, pinned: bool = True, *, timeout: float | None = None) -> ModelInfo:
        """Keeps a model from being unloaded, or no longer."""
        return self._unary(_calls.pin(model, pinned), timeout)

    def set_weights(self, weights: ScoreWeights, *, timeout: float | None = None) -> ScoreWeights:
        """Changes how the router weighs the terms of the score, until it ends."""
        return self._unary(_calls.set_weights(weights), timeout)

    def set_log_level(self, level: str, instance: str = "", *, timeout: float | None = None) -> tuple[str, ...]:
        """Changes what is written to the logs ("debug", "info", "warning", "error"), until the processes end.

        Of the router and all its instances, or of one; returns those that have it now.
        """
        return self._unary(_calls.set_log_level(level, instance), timeout)

    def health(self, service: str = "", *, timeout: float | None = None) -> str:
        """ "SERVING" or "NOT_SERVING": of the whole server, of a service, or of a model ("models/NAME")."""
        return self._unary(_calls.health(service), timeout)
