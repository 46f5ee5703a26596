"""Where a server listens: `host:port`, or `unix:/path` for processes of one machine."""

from __future__ import annotations

import errno
import ipaddress
import socket
import stat
from dataclasses import dataclass
from pathlib import Path

_UNIX = "unix:"
_MAX_UNIX_PATH = 107
"""Bytes of `sockaddr_un.sun_path`, less its final zero."""


class InvalidAddress(ValueError):
    """Raised by `parse`."""


class AddressInUse(OSError):
    """Raised by `check_free`: another process listens there."""

    def __init__(self, address: str) -> None:
        super().__init__(errno.EADDRINUSE, f"{address} is in use: stop what listens there, or choose another address")


@dataclass(frozen=True)
class Tcp:
    """`host:port`; port 0 lets the system choose."""

    host: str
    port: int


@dataclass(frozen=True)
class Unix:
    """Path of a socket."""

    path: Path


def parse(text: str) -> Tcp | Unix:
    """The address written as `text`.

    Raises:
        InvalidAddress: it is neither `host:port` nor `unix:/path`.
    """
    return _unix(text) if text.startswith(_UNIX) else _tcp(text)


def is_own(text: str) -> bool:
    """Whether only this machine can reach a server that listens at `text`: a loopback address, or a Unix socket."""
    address = parse(text)
    if isinstance(address, Unix) or address.host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.host).is_loopback
    except ValueError:
        return False


def concrete(text: str) -> str:
    """`text` with port 0 replaced by a free port, so that a server that starts again is found where it was."""
    address = parse(text)
    if isinstance(address, Unix) or address.port:
        return text
    with bound(address) as probe:
        return f"{text.rpartition(':')[0]}:{probe.getsockname()[1]}"


def any_port(text: str) -> str:
    """`text` with port 0; a Unix socket as it is."""
    return text if isinstance(parse(text), Unix) else f"{text.rpartition(':')[0]}:0"


def check_free(text: str) -> None:
    """Sees whether a server could listen at `text` now.

    Raises:
        AddressInUse: another process listens there.
        OSError: the address is not one of this machine.
    """
    address = parse(text)
    if isinstance(address, Unix):
        _check_socket(address.path, text)
    else:
        _check_port(address, text)


def _unix(text: str) -> Unix:
    path = text.removeprefix(_UNIX)
    if not path.startswith("/"):
        raise InvalidAddress('not an absolute path; write "unix:/path"')
    if len(path.encode()) > _MAX_UNIX_PATH:
        raise InvalidAddress(f"longer than a socket's {_MAX_UNIX_PATH} bytes; choose a shorter path")
    return Unix(Path(path))


def _tcp(text: str) -> Tcp:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise InvalidAddress('neither "host:port" nor "unix:/path"; write for example "127.0.0.1:50051"')
    return Tcp(host.strip("[]"), int(port))


def _check_socket(path: Path, text: str) -> None:
    if not path.exists() or not stat.S_ISSOCK(path.stat().st_mode):
        return
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise AddressInUse(text)


def _check_port(address: Tcp, text: str) -> None:
    try:
        bound(address).close()
    except OSError as error:
        raise AddressInUse(text) if error.errno == errno.EADDRINUSE else error from None


def bound(address: Tcp) -> socket.socket:
    """A socket bound to `address`; port 0 is one that the system chooses."""
    family, kind, protocol, _, place = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(place)
    except OSError:
        made.close()
        raise
    return made
