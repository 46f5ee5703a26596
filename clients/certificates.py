"""Certificates of an authority that lives as long as a run of the tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import trustme
from cryptography.hazmat.primitives import serialization as pem

from waypost.tls import Tls


@dataclass(frozen=True)
class Certificates:
    """PEM files: the authority, a server that is 127.0.0.1, and a client."""

    folder: Path

    @classmethod
    def made(cls, folder: Path) -> Self:
        """Writes them into an empty folder."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        for name, identity in (("server", "127.0.0.1"), ("client", "client.golden")):
            issued = authority.issue_cert(identity)
            issued.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
            (folder / f"{name}.key").write_bytes(_pkcs8(issued.private_key_pem.bytes()))
        return cls(folder)

    def path(self, name: str) -> str:
        """Of one of the files."""
        return str(self.folder / name)

    @property
    def server(self) -> dict[str, str]:
        """`[router.tls]`: it shows its certificate."""
        return {"cert": self.path("server.pem"), "key": self.path("server.key")}

    @property
    def mutual(self) -> dict[str, str]:
        """`[router.tls]`: it also wants to see the client's."""
        return self.server | {"client_ca": self.path("ca.pem")}

    @property
    def client(self) -> Tls:
        """What a Python client is told."""
        return Tls(self.path("ca.pem"), self.path("client.pem"), self.path("client.key"))


def _pkcs8(key: bytes) -> bytes:
    """The form of a key that all languages read: Java reads no other."""
    read = pem.load_pem_private_key(key, password=None)
    return read.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
