"""Which model a prompt goes to, and which after it: tiers, fallback chains, quality, budgets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from services.refusal import ModelFailed, ProviderFailed, RateLimited, Refused
from tests.author import authors
from tests.plane import PATIENCE_S, Node, Plane, eventually, failure, hints
from waypost.v1 import generate_pb2, generate_pb2_grpc

Code = grpc.StatusCode
SIMPLE, MEDIUM, HIGH, PREMIUM = 1, 2, 3, 5
PRICED = {"cost_per_1k_tokens_usd": 0.001, "cost_per_1k_output_tokens_usd": 0.002}


def ask(text: str = "Once", **fields: Any) -> generate_pb2.GenerateRequest:
    return generate_pb2.GenerateRequest(raw=text, **fields)


def answer(node: Node, request: generate_pb2.GenerateRequest, **options: Any) -> tuple[str, dict[str, str]]:
    """The text of an answer, and its trailers."""
    call = node.start(request, **options)
    return call.result().text, dict(call.trailing_metadata())


def refuse(why: Refused) -> Callable[[generate_pb2.GenerateRequest], str]:
    def write(request: generate_pb2.GenerateRequest) -> str:
        raise why

    return write


def events(node: Node, count: int = 1) -> list[dict[str, Any]]:
    """Decisions of so many calls."""
    found: list[dict[str, Any]] = []
    eventually(lambda: found.extend(map(json.loads, node.core.next_events(100, 0.0))) or len(found) >= count)
    return found


def chain(*hops: dict[str, Any], name: str = "default") -> dict[str, Any]:
    return {"routes": [{"name": name, "task": "generate", "hops": list(hops)}]}


def test_a_tier_that_is_asked_for_is_served_by_its_model(plane: Plane) -> None:
    small, large = plane.writer("small", tier="simple"), plane.writer("large", tier="premium")
    with authors(small, large):
        router = plane.router(plane.worker(small, name="a"), plane.worker(large, name="b"))
        assert answer(router, ask(route=hints(tier=SIMPLE)))[0] == "by small"
        text, trailers = answer(router, ask(route=hints(tier=PREMIUM)))
    assert text == "by large"
    assert (trailers["waypost-served-model"], trailers["waypost-tier"]) == ("large", "premium")


def test_a_model_that_fails_is_followed_by_another(plane: Plane) -> None:
    """Its failure is in the record; the caller sees an answer and which models were asked."""
    small, large = plane.writer("small", tier="simple"), plane.writer("large", tier="premium")
    with authors(small, large) as (author, _):
        author.write = refuse(ModelFailed("no idea"))
        router = plane.router(plane.worker(small, name="a"), plane.worker(large, name="b"))
        text, trailers = answer(router, ask(route=hints(tier=SIMPLE)))
    assert (text, trailers["waypost-hops"]) == ("by large", "small large")
    assert trailers["waypost-reason"].startswith("fallback/")
    (event,) = events(router)
    assert [hop["model"] for hop in event["hops"]] == ["small", "large"]
    assert [tried["code"] for tried in event["attempts"]] == ["INTERNAL", "OK"]


def test_a_named_model_is_not_replaced(plane: Plane) -> None:
    small, large = plane.writer("small"), plane.writer("large")
    with authors(small, large) as (author, _):
        author.write = refuse(ModelFailed("no idea"))
        router = plane.router(plane.worker(small, name="a"), plane.worker(large, name="b"))
        assert router.failure(ask(model="small")).code == Code.INTERNAL


def test_what_the_caller_did_wrong_is_not_tried_elsewhere(plane: Plane) -> None:
    small, large = plane.writer("small"), plane.writer("large")
    with authors(small, large) as (_, other):
        router = plane.router(plane.worker(small, name="a"), plane.worker(large, name="b"))
        failed = router.failure(ask(top_logprobs=1000))
        assert (failed.code, other.asked) == (Code.INVALID_ARGUMENT, [])


def test_a_chain_is_followed_by_its_conditions(plane: Plane) -> None:
    """A hop whose condition does not hold is passed over; the reason says which one held."""
    one, two, three = (plane.writer(name) for name in ("one", "two", "three"))
    route = chain({"model": "one"}, {"model": "two", "when": ["poor"]}, {"model": "three", "when": ["error"]})
    with authors(one, two, three) as (author, *_):
        author.write = refuse(ProviderFailed("gone"))
        router = plane.router(*(plane.worker(each, name=each.config["name"]) for each in (one, two, three)), **route)
        text, trailers = answer(router, ask())
    assert (text, trailers["waypost-hops"]) == ("by three", "one three")
    assert trailers["waypost-reason"].startswith("error")


def test_a_route_has_a_name_that_callers_can_ask_for(plane: Plane) -> None:
    one = plane.writer("one")
    with authors(one):
        router = plane.router(plane.worker(one), **chain({"model": "one"}, name="house"))
        assert answer(router, ask(model="house"))[0] == "by one"
        assert router.failure(ask(model="hovel")).code == Code.NOT_FOUND


def test_a_full_model_is_passed_over_and_a_lone_one_says_so(plane: Plane) -> None:
    """At most three times its slots at once; beyond, the next hop, or RESOURCE_EXHAUSTED with a time to come back."""
    one, two = plane.writer("one", queue_limit=9), plane.writer("two")
    route = chain({"model": "one"}, {"model": "two", "when": ["overloaded"]})
    with authors(two):
        router = plane.router(plane.worker(one, name="a"), plane.worker(two, name="b"), **route)
        waiting = [router.start(ask()) for _ in range(3)]
        eventually(lambda: router.status()["in_flight"] == 3 and router.instance("a")["in_flight"] == 3)
        assert answer(router, ask())[0] == "by two"
        failed = router.failure(ask(model="one"))
        assert (failed.code, failed.reason, failed.metadata["limit"]) == (Code.RESOURCE_EXHAUSTED, "QUEUE_FULL", "3")
        assert failed.retry_after_s
        for call in waiting:
            call.cancel()


def test_a_provider_that_wants_a_pause_gets_it(plane: Plane) -> None:
    """Its RetryInfo leaves it out; whoever names it meanwhile is told at once."""
    hosted, local = plane.writer("hosted"), plane.writer("local")
    route = chain({"model": "hosted"}, {"model": "local", "when": ["overloaded", "error"]})
    with authors(hosted, local) as (author, _):
        author.write = refuse(RateLimited(60.0))
        router = plane.router(plane.worker(hosted, name="a"), plane.worker(local, name="b"), **route)
        assert [answer(router, ask())[0] for _ in range(3)] == ["by local"] * 3
        assert len(author.asked) == 1


def test_a_poor_answer_is_asked_of_the_tier_above(plane: Plane) -> None:
    """The better answer wins; where no better comes the poor one is more than none."""
    small, large = plane.writer("small", tier="simple"), plane.writer("large", tier="high")
    with authors(small, large) as (author, other):
        author.write = lambda request: "I'm sorry, but I can't help with that."
        router = plane.router(plane.worker(small, name="a"), plane.worker(large, name="b"), quality={"enabled": True})
        text, trailers = answer(router, ask(route=hints(tier=SIMPLE)))
        assert (text, trailers["waypost-hops"]) == ("by large", "small large")
        assert trailers["waypost-reason"].startswith("poor/")
        other.write = refuse(ModelFailed("broken"))
        text, trailers = answer(router, ask(route=hints(tier=SIMPLE)))
        assert text.startswith("I'm sorry")
    first, second = events(router, 2)
    for event in (first, second):
        poor = event["hops"][0]
        assert poor["faults"] == ["refusal"] and poor["quality"] < 0.75
    assert first["hops"][1]["quality"] >= 0.75


def test_a_broken_schema_is_a_poor_answer(plane: Plane) -> None:
    small, large = plane.writer("small", tier="simple"), plane.writer("large", tier="high")
    with authors(small, large) as (_, other):
        other.write = lambda request: '{"n": 1}'
        router = plane.router(plane.worker(small, name="a"), plane.worker(large, name="b"), quality={"enabled": True})
        schema = json.dumps({"type": "object", "required": ["n"]})
        assert answer(router, ask(json_schema=schema, route=hints(tier=SIMPLE)))[0] == '{"n": 1}'


def test_a_stream_falls_back_before_its_first_byte_and_never_after(plane: Plane) -> None:
    one, two = plane.writer("one"), plane.writer("two")
    route = chain({"model": "one"}, {"model": "two", "when": ["error"]})
    with authors(two):
        router = plane.router(plane.worker(one, name="a"), plane.worker(two, name="b"), **route)
        stub = generate_pb2_grpc.GenerateServiceStub(router.channel)
        before = stub.GenerateStream(generate_pb2.GenerateStreamRequest(request=ask()), timeout=PATIENCE_S)
        one.next().fail(ModelFailed("early").as_json())
        assert "".join(each.text for each in before) == "by two"
        after = stub.GenerateStream(generate_pb2.GenerateStreamRequest(request=ask()), timeout=PATIENCE_S)
        job = one.next()
        job.push("once")
        assert next(after).text == "once"
        job.fail(ModelFailed("late").as_json())
        with pytest.raises(grpc.RpcError) as caught:
            next(after)
    assert caught.value.code() == Code.INTERNAL


def test_a_call_costs_what_its_tokens_do(plane: Plane) -> None:
    """Trailers say what it came to and what is left of the month."""
    hosted = plane.writer("hosted", **PRICED)
    with authors(hosted) as (author,):
        author.tokens = (1000, 500)
        router = plane.router(plane.worker(hosted), budget={"monthly_usd": 1.0})
        _, trailers = answer(router, ask("x" * 2000, max_tokens=500))
    assert float(trailers["waypost-cost-usd"]) == pytest.approx(0.002)
    assert float(trailers["waypost-budget-remaining-usd"]) == pytest.approx(0.998)


def test_the_cost_of_a_stream_is_read_from_its_last_message(plane: Plane) -> None:
    hosted = plane.writer("hosted", **PRICED)
    with authors(hosted):
        router = plane.router(plane.worker(hosted), budget={"monthly_usd": 1.0})
        stub = generate_pb2_grpc.GenerateServiceStub(router.channel)
        call = stub.GenerateStream(generate_pb2.GenerateStreamRequest(request=ask()), timeout=PATIENCE_S)
        assert "".join(each.text for each in call) == "by hosted"
        assert float(dict(call.trailing_metadata())["waypost-cost-usd"]) == pytest.approx(0.00003)


def test_counting_tokens_costs_nothing_and_may_have_tools(plane: Plane) -> None:
    hosted = plane.writer("hosted", **PRICED)
    router = plane.router(plane.worker(hosted), budget={"monthly_usd": 0.0})
    tool = generate_pb2.Tool(name="weather", description="of a place")
    call = router.start(generate_pb2.GenerateServiceCountTokensRequest(raw="Once", tools=[tool]))
    hosted.next().count(7)
    assert call.result().tokens == 7
    assert "waypost-cost-usd" not in dict(call.trailing_metadata())


def test_what_a_provider_refused_costs_nothing_and_what_it_broke_off_all_that_was_held(plane: Plane) -> None:
    hosted = plane.writer("hosted", **PRICED)
    with authors(hosted) as (author,):
        router = plane.router(plane.worker(hosted), budget={"monthly_usd": 1.0})

        def cost(why: Refused) -> float:
            author.write = refuse(why)
            call = router.start(ask())
            assert call.exception()
            return float(dict(call.trailing_metadata())["waypost-cost-usd"])

        assert cost(ProviderFailed("HTTP 500", unbilled=True)) == 0.0
        assert cost(ProviderFailed("broke off")) > 0.0001


def test_beyond_the_budget_a_named_model_is_refused_and_the_chain_goes_on(plane: Plane) -> None:
    hosted, local = plane.writer("hosted", **PRICED), plane.writer("local")
    route = chain({"model": "hosted"}, {"model": "local", "when": ["budget_low"]})
    with authors(hosted, local) as (author, _):
        router = plane.router(
            plane.worker(hosted, name="a"), plane.worker(local, name="b"), budget={"monthly_usd": 0.00001}, **route
        )
        assert answer(router, ask())[0] == "by local"
        failed = router.failure(ask(model="hosted"))
        assert author.asked == []
    assert (failed.code, failed.reason, failed.metadata) == (
        Code.RESOURCE_EXHAUSTED,
        "QUOTA_EXCEEDED",
        {"subject": "mesh"},
    )


def test_soft_thresholds_keep_to_the_small_models(plane: Plane) -> None:
    """The router's own choice moves, the caller's does not."""
    small, large = plane.writer("small", tier="simple"), plane.writer("large", tier="premium", **PRICED)
    budget = {"monthly_usd": 0.001, "soft": [{"at": 0.01, "most": "simple"}]}
    with authors(small, large):
        router = plane.router(plane.worker(small, name="a"), plane.worker(large, name="b"), budget=budget)
        assert answer(router, ask(route=hints(tier=PREMIUM)))[0] == "by large"
        texts = {answer(router, ask(f"{n} " * n))[0] for n in range(1, 200, 20)}
        assert texts == {"by small"}
        assert answer(router, ask(route=hints(tier=PREMIUM)))[0] == "by large"


def test_a_tenant_has_a_budget_of_its_own(plane: Plane) -> None:
    hosted = plane.writer("hosted", **PRICED)
    tenants = [{"name": "poor", "monthly_usd": 0.0}]
    with authors(hosted):
        router = plane.router(plane.worker(hosted), tenants=tenants)
        assert answer(router, ask(route=hints(tenant="rich")))[0] == "by hosted"
        failed = router.failure(ask(route=hints(tenant="poor")))
        assert (failed.reason, failed.metadata) == ("QUOTA_EXCEEDED", {"subject": "tenant"})


def test_every_call_needs_a_key_where_keys_are_given_out(plane: Plane) -> None:
    one = plane.writer("one")
    tenants = [{"name": "acme", "key": "secret"}]
    with authors(one):
        router = plane.router(plane.worker(one), tenants=tenants)
        assert router.failure(ask()).code == Code.UNAUTHENTICATED
        wrong = router.start(ask(), metadata=[("authorization", "Bearer wrong")])
        assert failure(wrong).reason == "UNAUTHENTICATED"
        right = [("authorization", "Bearer secret")]
        assert answer(router, ask(), metadata=right)[0] == "by one"
        other = router.start(ask(route=hints(tenant="other")), metadata=right)
        assert (failure(other).code, failure(other).metadata) == (Code.PERMISSION_DENIED, {"tenant": "other"})
    assert [event.get("tenant") for event in events(router, 4)].count("acme") == 1


def test_a_tenant_calls_no_more_often_than_it_may(plane: Plane) -> None:
    one = plane.writer("one")
    tenants = [{"name": "busy", "calls_per_second": 0.01, "burst": 2}]
    with authors(one):
        router = plane.router(plane.worker(one), tenants=tenants)
        busy = ask(route=hints(tenant="busy"))
        assert [answer(router, busy)[0] for _ in range(2)] == ["by one"] * 2
        failed = router.failure(busy)
        assert (failed.code, failed.reason) == (Code.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED")
        assert failed.retry_after_s and failed.retry_after_s > 50
        assert answer(router, ask())[0] == "by one"


def test_one_voice_is_put_before_every_conversation(plane: Plane) -> None:
    one, two = plane.writer("one"), plane.writer("two")
    style = {"prompt": "Be brief.", "models": ["one"]}
    chat = generate_pb2.Prompt(messages=[generate_pb2.ChatMessage(role="user", content="Hi")])
    with authors(one, two) as (styled, plain):
        router = plane.router(plane.worker(one, name="a"), plane.worker(two, name="b"), style=style)
        for model in ("one", "two"):
            answer(router, generate_pb2.GenerateRequest(model=model, chat=chat))
    assert [message.content for message in styled.asked[0].chat.messages] == ["Be brief.", "Hi"]
    assert [message.content for message in plain.asked[0].chat.messages] == ["Hi"]
