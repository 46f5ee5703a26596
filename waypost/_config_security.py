"""Who may connect and who may ask: certificates, keys and tokens, and the record of what was changed and refused.

Certificates are files in PEM form; they are read again whenever they change, for the connections from then on.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, ValidationInfo

from waypost._config_fields import MIB, Count, File, Section, Strings, beside
from waypost.address import parse

Role = Literal["infer", "operate", "admin"]


def _checked_socket(value: str, info: ValidationInfo) -> str:
    path = beside(value, info)
    parse(f"unix:{path}")
    return path


Socket = Annotated[str, AfterValidator(_checked_socket)]


class ServerTls(Section):
    """How a server proves who it is, and whom it lets in."""

    cert: File
    """Its certificate, and those between it and the authority."""
    key: File
    """The certificate's private key."""
    client_ca: File | None = None
    """Authority of clients: only who shows a certificate of it may connect; absent: anybody may."""
    client_names: Strings = ()
    """Names (DNS or IP, of the certificate's subject alternative names) one of which the client must have; empty: any.
    """


class ClientTls(Section):
    """How a server is recognised, and what it is shown."""

    ca: File
    """Authority whose certificates are believed."""
    cert: File | None = None
    """Certificate that is shown to a server that asks for one."""
    key: File | None = None
    """The certificate's private key."""


class Auth(Section):
    """Who must say who they are, and where nobody needs to.

    With any key in this file, or any token ever made, every call but health and reflection needs one.
    """

    required: bool = False
    """Whether calls need a key or token also while there is none: then only the operator's socket lets anybody in."""
    operator_socket: Socket | None = None
    """Unix socket of mode 0600 at which whoever can open it is the operator, of the role admin and without a token;
    `waypost up` makes one in its runtime folder."""


class Audit(Section):
    """Where the router writes one JSON line per change and per refusal: who, what, and how it ended."""

    to: str = "file"
    """"file": `log/audit.jsonl` in Waypost's home; "stderr"; "none"; or a path."""
    max_bytes: Count = 64 * MIB
    """Bytes of the file; at that size it becomes `….1`, which becomes `….2`, and so on."""
    keep: Count = 8
    """Files that are kept beside the one that is written; the oldest goes."""
