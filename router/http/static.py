"""GET / and /dashboard/…: the dashboard's files, as they lie in the package, read once.

What is asked for is looked up among their names, so that no path leads anywhere else.  Browsers keep the files and ask
each time whether they are still the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from router.http.exchange import Exchange
from router.http.failure import Failure
from router.http.reply import Reply

INDEX = "index.html"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
"""Said here, because what the machine's own table says differs from one to the next."""
POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-cache"),
)
"""Nothing is loaded from elsewhere, nothing in the page runs that is not a file of its own, nobody may frame it."""


@dataclass(frozen=True)
class File:
    """A file, and the name of its content."""

    body: bytes
    content_type: bytes
    etag: bytes


def files() -> Mapping[str, File]:
    """The dashboard's, by their paths in its folder."""
    return dict(_found(resources.files("router.http") / "dashboard", ""))


def _found(folder: Traversable, prefix: str) -> Iterator[tuple[str, File]]:
    for each in folder.iterdir():
        if each.is_dir():
            yield from _found(each, f"{prefix}{each.name}/")
        elif kind := TYPES.get(f".{each.name.rpartition('.')[2]}"):
            yield prefix + each.name, _file(each.read_bytes(), kind)


def _file(body: bytes, kind: str) -> File:
    return File(body, kind.encode(), b'"%s"' % hashlib.sha256(body).hexdigest()[:32].encode())


def index(found: Mapping[str, File]) -> Callable[[Exchange, None], Awaitable[Reply]]:
    """The endpoint of the page."""

    async def page(exchange: Exchange, ask: None) -> Reply:
        """The dashboard."""
        return _sent(exchange, found.get(INDEX))

    return page


def asset(found: Mapping[str, File]) -> Callable[[Exchange, None], Awaitable[Reply]]:
    """The endpoint of what the page is made of."""

    async def part(exchange: Exchange, ask: None) -> Reply:
        """A file of the dashboard."""
        return _sent(exchange, found.get(exchange.scope["path_params"]["file"]))

    return part


def _sent(exchange: Exchange, file: File | None) -> Reply:
    if file is None:
        raise Failure(404, "the dashboard has no such file", "not_found")
    exchange.reply_headers += [*HEADERS, (b"etag", file.etag)]
    if _same(exchange.headers.get(b"if-none-match", b""), file.etag):
        return Reply(b"", 304, file.content_type)
    return Reply(file.body, content_type=file.content_type)


def _same(known: bytes, etag: bytes) -> bool:
    """Whether the browser has it: weak comparison, as RFC 9110, 13.1.2, wants it."""
    return known.strip() == b"*" or etag in (each.strip().removeprefix(b"W/") for each in known.split(b","))
