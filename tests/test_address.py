"""Addresses: what is one, what is free."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from waypost import address


def test_an_address_is_a_host_and_port_or_a_socket() -> None:
    """IPv6 hosts are in brackets."""
    assert address.parse("localhost:80") == address.Tcp("localhost", 80)
    assert address.parse("[::1]:0") == address.Tcp("::1", 0)
    assert address.parse("unix:/run/a.sock") == address.Unix(Path("/run/a.sock"))


@pytest.mark.parametrize(
    "text", ["", "localhost", ":80", "a:b", "a:-1", "a:65536", "unix:", "unix:a", "unix:/" + "a" * 107]
)
def test_anything_else_is_refused(text: str) -> None:
    """With what to write instead."""
    with pytest.raises(address.InvalidAddress):
        address.parse(text)


def test_a_port_in_use_is_not_free() -> None:
    """The message names the address and says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(address.AddressInUse, match=rf"{text} is in use: stop"):
            address.check_free(text)
    address.check_free(text)


def test_a_socket_somebody_listens_at_is_not_free(tmp_path: Path) -> None:
    """A left-over file of a server that is gone is."""
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(path))
        taken.listen()
        with pytest.raises(address.AddressInUse):
            address.check_free(f"unix:{path}")
    assert path.exists()
    address.check_free(f"unix:{path}")


def test_port_0_becomes_a_free_port() -> None:
    """Other addresses stay what they are."""
    chosen = address.concrete("127.0.0.1:0")
    assert chosen != "127.0.0.1:0"
    address.check_free(chosen)
    assert address.concrete("127.0.0.1:50051") == "127.0.0.1:50051"
    assert address.concrete("unix:/run/a.sock") == "unix:/run/a.sock"
