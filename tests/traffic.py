"""A mesh that has everything which is counted, and calls of every kind to it: answered, kept, refused, failed.

Ten thousand calls come from the Rust load generator, which counts how each of them ended.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import grpc
import httpx
from google.protobuf.message import Message

import waypost
from bench.texts import texts
from tests import tiny_bert
from tests.fake_mesh import failing
from tests.gateway import Up
from tests.plane import Plane, classify, embed, eventually, hints, rerank
from tests.scripted_provider import ScriptedProvider, says, usage
from waypost import _core, control
from waypost.v1 import embed_pb2, generate_pb2

CODES = {code.value[0]: code.name for code in grpc.StatusCode}
RATE, CLIENTS = 4000.0, 16
MESH = """
[router]
listen = "127.0.0.1:0"
probe_interval_s = 0.2
instances = [{elsewhere}]
[router.hedge]
enabled = true
min_delay_s = 0.05
[router.decisions]
to = "none"
[router.audit]
to = "none"
[router.tiers]
shares = {{ simple = 0.5, medium = 0.0, high = 0.5, premium = 0.0 }}
adjust_s = 0.2
[router.quality]
enabled = true
[router.rollout]
judge_s = 3600.0
[router.budget]
store = "memory:"
monthly_usd = 1000.0
[[router.tenants]]
name = "acme"
monthly_usd = 50.0
[[router.tenants]]
name = "hasty"
calls_per_second = 1.0
[[router.routes]]
name = "careful"
hops = [{{ model = "broken" }}, {{ model = "clerk", when = ["error"] }}]

[http]
listen = "127.0.0.1:0"

[telemetry]
otlp = "{otlp}"
sample = 0.1

[[workers]]
name = "reader"
replicas = 2
[[workers.models]]
name = "hash"
backend = "hash"
dimensions = 16
heads = ["sentiment-hash"]
[[workers.models]]
name = "tiny"
source = "./tiny"
batching = {{ mode = "budget", token_budget = 256 }}

[[workers]]
name = "hosted"
[[workers.models]]
name = "clerk"
backend = "remote"
generate = {{ slots = 32 }}
remote = {{ base_url = "{provider}", model = "m" }}
[[workers.models]]
name = "novice"
backend = "remote"
generate = {{ slots = 32 }}
remote = {{ base_url = "{provider}", model = "m" }}
[[workers.models]]
name = "sage"
backend = "remote"
tier = "high"
tags = ["generate", "reasoning"]
cost_per_1k_tokens_usd = 0.01
generate = {{ slots = 32 }}
remote = {{ base_url = "{provider}", model = "m" }}

[[workers]]
name = "canned"
[[workers.models]]
name = "broken"
backend = "template"
source = "./broken.j2"
"""
ANSWER = says("Red ", "is ", "a good ", "colour.", counts=usage(20, 6, cached=4))
"""Of every hosted model."""


class Sometimes:
    """A worker that takes its time once in so many calls."""

    def __init__(self, calls: int) -> None:
        self._turns = itertools.cycle([*[0.0] * (calls - 1), 0.2])
        self._nobody = Event()

    def __call__(self, request: embed_pb2.EmbedRequest, context: grpc.ServicerContext) -> embed_pb2.EmbedResponse:
        self._nobody.wait(next(self._turns))
        return embed_pb2.EmbedResponse(dimensions=1, vectors=bytes(4))


ELSEWHERE = {"good": Sometimes(100), "slow": Sometimes(10), "bad": failing(grpc.StatusCode.UNAVAILABLE, "not now")}
"""Replicas of one model, which tell no figures; what fails at one is tried at another, as is what takes long."""


def generate(text: str, model: str = "", tenant: str = "") -> generate_pb2.GenerateRequest:
    return generate_pb2.GenerateRequest(model=model, raw=text, route=hints(tenant=tenant))


@dataclass(frozen=True)
class Kind:
    """Calls of one method; `make` gets a text and its number."""

    method: str
    calls: int
    make: Callable[[str, int], Message]


KINDS = (
    Kind("EmbedService/Embed", 4200, lambda text, _: embed(text, model="hash")),
    Kind("EmbedService/Embed", 1000, lambda text, number: embed(text, f"again {number % 50}", model="tiny")),
    Kind("EmbedService/Embed", 1500, lambda _, number: embed(f"kept {number % 10}", model="hash")),
    Kind("EmbedService/Embed", 300, lambda text, _: embed(text, model="flaky")),
    Kind("EmbedService/Embed", 300, lambda text, _: embed(text, model="nobody")),
    Kind("EmbedService/Embed", 200, lambda text, _: embed(model="hash")),
    Kind("EmbedService/Embed", 200, lambda text, _: embed(text, model="hash", route=hints(tenant="hasty"))),
    Kind("ClassifyService/Classify", 1000, lambda text, _: classify(text, head="sentiment-hash")),
    Kind("RerankService/Rerank", 500, lambda text, _: rerank(text, "a red car", "a blue boat")),
    Kind("GenerateService/Generate", 200, lambda text, _: generate(text, tenant="acme")),
    Kind("GenerateService/Generate", 200, lambda text, _: generate(text, model="sage", tenant="acme")),
    Kind("GenerateService/Generate", 200, lambda text, _: generate(text, model="chat")),
    Kind("GenerateService/Generate", 100, lambda text, _: generate(text, model="careful")),
    Kind("GenerateService/Generate", 100, lambda text, _: generate(text, model="broken")),
)
STREAMS, REQUESTS = 20, 20
SHARES = (0.02, 0.28, 0.35, 0.35)
"""Of the calls, one round after the other: what a rate is taken of must have been there before it grew."""


@dataclass
class Traffic:
    """Calls to a mesh, and how they ended."""

    address: str
    http: str
    ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By the last part of the method's name and the code."""
    _texts: Iterator[str] = field(default_factory=lambda: iter(texts("short", 60_000)))

    def round(self, share: float) -> None:
        """This share of every kind."""
        for kind in KINDS:
            self._load(kind, round(kind.calls * share))
        with waypost.Client(self.address) as client, httpx.Client(base_url=self.http) as http:
            for _ in range(round(STREAMS * share) or 1):
                self._stream(client)
            for _ in range(round(REQUESTS * share) or 1):
                self._over_http(http)

    def strangers(self, calls: int) -> None:
        """As many models, tenants and heads that nobody has heard of."""
        unknown = Kind("EmbedService/Embed", calls, lambda text, n: embed(text, model=f"model-{n}"))
        tenants = Kind("EmbedService/Embed", calls, lambda text, n: embed(text, route=hints(tenant=f"tenant-{n}")))
        heads = Kind("ClassifyService/Classify", calls, lambda text, n: classify(text, head=f"head-{n}"))
        for kind in (unknown, tenants, heads):
            self._load(kind, calls)

    @property
    def calls(self) -> int:
        """All of them."""
        return self.ended.total()

    def _load(self, kind: Kind, calls: int) -> None:
        sent = enumerate(itertools.islice(self._texts, calls))
        payloads = [kind.make(text, number).SerializeToString() for number, text in sent]
        path = f"/waypost.v1.{kind.method}"
        _, _, codes, _ = _core.load(
            self.address, path, payloads, clients=CLIENTS, rate=RATE, duration_s=(calls + 0.5) / RATE
        )
        assert sum(codes.values()) == calls
        self._count(kind.method, {CODES[code]: count for code, count in codes.items()})

    def _stream(self, client: waypost.Client) -> None:
        with client.generate_stream(next(self._texts), model="clerk") as pieces:
            assert [*pieces][-1].final
        self._count("GenerateService/GenerateStream", {"OK": 1})

    def _over_http(self, http: httpx.Client) -> None:
        reply = http.post("/v1/embeddings", json={"model": "hash", "input": next(self._texts)})
        assert reply.status_code == 200, reply.text
        self._count("EmbedService/Embed", {"OK": 1})

    def _count(self, method: str, codes: dict[str, int]) -> None:
        self.ended.update({(method.rpartition("/")[2], code): count for code, count in codes.items()})


@contextmanager
def mesh(folder: Path, otlp: str) -> Iterator[Traffic]:
    """The mesh, with a rollout that goes on; no calls yet."""
    tiny_bert.write(folder / "tiny")
    (folder / "broken.j2").write_text("{{ 1 // 0 }}")
    with Plane(folder) as plane, ScriptedProvider(ANSWER) as provider:
        fakes = [plane.fake(name, answer, "flaky") for name, answer in ELSEWHERE.items()]
        listed = ", ".join(f'"{fake.address}"' for fake in fakes)
        with Up(folder, MESH.format(otlp=otlp, provider=provider.url, elsewhere=listed)) as up:
            assert up.ready, up.logged()
            yield _begun(up)


def _begun(up: Up) -> Traffic:
    """With its rollout under way, and every instance ready."""
    with waypost.Client(up.ready["grpc"]) as client:
        eventually(lambda: {each.state for each in client.instances()} == {"ready"})
        client.set_rollout(control.Rollout("chat", stable="clerk", canary="novice", steps=(0.5,)))
    return Traffic(up.ready["grpc"], up.ready["http"])
