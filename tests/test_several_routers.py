"""Three routers with one Redis are one mesh, also when it has been away."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

import waypost
from bench import outage
from bench.outage import ANSWER_NANOS, LONGEST, NANOS, PROMPT_NANOS, RATE, ROUTERS
from tests import postgres
from tests.plane import eventually
from tests.stores import calls, empty, skip_without_postgres
from waypost import errors
from waypost.control import Rollout

pytestmark = pytest.mark.skipif(not shutil.which("redis-server"), reason="NOT RUN: redis-server is not installed")

CAP = 5_000_000
MOST = LONGEST * ANSWER_NANOS + 400 * PROMPT_NANOS
"""Nano-dollars that the tenant may spend, and that a call of it may cost."""
SECONDS, BESIDE = 3.0, 1.5
UNSEEN = (ROUTERS - 1) * (outage.BURST + RATE * (1.0 + 2 * outage.SYNC_S))
"""Calls that others may have let pass before a router knows: of a store that is away too, which it notices in a
second."""


@pytest.fixture(scope="module")
def log() -> Iterator[str]:
    """The database of all routers' logs; empty where there is none to be had."""
    if postgres.missing():
        yield ""
        return
    with postgres.server() as server:
        yield server.database()


@pytest.fixture(scope="module")
def mesh(log: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[outage.Mesh]:
    more = f'[router.store]\nenabled = true\nurl = "{log}"' if log else ""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WAYPOST_HOME", str(tmp_path_factory.mktemp("home")))
        with outage.mesh(tmp_path_factory.mktemp("several"), cap_usd=CAP / NANOS, more=more) as running:
            yield running


def hotset(mesh: outage.Mesh) -> set[str]:
    with redis.Redis.from_url(mesh.redis.url, decode_responses=True) as store:
        return set(store.smembers("model:hotset"))


def everywhere(mesh: outage.Mesh, holds: Callable[[waypost.Client], bool]) -> None:
    """Returns once it holds at each router."""
    eventually(lambda: all(holds(client) for client in mesh.clients))


def spend(client: waypost.Client) -> None:
    """Until there is too little for one more call."""
    with pytest.raises(errors.QuotaExceeded):
        while True:
            client.generate("Is it so?", model="paid", raw=True, max_tokens=LONGEST, tenant="poor")


def test_they_spend_no_more_than_there_is_and_nearly_all_of_it(mesh: outage.Mesh) -> None:
    with ThreadPoolExecutor(2 * ROUTERS) as pool:
        list(pool.map(spend, mesh.clients * 2))
    everywhere(mesh, lambda client: outage.money(client, "poor") == (mesh.provider.billed, 0))
    assert CAP - 2 * MOST * ROUTERS <= mesh.provider.billed <= CAP


def test_their_logs_are_one(mesh: outage.Mesh, log: str) -> None:
    """In PostgreSQL."""
    skip_without_postgres()
    names = {client.embed(["Is it so?"], model="free", no_cache=True).routing.request_id for client in mesh.clients}
    with empty(log) as engine:
        eventually(lambda: names <= set(calls(engine, "request_id")))


def test_a_name_that_is_flipped_leads_elsewhere_at_all(mesh: outage.Mesh) -> None:
    one = mesh.clients[0]

    def leads_to(name: str) -> None:
        def holds(client: waypost.Client) -> bool:
            try:
                return client.embed(["Is it so?"], model="chat", no_cache=True).routing.model == name
            except errors.NotFound:
                return False

        everywhere(mesh, holds)

    begun = one.set_rollout(Rollout("chat", "free", "other", steps=(1e-9,)))
    leads_to("free")
    one.set_rollout(Rollout("chat", "free", "other", steps=(1e-9,), state="promoted", revision=begun.revision))
    leads_to("other")


def test_what_is_pinned_or_called_often_at_one_is_hot_at_all(mesh: outage.Mesh) -> None:
    one, two = mesh.clients[:2]

    def hot(client: waypost.Client) -> dict[str, bool]:
        return {model.name: model.pinned for model in client.models() if model.hot}

    assert "seldom" not in hot(two)
    one.pin("seldom")
    everywhere(mesh, lambda client: hot(client).get("seldom") is True)
    assert "seldom" in hotset(mesh)
    two.pin("seldom", False)
    everywhere(mesh, lambda client: "seldom" not in hot(client))
    assert "seldom" not in hotset(mesh)
    for _ in range(25):
        two.embed(["Is it so?"], model="seldom", no_cache=True)
    everywhere(mesh, lambda client: hot(client).get("seldom") is False)
    assert "seldom" in hotset(mesh)


def test_what_one_was_answered_the_others_need_not_ask(mesh: outage.Mesh) -> None:
    asked, *others = mesh.clients
    first = asked.embed(["Who was asked?"], model="free")
    assert first.routing.cache == "miss"

    def kept(client: waypost.Client) -> bool:
        again = client.embed(["Who was asked?"], model="free")
        assert (again.vectors == first.vectors).all()
        return again.routing.cache == "hit"

    everywhere(mesh, kept)
    assert sum(client.status().cache.shared_hits for client in others) == len(others)


@pytest.mark.parametrize("how", [outage.STALLED, outage.ENDED])
def test_without_their_redis_they_go_on_but_for_money(mesh: outage.Mesh, how: str) -> None:
    """And when it is back all is as it was, with nothing forgotten."""
    seen = outage.outage(mesh, how, SECONDS, BESIDE)
    assert not seen.broken and seen.slowest < SECONDS
    assert set(seen.unpaid) == {outage.REFUSED}
    spans = [(seen.begun, seen.gone), (seen.gone, seen.back), (seen.back, seen.over)]
    for since, until in spans:
        rated, due = seen.ends("rated", since, until), RATE * (until - since)
        assert 0.3 * min(due, rated.total()) <= rated[outage.ANSWERED] <= due + outage.BURST + UNSEEN
    assert seen.ledger == (seen.billed, 0) and seen.billed > 0
    with pytest.raises(errors.NotFound):
        mesh.clients[0].pin("nobody")


def test_pins_cannot_be_changed_while_redis_is_away(mesh: outage.Mesh) -> None:
    """Whoever asks is told, and those that are there stay."""
    one, two = mesh.clients[:2]
    one.pin("paid")
    everywhere(mesh, lambda client: any(model.pinned for model in client.models()))
    mesh.redis.stall()
    with pytest.raises(errors.RetryableError) as refused:
        two.pin("paid", False)
    assert refused.value.reason == "ERROR_REASON_STORE_UNAVAILABLE" and refused.value.retry_after
    assert [model.name for model in two.models() if model.pinned] == ["paid"]
    mesh.redis.go_on()
    outage.until(lambda: not two.pin("paid", False).pinned)
