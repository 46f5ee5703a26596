"""What can be wrong between the fields that say who may connect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeGuard

from waypost import address
from waypost._config_problems import ABSENT, Placed, Problem, Table, table, tables

USUAL = "127.0.0.1:50051"
DOORS = ("router", "http")
"""Where clients call."""


def _exposed(key: str, listen: str, tls: object, insecure: object) -> Iterator[Problem]:
    """Listening for other machines in plain text, where nobody said that this is wanted."""
    if tls is None and insecure is not True and not address.is_own(listen):
        wrong = "plain text, for everybody who can reach it"
        yield Problem(f"{key}.listen", listen, wrong, f"add [{key}.tls], or write insecure = true (--insecure)")


def exposed_worker(key: str, listen: str, tls: Any, insecure: object) -> Iterator[Problem]:
    """A worker knows no keys and no tokens: the certificate is all that tells its router from others."""
    yield from _exposed(key, listen, tls, insecure)
    known = dict(tls or ()).get("client_ca")
    if tls is not None and known is None and insecure is not True and not address.is_own(listen):
        wrong = "missing: anybody could call this worker, and be believed"
        yield Problem(f"{key}.tls.client_ca", ABSENT, wrong, "name the authority of its router's certificate")


def _exposed_doors(raw: Table, base: Path) -> Iterator[Problem]:
    for place in DOORS:
        door = table(raw, place)
        if _is_address(listen := door.get("listen", USUAL)):
            yield from _exposed(place, listen, door.get("tls"), door.get("insecure"))


def _exposed_workers(raw: Table, base: Path) -> Iterator[Problem]:
    for place, worker in tables(raw, "workers"):
        listen, tls = worker.get("listen"), worker.get("tls")
        if _is_address(listen) and (tls is None or isinstance(tls, dict)):
            yield from exposed_worker(place, listen, tls, worker.get("insecure"))


def _is_address(listen: Any) -> TypeGuard[str]:
    """Whether it is one; what is none is pydantic's to complain about."""
    try:
        return isinstance(listen, str) and bool(address.parse(listen))
    except address.InvalidAddress:
        return False


def _unused_tls(raw: Table, base: Path) -> Iterator[Problem]:
    for place, owner in _owners(raw):
        if owner.get("tls") is not None and str(owner.get("listen")).startswith("unix:"):
            wrong = "not for a Unix socket, which other machines cannot reach"
            yield Problem(f"{place}.tls", owner["tls"], wrong, "remove it, or listen at host:port")


def _owners(raw: Table) -> Placed:
    """Each section of a process that listens."""
    yield from ((door, table(raw, door)) for door in DOORS)
    yield from tables(raw, "workers")


def _servers(raw: Table) -> Placed:
    """Each section that says how a server proves who it is."""
    return ((f"{place}.tls", table(owner, "tls")) for place, owner in _owners(raw))


def _idle_names(raw: Table, base: Path) -> Iterator[Problem]:
    for place, tls in _servers(raw):
        if tls.get("client_names") and tls.get("client_ca") is None:
            fix = "name the authority of their certificates as client_ca"
            yield Problem(f"{place}.client_names", tls["client_names"], "not looked at without client_ca", fix)


def _half_certificates(raw: Table, base: Path) -> Iterator[Problem]:
    shown = table(table(raw, "router"), "worker_tls")
    for one, other in (("cert", "key"), ("key", "cert")):
        if shown.get(one) is not None and shown.get(other) is None:
            yield Problem(f"router.worker_tls.{other}", ABSENT, f"missing, where there is a {one}", "name its file")


def _workers_called_otherwise(raw: Table, base: Path) -> Iterator[Problem]:
    """One way of calling for all workers at `host:port`: their ways of listening must be the same."""
    called = table(raw, "router").get("worker_tls")
    for place, worker in tables(raw, "workers"):
        listen, tls = worker.get("listen"), worker.get("tls")
        if not _is_address(listen) or listen.startswith("unix:"):
            continue
        if isinstance(tls, dict) and called is None:
            yield Problem("router.worker_tls", ABSENT, f"missing, where {place} has tls", "add [router.worker_tls]")
        elif tls is None and isinstance(called, dict):
            yield Problem(f"{place}.tls", ABSENT, "missing, where the router calls by router.worker_tls", "add it")
        elif isinstance(tls, dict) and isinstance(called, dict) and tls.get("client_ca") and called.get("cert") is None:
            wrong = f"missing, where {place} wants a certificate of its router"
            yield Problem("router.worker_tls.cert", ABSENT, wrong, "name its file, and that of its key")


def _missing_certificates(raw: Table, base: Path) -> Iterator[Problem]:
    named = [*_servers(raw), ("router.worker_tls", table(table(raw, "router"), "worker_tls"))]
    for place, section in named:
        for key in ("cert", "key", "client_ca", "ca"):
            value = section.get(key)
            if isinstance(value, str) and value and not (base / Path(value).expanduser()).is_file():
                yield Problem(f"{place}.{key}", value, "no such file", "correct the path")


CHECKS: tuple[Callable[[Table, Path], Iterator[Problem]], ...] = (
    _exposed_doors,
    _exposed_workers,
    _unused_tls,
    _idle_names,
    _half_certificates,
    _workers_called_otherwise,
    _missing_certificates,
)
