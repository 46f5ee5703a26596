"""Under which names the gateway answers: a page on the Web must not reach it by a name of its own that it points here.

A browser lets a page talk to the host it came from.  Whoever owns `evil.example` can have that name lead to 127.0.0.1
once the page is loaded (DNS rebinding), and the page may then ask this gateway whatever it likes, and read the answers:
all that protects an open one is that the browser still says `Host: evil.example`.

Answered are addresses, and names that nobody can own outside of the network: `localhost`, names without a dot, and
those under the suffixes below.  Others are named in `http.hosts`.  Where TLS is spoken a page's name would have to be
in our certificate, so there all are answered unless some are named.
"""

from __future__ import annotations

import ipaddress

from router.http.failure import Failure
from waypost import address
from waypost.config import Http

PRIVATE = (".localhost", ".local", ".internal", ".home.arpa", ".test")
"""RFC 6761, 6762, 8375; ".internal": ICANN, 2024."""
ANY = "*"
REMEMBERED = 1024


class Hosts:
    """What `Host` may say."""

    def __init__(self, config: Http) -> None:
        place = address.parse(config.listen)
        own = (place.host,) if isinstance(place, address.Tcp) else ()
        self._named = frozenset(map(_plain, (*config.hosts, *own)))
        self._all = ANY in self._named or (not config.hosts and (config.tls is not None or not own))
        self._good: set[bytes | None] = {None}

    def check(self, host: bytes | None) -> None:
        """Lets a request for this host through; one without is no browser's.

        Raises:
            Failure: it is none of ours.
        """
        if self._all or host in self._good:
            return
        name = _name(host or b"")
        if not self._known(name):
            message = f"this gateway does not answer for the host {name!r}: name it in http.hosts, if it should"
            raise Failure(421, message, "unknown_host")
        if len(self._good) < REMEMBERED:
            self._good.add(host)

    def _known(self, name: str) -> bool:
        return name in self._named or "." not in name.strip(".") or name.endswith(PRIVATE) or _is_address(name)


def _name(host: bytes) -> str:
    """Without its port."""
    text = host.decode("latin-1").strip()
    before, _, port = text.rpartition(":")
    return _plain(before if before and port.isdigit() else text)


def _plain(name: str) -> str:
    return name.lower().rstrip(".").removeprefix("[").removesuffix("]")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
