"""The gateway's certificates: read again whenever their files change, for the connections from then on.

An `SSLContext` that is in use can take a new certificate, but never forgets an authority.  So a new one is made, whole
or not at all, and each handshake is moved to the latest.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from waypost.config import ServerTls

log = structlog.get_logger()

LOOK_S = 1.0
"""Pause between looks at the files."""


class Certificates:
    """The context that is listened with, and the one that connections get."""

    def __init__(self, of: ServerTls) -> None:
        self._of = of
        self._seen = self._stamps()
        self._latest = _context(of)
        self.context = _context(of)
        self.context.sni_callback = self._moved

    def look(self) -> None:
        """Reads the files again if they changed; what is wrong with them is logged, and leaves the old in use."""
        stamps = self._stamps()
        if stamps == self._seen:
            return
        self._seen = stamps
        try:
            self._latest = _context(self._of)
            log.info("certificates read again", cert=self._of.cert)
        except OSError as error:  # ssl.SSLError is one
            log.error("certificates not usable", cert=self._of.cert, error=str(error))

    def _moved(self, connection: Any, name: str | None, context: ssl.SSLContext) -> None:
        connection.context = self._latest

    def _stamps(self) -> list[tuple[int, int] | None]:
        files = (self._of.cert, self._of.key, self._of.client_ca)
        return [_stamp(Path(file)) for file in files if file]


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _context(of: ServerTls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(of.cert, of.key)
    if of.client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(of.client_ca)
    return context


def is_welcome(certificate: Mapping[str, Any] | None, names: tuple[str, ...]) -> bool:
    """Whether a client's certificate, as `getpeercert` has it, has one of the names."""
    found = {_name(kind, value) for kind, value in (certificate or {}).get("subjectAltName", ())}
    return not names or not found.isdisjoint(map(_plain, names))


def _name(kind: str, value: str) -> str:
    return _plain(value) if kind in ("DNS", "IP Address") else ""


def _plain(name: str) -> str:
    """One way to write it."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name.lower()
