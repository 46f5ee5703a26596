"""An OpenAI-compatible endpoint that does what a test says: answers, refuses, stalls, drops the line, sends garbage."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiohttp import web

PATIENCE_S = 20.0


@dataclass(frozen=True)
class Seen:
    """A request that came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


Act = Callable[["Stage"], Awaitable[web.StreamResponse]]


class Stage:
    """One request being answered."""

    def __init__(self, request: web.Request, provider: ScriptedProvider) -> None:
        self.request, self.provider = request, provider
        self.response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})

    async def send(self, *events: Any) -> None:
        """Server-sent events: JSON of what is not a string."""
        if not self.response.prepared:
            await self.response.prepare(self.request)
        for event in events:
            text = event if isinstance(event, str) else json.dumps(event)
            await self.response.write(f"data: {text}\n\n".encode())

    def hang_up(self) -> web.StreamResponse:
        """Breaks the connection off."""
        assert self.request.transport
        self.request.transport.abort()
        return self.response


class ScriptedProvider:
    """Plays its acts one after another, the last one for ever."""

    def __init__(self, *acts: Act, tls: ssl.SSLContext | None = None) -> None:
        self.acts = list(acts)
        self._tls = tls
        self.seen: list[Seen] = []
        self.left = threading.Event()
        self.busy = self.most_busy = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        self.url = self._run(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    def open(self) -> None:
        """Lets those go on that are held."""
        self._loop.call_soon_threadsafe(self.gate.set)

    def shut(self) -> None:
        """Holds them again."""
        self._loop.call_soon_threadsafe(self.gate.clear)

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    async def _start(self) -> str:
        self.gate = asyncio.Event()
        app = web.Application()
        app.router.add_post("/v1/{path:.*}", self._play)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        scheme = "https" if self._tls else "http"
        return "{}://{}:{}/v1".format(scheme, *self._runner.addresses[0][:2])

    async def _stop(self) -> None:
        self.gate.set()
        await self._runner.cleanup()

    async def _play(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(Seen(request.path, dict(request.headers), await request.json()))
        act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
        self.busy += 1
        self.most_busy = max(self.busy, self.most_busy)
        try:
            return await act(Stage(request, self))
        except (asyncio.CancelledError, ConnectionResetError):
            self.left.set()
            raise
        finally:
            self.busy -= 1


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """A chunk of a chat."""
    return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def usage(prompt: int, completion: int, cached: int = 0) -> dict[str, Any]:
    """The chunk after the last."""
    details = {"cached_tokens": cached}
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "prompt_tokens_details": details}
    return {"object": "chat.completion.chunk", "choices": [], "usage": counts}


def sends(*events: Any) -> Act:
    """These events, and the end."""

    async def act(stage: Stage) -> web.StreamResponse:
        await stage.send(*events, "[DONE]")
        return stage.response

    return act


def says(*texts: str, finish: str = "stop", counts: dict[str, Any] | None = None) -> Act:
    """An answer in pieces."""
    pieces = [chunk(role="assistant", content=""), *(chunk(content=text) for text in texts), chunk(finish)]
    return sends(*pieces, *([counts] if counts else []))


def refuses(status: int, error: Any = "no", **headers: str) -> Act:
    """An error with these headers, their underscores dashes."""

    async def act(stage: Stage) -> web.StreamResponse:
        body = {"error": error if isinstance(error, dict) else {"message": error}}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response(body, status=status, headers=named)

    return act


def stalls(*texts: str) -> Act:
    """These pieces, then nothing until the gate opens, then the end."""

    async def act(stage: Stage) -> web.StreamResponse:
        await stage.send(chunk(role="assistant"), *(chunk(content=text) for text in texts))
        await stage.provider.gate.wait()
        await stage.send(chunk("stop"), "[DONE]")
        return stage.response

    return act


def drops(*texts: str) -> Act:
    """These pieces, then the line is dead."""

    async def act(stage: Stage) -> web.StreamResponse:
        await stage.send(*(chunk(content=text) for text in texts))
        return stage.hang_up()

    return act


def hangs_up() -> Act:
    """Not even a status."""

    async def act(stage: Stage) -> web.StreamResponse:
        return stage.hang_up()

    return act


def writes(text: str, content_type: str = "text/html") -> Act:
    """A page, as of a proxy that means well."""

    async def act(stage: Stage) -> web.StreamResponse:
        return web.Response(text=text, content_type=content_type)

    return act
