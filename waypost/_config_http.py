"""The HTTP gateway's part of the configuration; without its section there is no gateway."""

from __future__ import annotations

from waypost._config_fields import MIB, Address, Count, Seconds, Section, Strings
from waypost._config_security import ServerTls


class Http(Section):
    """The door for clients that speak HTTP."""

    listen: Address = "127.0.0.1:8080"
    """ "host:port" (port 0: any free one) or "unix:/path"."""
    tls: ServerTls | None = None
    """Absent: plain text."""
    insecure: bool = False
    """Whether plain text may be spoken on other addresses than the machine's own."""
    max_body_bytes: Count = 32 * MIB
    """Bytes of one request's body; a larger one fails with 413, as soon as it is seen to be."""
    max_in_flight: Count = 1024
    """Requests under way in the whole gateway; one more fails at once with 429."""
    default_timeout_s: Seconds = 60.0
    """Seconds a request may take that brings no `X-Waypost-Timeout-S` of its own; then 504."""
    drain_s: Seconds = 10.0
    """Seconds the requests under way get to finish at shutdown; then they are cut."""
    max_live: Count = 16
    """Open streams of `/api/live`, each of them somebody who looks on; one more fails with 429."""
    hosts: Strings = ()
    """Names under which pages and clients may call, beside addresses and names of the own network; "*": all."""
    cors_origins: Strings = ()
    """Origins whose pages may call this, such as "https://app.example"; "*": all; empty: none."""
