"""Under which names the gateway answers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.http.failure import Failure
from router.http.hosts import Hosts
from tests.fake_mesh import FakeMesh
from tests.gateway import Gateway
from waypost.config import Http, ServerTls


def answers(host: str, **config: Any) -> bool:
    """Whether a request for this host is let through; twice, as what is known is remembered."""
    hosts = Hosts(Http(**config))
    found = [_passes(hosts, host) for _ in range(2)]
    assert found[0] == found[1]
    return found[0]


def _passes(hosts: Hosts, host: str) -> bool:
    try:
        hosts.check(host.encode())
    except Failure as error:
        assert error.status == 421
        return False
    return True


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost:8080",
        "localhost.",
        "127.0.0.1:8080",
        "[::1]:8080",
        "[::1]",
        "10.1.2.3",
        "router",
        "router:8080",
        "waypost.mesh.svc.cluster.local",
        "gateway.internal:80",
        "x.localhost",
    ],
)
def test_addresses_and_names_of_the_own_network_are_answered(host: str) -> None:
    """No page from elsewhere comes from such a host."""
    assert answers(host)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.com"])
def test_names_that_anybody_may_own_are_not(host: str) -> None:
    """They may lead here all the same."""
    assert not answers(host)
    assert not answers(host, listen="0.0.0.0:80", insecure=True)


@given(st.text(st.characters(codec="latin-1", exclude_characters="\0"), max_size=30))
def test_nothing_makes_a_foreign_name_ours(prefix: str) -> None:
    """Whatever stands before it."""
    assert not answers(f"{prefix}.evil.com")


def test_names_are_allowed_by_the_configuration() -> None:
    """One, or all; and the one it listens under."""
    assert answers("mesh.example.com:443", hosts=["mesh.example.com"])
    assert not answers("evil.example", hosts=["mesh.example.com"])
    assert answers("evil.example", hosts=["*"])
    assert answers("mesh.example.com", listen="mesh.example.com:80", insecure=True)


def test_a_certificate_or_a_socket_is_proof_enough() -> None:
    """Unless hosts are named."""
    tls = ServerTls(cert="c.pem", key="k.pem")
    assert answers("mesh.example.com", tls=tls)
    assert not answers("evil.example", tls=tls, hosts=["mesh.example.com"])
    assert answers("evil.example", listen="unix:/tmp/x.sock")


@pytest.mark.parametrize("path", ["/", "/v1/models", "/api/decisions", "/metrics", "/openapi.json"])
def test_a_foreign_page_learns_nothing(mesh: FakeMesh, gateway: Gateway, path: str) -> None:
    """And is told how to be answered, if it should."""
    reply = gateway.get(path, host="evil.example")
    assert (reply.status_code, reply.json()["error"]["code"]) == (421, "unknown_host")
    assert "http.hosts" in reply.json()["error"]["message"]
    assert mesh.requests == []
