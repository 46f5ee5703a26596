"""Who may connect: TLS of the router, of its clients, and of the way to the workers."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import waypost
from tests.authority import Authority
from tests.clients import Blocking
from tests.plane import Node, Plane, Session, eventually, states
from waypost import Tls, errors

SHOWN = {"listen": "127.0.0.1:0"}


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    """Whom everybody trusts here."""
    return Authority(tmp_path)


@pytest.fixture
def session() -> Session:
    """What runs when a call gets through."""
    return Session()


@pytest.fixture
def worker(plane: Plane, session: Session) -> Node:
    """A worker at a Unix socket."""
    return plane.worker(plane.model(session))


def audits(router: Node) -> list[dict[str, Any]]:
    """The lines that were written since the last look, once there is one."""
    return [json.loads(line) for line in router.core.next_audits(100, 5.0)]


def asks(address: str, tls: Tls | bool | None, made: Callable[..., Any] = waypost.Client) -> Any:
    """The answer to one call over a connection of its own."""
    with closing(made(address, tls=tls, timeout=10.0, options=[("grpc.use_local_subchannel_pool", 1)])) as client:
        return client.embed(["a"], model="m")


@pytest.mark.parametrize("made", [waypost.Client, Blocking], ids=["sync", "asyncio"])
def test_a_router_with_a_certificate_is_called_over_tls(plane: Plane, worker: Node, ca: Authority, made: Any) -> None:
    """By both clients, which know it by their authority."""
    router = plane.router(worker, **SHOWN, tls=ca.server())
    assert asks(router.address, ca.tls(), made).served.instance == "w"


def test_the_environment_may_say_whom_to_believe(
    plane: Plane, worker: Node, ca: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For programs that know nothing of it; a client that says otherwise is believed more."""
    router = plane.router(worker, **SHOWN, tls=ca.server(client_ca=ca.file))
    app = ca.signed("app")
    for name, value in (("CA", ca.file), ("CERT", app["cert"]), ("CERT_KEY", app["key"])):
        monkeypatch.setenv(f"WAYPOST_{name}", value)
    for tls in (None, True):
        assert asks(router.address, tls).served.instance == "w"
    with pytest.raises(errors.Unavailable):
        asks(router.address, False)


def test_unix_sockets_speak_plain_text(worker: Node, ca: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment says of others."""
    monkeypatch.setenv("WAYPOST_CA", ca.file)
    assert asks(worker.address, None).served.instance == "w"


def test_who_is_somebody_else_is_not_talked_to(plane: Plane, worker: Node, ca: Authority, session: Session) -> None:
    """A certificate of another authority, one of another name, and none at all."""
    other = Authority(plane.folder, "other")
    router = plane.router(worker, **SHOWN, tls=ca.server())
    elsewhere = plane.router(
        worker, listen="127.0.0.1:0", tls=ca.signed("elsewhere", "mesh.internal") | {"client_ca": None}
    )
    for address, tls in ((router.address, other.tls()), (elsewhere.address, ca.tls()), (router.address, None)):
        with pytest.raises(errors.Unavailable):
            asks(address, tls)
    assert session.ran == []


def strangers(ca: Authority, folder: Path) -> dict[str, dict[str, str]]:
    """Clients that must not be served, with what they show."""
    past = datetime.now(UTC) - timedelta(days=2)
    return {
        "no client certificate was shown": {},
        "is not accepted (invalid peer certificate: UnknownIssuer)": Authority(folder, "other").signed("a", "app"),
        "certificate expired": ca.signed("b", "app", not_before=past, not_after=past + timedelta(days=1)),
        "none of the names": ca.signed("c", "guest"),
    }


def test_who_shows_no_good_certificate_is_told_so_and_noted_once(
    plane: Plane, worker: Node, ca: Authority, session: Session
) -> None:
    """UNAUTHENTICATED, one line of audit, and nothing has run; the one that is good is served."""
    router = plane.router(worker, **SHOWN, tls=ca.server(client_ca=ca.file, client_names=["app", "10.1.2.3"]))
    for why, shown in strangers(ca, plane.folder).items():
        with pytest.raises(errors.Denied, match="certificate") as caught:
            asks(router.address, ca.tls(**shown))
        assert caught.value.reason == "ERROR_REASON_UNAUTHENTICATED"
        (line,) = audits(router)
        assert (line["outcome"], line["who"], line["method"]) == (
            "UNAUTHENTICATED",
            None,
            "/waypost.v1.EmbedService/Embed",
        )
        assert why in line["detail"]
    assert session.ran == []
    for good in (ca.signed("app"), ca.signed("ip", "10.1.2.3")):
        assert asks(router.address, ca.tls(**good)).served.instance == "w"


def test_a_certificate_does_not_stand_in_for_a_key(plane: Plane, worker: Node, ca: Authority, session: Session) -> None:
    """It says who may connect, not who may ask."""
    key = [{"name": "acme", "key": "s3cret"}]
    router = plane.router(worker, **SHOWN, tls=ca.server(client_ca=ca.file), tenants=key)
    app = ca.tls(**ca.signed("app"))
    with pytest.raises(errors.Denied):
        asks(router.address, app)
    assert session.ran == []
    with waypost.Client(router.address, tls=app, key="s3cret") as client:
        assert client.embed(["a"], model="m").served.instance == "w"


def test_a_certificate_that_is_replaced_is_shown_to_who_connects_then(
    plane: Plane, worker: Node, ca: Authority
) -> None:
    """Without a restart, and without cutting those who are there."""
    router = plane.router(worker, **SHOWN, tls=ca.server())
    with waypost.Client(router.address, tls=ca.tls()) as before:
        assert before.embed(["a"], model="m").served.instance == "w"
        other = Authority(plane.folder, "other")
        other.server()
        eventually(lambda: _answers(router.address, other.tls()))
        with pytest.raises(errors.Unavailable):
            asks(router.address, ca.tls())
        assert before.embed(["b"], model="m").served.instance == "w"


def test_a_certificate_that_cannot_be_read_changes_nothing(plane: Plane, worker: Node, ca: Authority) -> None:
    """Half a file is what a copy leaves on the way."""
    router = plane.router(worker, **SHOWN, tls=ca.server())
    Path(plane.folder / "server.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    assert asks(router.address, ca.tls()).served.instance == "w"


def test_a_server_whose_certificate_cannot_be_used_does_not_start(plane: Plane, ca: Authority) -> None:
    """It says which file."""
    other = ca.signed("other")
    with pytest.raises(OSError, match=r"server\.pem"):
        plane.router(**SHOWN, tls=ca.server() | {"key": other["key"]})
    with pytest.raises(OSError, match=r"none\.pem"):
        plane.router(**SHOWN, tls=ca.server() | {"cert": str(plane.folder / "none.pem")})


def _answers(address: str, tls: Tls) -> bool:
    try:
        return bool(asks(address, tls))
    except errors.Unavailable:
        return False


def far(plane: Plane, ca: Authority, *sessions: Session, port: int = 0, **tls: Any) -> Node:
    """A worker at a port, which serves nobody but its router."""
    known = {"client_ca": ca.file, "client_names": ["router.internal"]}
    section = ca.server("worker", **known) | tls
    return plane.worker(plane.model(*(sessions or [Session()])), name="far", listen=f"127.0.0.1:{port}", tls=section)


def own(ca: Authority, name: str = "router.internal") -> dict[str, Any]:
    """How a router calls workers."""
    return {"ca": ca.file, **ca.signed(name)}


def test_a_worker_at_a_port_serves_its_router_alone(plane: Plane, ca: Authority, session: Session) -> None:
    """Others of the same authority are refused, as are those without a certificate; nothing of them runs."""
    worker = far(plane, ca, session)
    for shown in ({}, ca.signed("app")):
        with pytest.raises(errors.Denied):
            asks(worker.address, ca.tls(**shown))
    with pytest.raises(errors.Unavailable):
        asks(worker.address, None)
    assert session.ran == []
    router = plane.router(worker, worker_tls=own(ca))
    assert asks(router.address, None).served.instance == "far"
    assert session.ran == ["a"]


class Line(socketserver.ThreadingTCPServer):
    """Passes on what comes to a server, and counts the connections that have ended."""

    daemon_threads = True

    def __init__(self, address: str) -> None:
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self.ended = 0
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self._there = ("127.0.0.1", int(address.rpartition(":")[2]))

    def finish_request(self, request: Any, client_address: Any) -> None:
        with socket.create_connection(self._there) as there:
            ways = [threading.Thread(target=_pump, args=ends) for ends in ((request, there), (there, request))]
            for way in ways:
                way.start()
            for way in ways:
                way.join()
        self.ended += 1


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def test_a_router_does_not_talk_to_a_worker_that_is_somebody_else(plane: Plane, ca: Authority) -> None:
    """Nor in plain text to one that wants TLS: it tries, and the worker is never ready."""
    other = Authority(plane.folder, "other")
    worker = far(plane, ca)
    for number, way in enumerate((own(ca) | {"ca": other.file}, None)):
        with Line(worker.address) as line:
            threading.Thread(target=line.serve_forever, args=(0.05,), daemon=True).start()
            router = plane.router(worker_tls=way, probe_interval_s=0.05, listen=f"unix:{plane.folder}/{number}.sock")
            router.core.set_instances([line.address])
            eventually(lambda line=line: line.ended > 1)
            assert states(router) != ["ready"]
            router.core.set_instances([])
            line.shutdown()


def test_a_worker_does_not_serve_a_router_that_is_somebody_else(plane: Plane, ca: Authority, session: Session) -> None:
    """Whose certificate is good, and not of the name: nothing runs."""
    router = plane.router(worker_tls=own(ca, "app"), probe_interval_s=0.05)
    router.core.set_instances([far(plane, ca, session).address])
    with pytest.raises(errors.Unavailable):
        asks(router.address, None)
    assert (session.ran, "ready" in states(router)) == ([], False)


def test_a_socket_beside_is_called_in_plain_text(plane: Plane, ca: Authority, worker: Node) -> None:
    """`worker_tls` is for those at ports."""
    router = plane.router(worker, far(plane, ca), worker_tls=own(ca))
    assert states(router) == ["ready", "ready"]


@pytest.mark.parametrize(("given", "missing"), [({"cert": "c"}, "key"), ({"key": "k"}, "cert")])
def test_half_a_certificate_is_a_mistake_of_the_caller(given: dict[str, str], missing: str) -> None:
    """Said before anything is opened."""
    with pytest.raises(errors.InvalidRequest, match="is missing") as caught:
        Tls(**given)
    assert caught.value.field == f"tls.{missing}"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """As ever by the system's own error."""
    with pytest.raises(FileNotFoundError, match=r"none\.pem"):
        waypost.Client("127.0.0.1:1", tls=Tls(ca=tmp_path / "none.pem"))
