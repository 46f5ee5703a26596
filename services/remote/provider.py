"""One endpoint: sends a request and gives the chunks of its answer, or a `Failure`."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Self

from openai import APIStatusError, AsyncOpenAI, AsyncStream, Omit, OpenAIError, Timeout

from services.openai_wire.ask import Ask
from services.openai_wire.chunks import Chunk
from services.remote.dialect import Dialect
from services.remote.failure import understood
from services.remote.key import Key
from services.remote.limits import Limits
from waypost.config import Remote

OURS_ALONE = ("OpenAI-Organization", "OpenAI-Project")
"""Headers that the client would fill from the environment, whoever the provider is."""


Headers = dict[str, str | Omit]


class Provider:
    """A client of the endpoint, with our own limits for it; belongs to the event loop it was entered in."""

    def __init__(self, remote: Remote, key: Key) -> None:
        self.limits = Limits(remote.requests_per_minute, remote.tokens_per_minute, time.monotonic())
        self._key = key
        self._dialect = Dialect()
        self._client = _client(remote, key)
        unwanted = OURS_ALONE if key else (*OURS_ALONE, "Authorization")
        self._headers: Headers = dict.fromkeys(unwanted, Omit())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def chunks(self, asked: Ask, traceparent: str | None = None) -> AsyncGenerator[Chunk, None]:
        """One attempt, in the trace that `traceparent` names.

        Raises:
            services.remote.failure.Failure: the provider refuses, breaks off or sends garbage.
            services.refusal.RateLimited: our own limit is reached.
        """
        self.limits.admit(time.monotonic())
        try:
            async with await self._opened(asked, self._headers | _context(traceparent)) as stream:
                async for data in stream:
                    yield Chunk.model_validate(data)
        except (OpenAIError, ValueError) as error:
            raise understood(error, self._key.hide, asked.input) from None

    async def _opened(self, asked: Ask, headers: Headers) -> AsyncStream[object]:
        try:
            return await self._sent(asked, headers)
        except APIStatusError as error:
            if not self._dialect.learns(error):
                raise
        return await self._opened(asked, headers)

    async def _sent(self, asked: Ask, headers: Headers) -> AsyncStream[object]:
        body = self._dialect.spoken(asked.body)
        return await self._client.post(
            asked.path,
            body=body,
            options={"headers": headers},
            cast_to=object,
            stream=True,
            stream_cls=AsyncStream[object],
        )


def _context(traceparent: str | None) -> Headers:
    """As <https://www.w3.org/TR/trace-context/> passes it on."""
    return {"traceparent": traceparent} if traceparent else {}


def _client(remote: Remote, key: Key) -> AsyncOpenAI:
    """Without retries of its own, which know neither our deadline nor what has been passed on."""
    return AsyncOpenAI(
        base_url=remote.base_url,
        api_key=key.reveal() or "none",
        max_retries=0,
        timeout=Timeout(remote.idle_timeout_s, connect=remote.connect_timeout_s),
    )
