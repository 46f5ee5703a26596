"""The dashboard's files, and what is said with them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources

import pytest

from router.http import static
from tests.gateway import Gateway

FILES = static.files()
READ = re.compile(r"LICENSE|NOTICE|README")


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    """One before no router: files need none."""
    with Gateway("127.0.0.1:1") as gateway:
        yield gateway


def test_the_page_is_there(gateway: Gateway) -> None:
    """Where the gateway is."""
    reply = gateway.get("/")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert reply.content == FILES["index.html"].body


def test_every_file_is_served_as_what_it_is(gateway: Gateway) -> None:
    """None is left out for its type; what is for readers of the source stays there."""
    folder = resources.files("router.http") / "dashboard"
    with resources.as_file(folder) as path:
        there = {
            str(each.relative_to(path)) for each in path.rglob("*") if each.is_file() and not READ.match(each.name)
        }
    assert set(FILES) == there
    for name, file in FILES.items():
        reply = gateway.get(f"/dashboard/{name}")
        assert (reply.content, reply.headers["content-type"]) == (file.body, file.content_type.decode())


def test_nothing_is_loaded_from_elsewhere(gateway: Gateway) -> None:
    """Browsers are told to refuse it, as well as scripts in the page and frames around it."""
    headers = gateway.get("/").headers
    policy = dict(each.strip().split(" ", 1) for each in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert not {"script-src", "connect-src"} & set(policy)
    assert (policy["frame-ancestors"], policy["base-uri"]) == ("'none'", "'none'")
    assert headers["x-content-type-options"] == "nosniff"
    page = FILES["index.html"].body.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=", page)


def test_a_file_that_is_known_is_not_sent_again(gateway: Gateway) -> None:
    """Until it changes."""
    etag = gateway.get("/").headers["etag"]
    for known in (etag, f'"other", W/{etag}', "*"):
        again = gateway.get("/", if_none_match=known)
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert gateway.get("/", if_none_match='"other"').status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "",
        "nothing.js",
        "../app.py",
        "..%2fapp.py",
        "%2e%2e/app.py",
        "//etc/passwd",
        "styles",
        "index.html/",
        "%00",
        ".",
    ],
)
def test_nothing_else_is_there(gateway: Gateway, path: str) -> None:
    """However it is written."""
    sent = gateway.client.build_request("GET", "/")
    sent.url = sent.url.copy_with(raw_path=f"/dashboard/{path}".encode())
    reply = gateway.client.send(sent)
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")
