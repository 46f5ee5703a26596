"""The HTTP gateway in a thread of this process, with clients of it; and a whole mesh with one."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import openai
import psutil

from router.http import service
from router.http.tls import Certificates
from waypost.config import Http, ServerTls, Telemetry

PATIENCE_S = 20.0


class Gateway:
    """Serves from the start of the block to its end."""

    def __init__(
        self, router: str, tls: ServerTls | None = None, telemetry: Telemetry | None = None, **config: Any
    ) -> None:
        self.certificates = Certificates(tls) if tls else None
        self._telemetry = telemetry
        self._config = Http(tls=tls, **config)
        self._router = router
        self._clients, self._socket = ExitStack(), ExitStack()
        self._up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Self:
        self._bound = self._socket.enter_context(service.listening("127.0.0.1:0"))
        self.url = service.url(self._bound, "https" if self.certificates else "http")
        self._thread.start()
        assert self._up.wait(PATIENCE_S)
        self.client = self._clients.enter_context(httpx.Client(base_url=self.url, timeout=PATIENCE_S))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clients.close()
        self.stop()
        self._socket.close()

    def stop(self) -> None:
        """Drains, and ends."""
        self._server.should_exit = True
        self._thread.join(PATIENCE_S)

    async def _serve(self) -> None:
        self._server = service.server(self._config, self._router, self.certificates, self._telemetry)
        self._bound.listen()
        self._up.set()
        await self._server.serve([self._bound])

    def openai(self, **options: Any) -> openai.OpenAI:
        """OpenAI's own client."""
        settings = {"api_key": "sk-test", "max_retries": 0, "timeout": PATIENCE_S} | options
        return self._clients.enter_context(openai.OpenAI(base_url=f"{self.url}/v1", **settings))

    def get(self, path: str, **headers: str) -> httpx.Response:
        """What a GET is told; underscores of header names are dashes."""
        return self.client.get(path, headers=_dashed(headers))

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """What a POST of this JSON is told."""
        return self.client.post(path, json=body, headers=_dashed(headers))

    def refused(self, path: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
        """Status and error of a POST that fails."""
        reply = self.post(path, body, **headers)
        assert reply.headers["content-type"] == "application/json"
        return reply.status_code, reply.json()["error"]

    def events(self, path: str, body: Any) -> list[Any]:
        """The events of a stream: JSON, or the text of what is none."""
        return list(_events(self.post(path, body | {"stream": True}).text))


def _events(text: str) -> Iterator[Any]:
    for line in filter(None, text.split("\n\n")):
        said = line.removeprefix("data: ")
        yield said if said == "[DONE]" else json.loads(said)


def _dashed(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def trusting(ca: str, cert: str | None = None, key: str | None = None) -> ssl.SSLContext:
    """What a client believes, and shows."""
    context = ssl.create_default_context(cafile=ca)
    if cert:
        context.load_cert_chain(cert, key)
    return context


WAYPOST = (sys.executable, "-P", "-m", "waypost")
MESH = """
[router]
listen = "127.0.0.1:0"
[router.decisions]
to = "none"
[router.audit]
to = "none"
[http]
[[workers]]
name = "local"
[[workers.models]]
name = "hash"
backend = "hash"
dimensions = 16
heads = ["sentiment-hash"]
[[workers.models]]
name = "clerk"
backend = "template"
"""
"""A mesh that needs no files: vectors, labels, rankings, and texts."""


class Up:
    """A running `waypost up`."""

    def __init__(self, folder: Path, toml: str = MESH, *options: str) -> None:
        file = folder / "waypost.toml"
        file.write_text(toml)
        self.env = os.environ | {"WAYPOST_RUNTIME": str(folder / "r"), "WAYPOST_HOME": str(folder / "home")}
        command = (*WAYPOST, "up", "--config", str(file), "--json", "--lifeline", *options)
        self._log = (folder / "log").open("w+")
        pipe = subprocess.PIPE
        self.popen = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self._log, env=self.env, text=True)
        assert self.popen.stdout
        line = self.popen.stdout.readline()
        self.ready = json.loads(line) if line else {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.popen.terminate()
        self.popen.communicate(timeout=60)
        self._log.close()

    def logged(self) -> str:
        """What it has written to stderr."""
        return Path(self._log.name).read_text()

    def process(self, kind: str) -> psutil.Process:
        """Its process that `waypost KIND` runs."""
        children = psutil.Process(self.popen.pid).children()
        (found,) = [each for each in children if kind in each.cmdline()[:6]]
        return found
