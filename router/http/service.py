"""The gateway's process: `serve` is what `waypost http` runs.

listen → announce → serve → the first signal drains, the second leaves
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from router.http.app import app
from router.http.tls import LOOK_S, Certificates, is_welcome
from waypost import address
from waypost.config import Http, Telemetry
from waypost.life import SIGNALS

BACKLOG = 2048
SWITCH_S = 0.0005
"""Seconds a thread that writes figures may keep the event loop waiting; Python's own 5 ms are many calls' time."""
KEEP_ALIVE_S = 75
"""Seconds an idle connection is kept: longer than the minute that clients and balancers usually keep theirs."""


def serve(config: Http, router: str, announce: Callable[[str], None], telemetry: Telemetry | None = None) -> None:
    """Serves until the process is asked to stop; `announce` gets the URL once it listens.

    Raises:
        OSError: nothing can listen at the configured address, or a certificate cannot be used.
    """
    certificates = Certificates(config.tls) if config.tls else None
    sys.setswitchinterval(SWITCH_S)
    with listening(config.listen) as bound:
        serving = partial(server, config, router, certificates, telemetry)
        uvloop.run(_serve(serving, certificates, bound, announce))


async def _serve(
    made: Callable[[], Server],
    certificates: Certificates | None,
    bound: socket.socket,
    announce: Callable[[str], None],
) -> None:
    serving = made()
    gc.freeze()  # What is here now stays: it need not be looked at again and again.
    loop = asyncio.get_running_loop()
    for each in SIGNALS:
        loop.add_signal_handler(each, serving.ask)
    done = asyncio.create_task(serving.serve([bound]))
    watching = asyncio.create_task(_watch(certificates)) if certificates else None
    announce(url(bound, "https" if certificates else "http"))
    await done
    if watching:
        watching.cancel()


def server(
    config: Http, router: str, certificates: Certificates | None = None, telemetry: Telemetry | None = None
) -> Server:
    """The gateway to the router at that address, to be run in the event loop it is made in."""
    made = app(config, router, telemetry)
    return Server(_uvicorn(made, config, certificates), made.state.ending)


class Server(uvicorn.Server):
    """Uvicorn's server with our idea of signals: its own would end the process by the signal it got."""

    def __init__(self, config: uvicorn.Config, ending: asyncio.Event) -> None:
        super().__init__(config)
        self._ending = ending

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, once those who only look on are told: their streams have no end."""
        self._ending.set()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None: see `ask`."""
        yield

    def ask(self) -> None:
        """Drains; from then on a signal has its default effect."""
        loop = asyncio.get_running_loop()
        for each in SIGNALS:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        self.should_exit = True


def _uvicorn(served: ASGIApp, config: Http, certificates: Certificates | None) -> uvicorn.Config:
    return uvicorn.Config(
        served,
        http=_protocol(config.tls.client_names if config.tls else ()),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(config.drain_s)),
        ssl_context_factory=_factory(certificates) if certificates else None,
    )


def _factory(certificates: Certificates) -> Callable[[Any, Any], ssl.SSLContext]:
    return lambda config, usual: certificates.context


def _protocol(names: tuple[str, ...]) -> type[asyncio.Protocol]:
    """Uvicorn's protocol, for clients of these names only."""
    if not names:
        return HttpToolsProtocol

    class Named(HttpToolsProtocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if not is_welcome(transport.get_extra_info("peercert"), names):
                transport.abort()

    return Named


async def _watch(certificates: Certificates) -> None:
    while True:
        await asyncio.sleep(LOOK_S)
        certificates.look()


@contextmanager
def listening(text: str) -> Iterator[socket.socket]:
    """A socket that is bound to an address; a Unix socket's file goes with it."""
    place = address.parse(text)
    address.check_free(text)
    if isinstance(place, address.Tcp):
        with address.bound(place) as tcp:
            yield tcp
        return
    with _unix(place.path) as unix:
        try:
            yield unix
        finally:
            place.path.unlink(missing_ok=True)


def _unix(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.bind(str(path))
    return made


def url(bound: socket.socket, scheme: str) -> str:
    """Where clients call."""
    place = bound.getsockname()
    if isinstance(place, str):
        return f"unix:{place}"
    host = f"[{place[0]}]" if bound.family == socket.AF_INET6 else place[0]
    return f"{scheme}://{host}:{place[1]}"
