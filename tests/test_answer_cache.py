"""Answers that are kept: what they depend on, for how long, and that they are asked for once."""

from __future__ import annotations

from typing import Any

from tests.author import authors
from tests.plane import Node, Plane, Session, embed, eventually, hints, vectors
from waypost.v1 import generate_pb2

GREEDY = generate_pb2.Sampling(temperature=0.0)


def keeping(plane: Plane, *workers: Node, **cache: Any) -> Node:
    """A router that keeps answers."""
    return plane.router(*workers, cache=cache)


def ask(text: str = "Once", **fields: Any) -> generate_pb2.GenerateRequest:
    return generate_pb2.GenerateRequest(raw=text, **fields)


def kept(node: Node, request: Any) -> str | None:
    """Whether the answer was kept from before: "hit", "miss", or None where it may not be."""
    call = node.start(request)
    call.result()
    return dict(call.trailing_metadata()).get("waypost-cache")


def test_the_same_text_is_embedded_once(plane: Plane) -> None:
    session = Session()
    router = keeping(plane, plane.worker(plane.model(session), vector_cache=0))
    first, second = router.call(embed("abc")), router.call(embed("abc"))
    assert (vectors(first) == vectors(second)).all()
    assert session.ran == ["abc"]
    assert router.status()["cache"]["hits"] == 1


def test_an_answer_depends_on_everything_but_the_route(plane: Plane) -> None:
    router = keeping(plane, plane.worker(plane.hash_model(), plane.hash_model("other")))
    assert kept(router, embed("a", model="hash")) == "miss"
    assert kept(router, embed("a", model="hash", route=hints(session="s", priority=3))) == "hit"
    assert kept(router, embed("a", model="other")) == "miss"
    assert kept(router, embed("a", "b", model="hash")) == "miss"
    assert kept(router, embed("a", model="hash", dimensions=32)) == "miss"
    assert kept(router, embed("a", model="hash", route=hints(tenant="acme"))) == "miss"
    assert kept(router, embed("a", model="hash", route=hints(no_cache=True))) is None


def test_only_what_is_the_same_each_time_is_kept(plane: Plane) -> None:
    one = plane.writer("one")
    with authors(one) as (author,):
        router = keeping(plane, plane.worker(one))
        assert [kept(router, ask()) for _ in range(2)] == [None, None]
        assert [kept(router, ask(sampling=GREEDY)) for _ in range(2)] == ["miss", "hit"]
        assert [kept(router, ask(sampling=generate_pb2.Sampling(seed=1))) for _ in range(2)] == ["miss", "hit"]
    assert len(author.asked) == 4


def test_calls_that_ask_the_same_at_once_wait_for_the_first(plane: Plane) -> None:
    """Where that one leaves, the next asks."""
    session = Session()
    session.gate.clear()
    router = keeping(plane, plane.worker(plane.model(session), vector_cache=0))
    calls = [router.start(embed("abc")) for _ in range(4)]
    assert session.next() == "abc"
    eventually(lambda: router.status()["in_flight"] == 4)
    calls[0].cancel()
    session.gate.set()
    assert [vectors(call.result()).shape for call in calls[1:]] == [(1, 16)] * 3
    assert len(session.ran) <= 2


def test_a_failure_is_not_kept(plane: Plane) -> None:
    router = keeping(plane, plane.worker(plane.model(Session()), limits={"max_text_bytes": 4}))
    assert [router.failure(embed("too long")).reason for _ in range(2)] == ["TEXT_TOO_LARGE"] * 2
    assert router.status()["cache"]["hits"] == 0


def test_an_answer_is_good_for_a_while(plane: Plane) -> None:
    router = keeping(plane, plane.worker(plane.hash_model()), ttl_s=0.0)
    assert [kept(router, embed("a")) for _ in range(2)] == ["miss", "miss"]


def test_models_of_two_versions_are_not_kept(plane: Plane) -> None:
    """Who would answer decides what."""
    old, new = plane.hash_model(version="1"), plane.hash_model(version="2")
    router = keeping(plane, plane.worker(old, name="a"), plane.worker(new, name="b"))
    assert [kept(router, embed("a")) for _ in range(2)] == [None, None]


def test_what_is_kept_is_bounded(plane: Plane) -> None:
    router = keeping(plane, plane.worker(plane.hash_model()), max_bytes=20_000)
    for number in range(200):
        router.call(embed(f"text {number}"))
    assert router.status()["cache"]["bytes"] <= 20_000


def near(plane: Plane, **semantic: Any) -> dict[str, Any]:
    """Prompts are compared by their hash vectors."""
    return {"semantic": {"enabled": True, "model": "hash", "threshold": 0.7, "audit_share": 0.0, **semantic}}


def test_prompts_that_mean_the_same_share_an_answer_and_their_opposites_do_not(plane: Plane) -> None:
    one = plane.writer("one")
    with authors(one) as (author,):
        router = keeping(plane, plane.worker(one, plane.hash_model()), **near(plane))
        assert kept(router, ask("What is the capital of France?")) == "miss"
        assert kept(router, ask("what is the capital of France")) == "near"
        assert kept(router, ask("What is not the capital of France?")) == "miss"
        assert kept(router, ask("What is the capital of Ghana?")) == "miss"
        assert kept(router, ask("What is the capital of France?", max_tokens=3)) == "miss"
        assert kept(router, ask("What is the capital of France?", route=hints(tenant="acme"))) == "miss"
    assert len(author.asked) == 5


def test_a_share_of_what_would_be_shared_is_audited(plane: Plane) -> None:
    """By asking again: an answer that has become another one is a false hit."""
    one = plane.writer("one")
    with authors(one) as (author,):
        router = keeping(plane, plane.worker(one, plane.hash_model()), **near(plane, audit_share=1.0))
        for text in ("yes it is", "yes it is", "quite another story"):
            author.write = lambda request, text=text: text
            assert kept(router, ask("Is the sky blue over Paris?")) == "miss"
        cache = router.status()["cache"]
    assert (cache["near_hits"], cache["audited"], cache["false_hits"]) == (0, 2, 1)
