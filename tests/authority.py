"""Certificates of a test's own authority, as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trustme

from waypost import Tls


class Authority:
    """Signs for whomever a test names."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self._ca = trustme.CA()
        self.file = str(folder / f"{name}.pem")
        self._ca.cert_pem.write_to_path(self.file)

    def signed(self, name: str, *identities: str, **options: Any) -> dict[str, str]:
        """Certificate and key of somebody, in files of that name, which they replace."""
        made = self._ca.issue_cert(*(identities or (name,)), **options)
        cert, key = (str(self._folder / f"{name}.{kind}") for kind in ("pem", "key"))
        made.private_key_pem.write_to_path(key)
        made.cert_chain_pems[0].write_to_path(cert)
        return {"cert": cert, "key": key}

    def server(self, name: str = "server", **tls: Any) -> dict[str, Any]:
        """The section of a server at 127.0.0.1."""
        return self.signed(name, "127.0.0.1", "localhost") | {"client_ca": None, "client_names": []} | tls

    def tls(self, **own: str) -> Tls:
        """How a client trusts this authority, and what it shows."""
        return Tls(self.file, **own)
