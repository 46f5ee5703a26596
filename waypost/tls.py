"""How a client recognises a server, and what it shows it: `Tls`.

    waypost.Client("mesh.internal:50051", key="wp_…", tls=waypost.Tls(ca="ca.pem"))

The environment says the same, for programs and for the command `waypost`: WAYPOST_CA, WAYPOST_CERT, WAYPOST_CERT_KEY.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc

from waypost import _fields as fields

Where = str | os.PathLike[str]


@dataclass(frozen=True)
class Tls:
    """Files in PEM form.

    Attributes:
        ca: authority whose certificates are believed; None: those that come with gRPC.
        cert: certificate of the client, where the server asks for one, and those between it and the authority.
        key: the certificate's private key.
    """

    ca: Where | None = None
    cert: Where | None = None
    key: Where | None = None

    def __post_init__(self) -> None:
        if (self.cert is None) != (self.key is None):
            missing, given = ("key", "cert") if self.key is None else ("cert", "key")
            raise fields.invalid(f"tls.{missing}", f"is missing, where there is a {given}")

    def credentials(self) -> grpc.ChannelCredentials:
        """The files, read now.

        Raises:
            OSError: one cannot be read.
        """
        return grpc.ssl_channel_credentials(_read(self.ca), _read(self.key), _read(self.cert))


def credentials(address: str, tls: Tls | bool | None) -> grpc.ChannelCredentials | None:
    """What a channel to `address` is opened with; None: plain text, which Unix sockets always speak.

    Args:
        tls: True: as the environment says, or else believing whom gRPC believes; None: only if the environment says
            anything; False: plain text.
    """
    if address.startswith("unix:") or tls is False:
        return None
    found = tls if isinstance(tls, Tls) else from_environment(os.environ)
    return (found or Tls()).credentials() if found or tls else None


def speaks_tls(address: str) -> bool:
    """Whether a client of `address` that is told nothing speaks TLS."""
    return not address.startswith("unix:") and from_environment(os.environ) is not None


def from_environment(environment: Mapping[str, str]) -> Tls | None:
    """What WAYPOST_CA, WAYPOST_CERT and WAYPOST_CERT_KEY say, if anything."""
    ca, cert, key = (environment.get(name) or None for name in ("WAYPOST_CA", "WAYPOST_CERT", "WAYPOST_CERT_KEY"))
    return Tls(ca, cert, key) if ca or cert or key else None


def _read(path: Where | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()
