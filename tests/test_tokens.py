"""Who may ask what: tokens and keys, their roles, and what is written down of it.

Each refusal is UNAUTHENTICATED or PERMISSION_DENIED with its reason and leaves exactly one line of audit; nothing runs.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor

import waypost
from tests.plane import PATIENCE_S, Failure, Node, Plane, Session, embed, eventually, failure, hints
from waypost import _calls, errors
from waypost.control import NewToken, Rollout
from waypost.observed import ScoreWeights

EMBED = "/waypost.v1.EmbedService/Embed"
TOKEN_REASONS = ("ERROR_REASON_UNAUTHENTICATED", "ERROR_REASON_PERMISSION_DENIED")


class Guarded:
    """A router with tokens, its operator, and the session of its only worker."""

    def __init__(self, plane: Plane, name: str = "router", **config: Any) -> None:
        self.session = Session()
        self.plane = plane
        self.worker = plane.worker(plane.model(self.session), name=f"{name}-w")
        self.router = self.started(name, **config)
        self.operator = waypost.Client(f"unix:{plane.folder}/{name}-operator.sock", key="", timeout=PATIENCE_S)

    def started(self, name: str, **config: Any) -> Node:
        """A router of the same store."""
        folder = self.plane.folder
        doors = {"operator": f"unix:{folder}/{name}-operator.sock", "gateway": f"unix:{folder}/{name}-gateway.sock"}
        usual = {"local": doors, "listen": f"unix:{folder}/{name}.sock", "budget": {"store": f"sqlite:{folder}/l.db"}}
        return self.plane.router(self.worker, **usual | config)

    def token(self, role: str = "infer", tenant: str = "", **options: Any) -> NewToken:
        """A new one; the first there is may only be an admin's."""
        if not self.operator.tokens():
            self.operator.create_token(role="admin")
        return self.operator.create_token(tenant, role=role, **options)

    def called(self, key: str, address: str = "") -> waypost.Client:
        """A client with this key; it ends with the test, as its server does."""
        return waypost.Client(address or self.router.address, key=key, timeout=PATIENCE_S)

    def audits(self, router: Node | None = None) -> list[dict[str, Any]]:
        """The lines since the last look: they are there before the answer is."""
        return [json.loads(line) for line in (router or self.router).core.next_audits(1000, 0.0)]

    def asks(self, key: str, **options: Any) -> str:
        """The instance that answers."""
        with self.called(key) as client:
            return str(client.embed(["a"], model="m", **options).served.instance)


@pytest.fixture
def guarded(plane: Plane) -> Iterator[Guarded]:
    """One that has a token already, so that calls need one."""
    made = Guarded(plane)
    made.token()
    made.audits()
    with closing(made.operator):
        yield made


def revoked(guarded: Guarded) -> str:
    made = guarded.token()
    guarded.operator.revoke_token(made.token.id)
    return made.secret


BAD: list[tuple[str, Callable[[Guarded], str]]] = [
    ("none", lambda guarded: ""),
    ("unknown", lambda guarded: "wp_00000000_" + "A" * 43),
    ("revoked", revoked),
    ("over", lambda guarded: guarded.token(lifetime=0.001).secret),
    ("half", lambda guarded: guarded.token().secret[:-1]),
    ("its public part", lambda guarded: guarded.token().token.id),
    ("its hash", lambda guarded: hashlib.sha256(guarded.token().secret.encode()).hexdigest()),
]


@pytest.mark.parametrize("key", [key for _, key in BAD], ids=[name for name, _ in BAD])
def test_without_a_good_token_nothing_runs(guarded: Guarded, key: Callable[[Guarded], str]) -> None:
    """None, one that was made up, one that is revoked or over, and what is known of a good one."""
    secret = key(guarded)
    guarded.audits()
    with pytest.raises(errors.Denied) as caught:
        guarded.asks(secret)
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.UNAUTHENTICATED, TOKEN_REASONS[0])
    assert guarded.session.ran == []
    (line,) = guarded.audits()
    assert (line["event"], line["outcome"], line["method"], line["who"]) == ("audit", "UNAUTHENTICATED", EMBED, None)
    assert (line["from"], line["door"]) == ("unix", "front")
    assert not secret or secret not in json.dumps(line) + str(caught.value)


@pytest.mark.parametrize("header", ["Basic d3A6d3A=", "bearer", "Bearer ", "Bearer a b", "wp_00000000_A"])
def test_what_is_no_token_is_refused(guarded: Guarded, header: str) -> None:
    """Whatever is sent in its place."""
    pair = ("authorization", header)
    call = guarded.router.send("EmbedService/Embed", embed("a", model="m").SerializeToString(), metadata=(pair,))
    assert failure(call).code == grpc.StatusCode.UNAUTHENTICATED
    assert len(guarded.audits()) == 1
    assert guarded.session.ran == []


def test_a_good_token_is_let_in_and_asking_leaves_no_line(guarded: Guarded) -> None:
    """The audit is of changes and refusals; the decision log says for whom."""
    secret = guarded.token(tenant="acme").secret
    guarded.audits()
    assert guarded.asks(secret) == "router-w"
    assert guarded.audits() == []
    (event,) = guarded.router.core.next_events(10, PATIENCE_S)
    assert json.loads(event)["tenant"] == "acme"
    assert secret not in event


def test_a_token_asks_for_its_own_tenant_alone(guarded: Guarded) -> None:
    """Another's name is PERMISSION_DENIED; the own one may be said."""
    secret = guarded.token(tenant="acme").secret
    guarded.audits()
    for ask in (lambda: guarded.asks(secret, tenant="other"), lambda: guarded.called(secret).budget("other")):
        with pytest.raises(errors.Denied) as caught:
            ask()
        assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.PERMISSION_DENIED, TOKEN_REASONS[1])
        (line,) = guarded.audits()
        assert (line["outcome"], line["who"]["tenant"], line["who"]["role"]) == ("PERMISSION_DENIED", "acme", "infer")
    assert guarded.session.ran == []
    assert guarded.asks(secret, tenant="acme") == "router-w"
    assert guarded.called(secret).budget("acme").spent_usd == 0.0


def test_an_operator_s_token_says_for_whom_it_asks(guarded: Guarded) -> None:
    """Nobody's token of the role infer does not: it would be everybody's."""
    operate, infer = guarded.token("operate").secret, guarded.token().secret
    assert guarded.asks(operate, tenant="acme") == "router-w"
    with pytest.raises(errors.Denied):
        guarded.asks(infer, tenant="acme")


ROLLOUT = Rollout("writer", stable="m", canary="n")
STEERING: dict[str, Callable[[waypost.Client], Any]] = {
    "ListInstances": lambda client: client.instances(),
    "ListRollouts": lambda client: client.rollouts(),
    "SetRollout": lambda client: client.set_rollout(ROLLOUT),
    "UnloadModel": lambda client: client.unload_model("m"),
    "LoadModel": lambda client: client.load_model("m"),
    "GetBudget": lambda client: client.budget(),
    "GetMetrics": lambda client: client.metrics(),
    "GetStatus": lambda client: client.status(),
    "GetHistory": lambda client: client.history(),
    "ListDecisions": lambda client: client.decisions(),
    "DrainInstance": lambda client: client.drain("router-w", drained=False),
    "PinModel": lambda client: client.pin("m"),
    "SetWeights": lambda client: client.set_weights(ScoreWeights(1.0, 1.0, 1.0, 1.0, 0.0)),
    "SetLogLevel": lambda client: client.set_log_level("debug"),
}
GIVING: dict[str, Callable[[waypost.Client], Any]] = {
    "ListTokens": lambda client: client.tokens(),
    "CreateToken": lambda client: client.create_token("acme"),
    "RevokeToken": lambda client: client.revoke_token("00000000"),
}
TOO_LOW = [("infer", name, call) for name, call in (STEERING | GIVING).items()]
TOO_LOW += [("operate", name, call) for name, call in GIVING.items()]


@pytest.mark.parametrize(("role", "name", "call"), TOO_LOW, ids=[f"{role}-{name}" for role, name, _ in TOO_LOW])
def test_a_role_that_is_too_low_changes_nothing(
    guarded: Guarded, role: str, name: str, call: Callable[[waypost.Client], Any]
) -> None:
    """PERMISSION_DENIED, which says what is needed, and one line."""
    made = guarded.token(role, tenant="acme")
    before = guarded.operator.tokens(), guarded.operator.rollouts(), guarded.operator.models()
    guarded.audits()
    with pytest.raises(errors.Denied) as caught:
        call(guarded.called(made.secret))
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.PERMISSION_DENIED, TOKEN_REASONS[1])
    needs = "admin" if name in GIVING else "operate"
    assert (caught.value.metadata["needs"], caught.value.metadata["role"]) == (needs, role)
    (line,) = guarded.audits()
    assert (line["method"].rpartition("/")[2], line["outcome"]) == (name, "PERMISSION_DENIED")
    assert (guarded.operator.tokens(), guarded.operator.rollouts(), guarded.operator.models()) == before


def test_a_refusal_for_a_role_says_whose_it_was(guarded: Guarded) -> None:
    """By the token's public part."""
    made = guarded.token("operate", tenant="acme")
    guarded.audits()
    with pytest.raises(errors.Denied):
        guarded.called(made.secret).tokens()
    (line,) = guarded.audits()
    assert line["who"] == {"tenant": "acme", "role": "operate", "token": made.token.id}


def test_a_line_names_the_token_that_was_made(guarded: Guarded) -> None:
    """So that what it did later can be followed to its maker."""
    made = guarded.token()
    assert made.token.id in guarded.audits()[-1]["detail"]


def test_a_role_that_is_high_enough_is_not_in_the_way(guarded: Guarded) -> None:
    """Each does what those before it do."""
    for role, calls in (("operate", STEERING), ("admin", STEERING | GIVING)):
        client = guarded.called(guarded.token(role).secret)
        assert client.embed(["a"], model="m").served.model == "m"
        for call in calls.values():
            try:
                call(client)
            except errors.Denied as error:
                raise AssertionError(role) from error
            except errors.WaypostError:  # no such model, no such token: said by who was let in
                pass


def methods() -> list[MethodDescriptor]:
    """Everything that the contract has."""
    files = _calls.CONTRACT
    return [method for file in files for service in file.services_by_name.values() for method in service.methods]


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.full_name.removeprefix("waypost.v1."))
def test_no_call_of_the_contract_is_open(guarded: Guarded, method: MethodDescriptor) -> None:
    """Health and reflection, which are not in it, are."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    stream = guarded.router.channel.stream_stream(path)
    with pytest.raises(grpc.RpcError) as caught:
        list(stream(iter([b""]), timeout=PATIENCE_S))
    told = Failure.of(caught.value)
    assert (told.code, told.reason) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
    assert [line["method"] for line in guarded.audits()] == [path]
    assert guarded.router.health() == "SERVING"


OTHERS = ["ModelInfer", "ModelStreamInfer", "ServerMetadata", "RepositoryIndex", "RepositoryModelUnload"]


@pytest.mark.parametrize("path", [*(f"/inference.GRPCInferenceService/{name}" for name in OTHERS), "/no.Such/Thing"])
def test_no_other_door_is_open(guarded: Guarded, path: str) -> None:
    """Those of the Open Inference Protocol, and what there is not."""
    with pytest.raises(grpc.RpcError) as caught:
        list(guarded.router.channel.stream_stream(path)(iter([b""]), timeout=PATIENCE_S))
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert [line["outcome"] for line in guarded.audits()] == ["UNAUTHENTICATED"]


def test_the_other_protocol_takes_the_same_roles(guarded: Guarded) -> None:
    """A model leaves the service by either only for whom may steer."""
    unload = guarded.router.channel.unary_unary("/inference.GRPCInferenceService/RepositoryModelUnload")
    for role, codes in (("infer", {grpc.StatusCode.PERMISSION_DENIED}), ("operate", {None, grpc.StatusCode.NOT_FOUND})):
        secret = guarded.token(role).secret
        guarded.audits()
        call = unload.future(b"", PATIENCE_S, metadata=(("authorization", f"Bearer {secret}"),))
        assert getattr(call.exception(), "code", lambda: None)() in codes
        assert [line["outcome"] for line in guarded.audits()] == [
            "PERMISSION_DENIED" if role == "infer" else "NOT_FOUND"
        ]
    assert [model.unloaded for model in guarded.operator.models()] == [False]


def test_changes_are_written_down_with_who_made_them(guarded: Guarded) -> None:
    """One line each; looking is none."""
    admin = guarded.token("admin", note="mine")
    client = guarded.called(admin.secret)
    guarded.audits()
    made = client.create_token("acme", lifetime=3600.0)
    client.tokens()
    client.revoke_token(made.token.id)
    client.unload_model("m")
    client.load_model("m")
    client.drain("router-w")
    client.drain("router-w", drained=False)
    client.pin("m")
    client.set_weights(ScoreWeights(1.0, 1.0, 0.5, 1.0, 0.0))
    client.set_log_level("debug")
    client.status(), client.history(), client.decisions(), client.metrics()
    lines = guarded.audits()
    assert [(line["method"].rpartition("/")[2], line["outcome"]) for line in lines] == [
        ("CreateToken", "OK"),
        ("RevokeToken", "OK"),
        ("UnloadModel", "OK"),
        ("LoadModel", "OK"),
        ("DrainInstance", "OK"),
        ("DrainInstance", "OK"),
        ("PinModel", "OK"),
        ("SetWeights", "OK"),
        ("SetLogLevel", "OK"),
    ]
    assert {line["who"]["token"] for line in lines} == {admin.token.id}
    assert "acme" in lines[0]["detail"] and made.token.id in lines[1]["detail"] and "m" in lines[2]["detail"]
    assert made.secret.rpartition("_")[2] not in json.dumps(lines)


def test_a_change_that_fails_is_written_down_too(guarded: Guarded) -> None:
    """With how it ended."""
    with pytest.raises(errors.NotFound):
        guarded.operator.revoke_token("00000000")
    (line,) = guarded.audits()
    assert (line["outcome"], line["door"], line["who"]["role"]) == ("NOT_FOUND", "operator", "admin")


def test_the_door_is_open_until_the_first_token_and_never_again(plane: Plane) -> None:
    """To revoke the last one does not open it."""
    guarded = Guarded(plane)
    assert guarded.asks("") == "router-w"
    with pytest.raises(errors.InvalidRequest) as caught:
        guarded.operator.create_token("acme")
    assert caught.value.field == "role"
    made = guarded.operator.create_token(role="admin")
    with pytest.raises(errors.Denied):
        guarded.asks("")
    assert guarded.asks(made.secret) == "router-w"
    guarded.operator.revoke_token(made.token.id)
    for key in ("", made.secret):
        with pytest.raises(errors.Denied):
            guarded.asks(key)
    guarded.operator.close()


def test_a_door_that_is_shut_from_the_beginning_is(plane: Plane) -> None:
    """Only the operator gets in, who makes the first token."""
    guarded = Guarded(plane, auth={"required": True})
    with pytest.raises(errors.Denied):
        guarded.asks("")
    assert guarded.operator.instances()
    assert guarded.asks(guarded.operator.create_token("acme").secret) == "router-w"
    guarded.operator.close()


def test_keys_of_the_configuration_have_roles(plane: Plane) -> None:
    """Beside tokens; each tenant's key is its own."""
    tenants = [{"name": "acme", "key": "k-acme"}, {"name": "ops", "key": "k-ops", "role": "operate"}]
    guarded = Guarded(plane, tenants=tenants)
    assert guarded.asks("k-acme") == "router-w"
    with pytest.raises(errors.Denied):
        guarded.called("k-acme").instances()
    assert guarded.called("k-ops").instances()
    assert guarded.asks(guarded.operator.create_token("acme").secret) == "router-w"
    guarded.operator.close()


def test_tokens_are_good_after_a_restart(guarded: Guarded) -> None:
    """And those that were revoked are not."""
    good, bad = guarded.token(tenant="acme"), revoked(guarded)
    guarded.router.close()
    again = guarded.started("again")
    assert guarded.called(good.secret, again.address).embed(["a"], model="m").served.model == "m"
    for key in ("", bad):
        with pytest.raises(errors.Denied):
            guarded.called(key, again.address).embed(["a"], model="m")


def _is_good(guarded: Guarded, router: Node, key: str) -> bool:
    with guarded.called(key, router.address) as client:
        try:
            return bool(client.embed(["a"], model="m"))
        except errors.Denied:
            return False


def test_routers_of_one_store_have_the_same_tokens(guarded: Guarded) -> None:
    """One that is made or revoked at either is so at the other, within a second or so."""
    other = guarded.started("other")
    made = guarded.token()
    eventually(lambda: _is_good(guarded, other, made.secret))
    with waypost.Client(f"unix:{guarded.plane.folder}/other-operator.sock") as operator:
        operator.revoke_token(made.token.id)
    assert not _is_good(guarded, other, made.secret)
    eventually(lambda: not _is_good(guarded, guarded.router, made.secret))


def test_a_router_that_is_open_shuts_when_another_makes_a_token(plane: Plane) -> None:
    """Of the same store."""
    guarded = Guarded(plane)
    other = guarded.started("other")
    assert _is_good(guarded, other, "")
    guarded.token()
    eventually(lambda: not _is_good(guarded, other, ""))
    guarded.operator.close()


def test_the_store_keeps_no_secret(guarded: Guarded) -> None:
    """Only its SHA-256."""
    secret = guarded.token(tenant="acme").secret
    kept = b"".join(path.read_bytes() for path in guarded.plane.folder.glob("l.db*"))
    assert secret.rpartition("_")[2].encode() not in kept
    assert hashlib.sha256(secret.encode()).hexdigest().encode() in kept


def test_tokens_are_drawn_from_the_whole_space(guarded: Guarded) -> None:
    """256 bits each, and none twice."""
    made = [guarded.token() for _ in range(20)]
    assert len({each.secret for each in made}) == len({each.token.id for each in made}) == 20
    for each in made:
        prefix, public, rest = each.secret.split("_", 2)
        assert (prefix, public, len(rest)) == ("wp", each.token.id, 43)


def test_sockets_are_for_their_user_alone(guarded: Guarded) -> None:
    """Whoever can open the operator's is the operator."""
    for door in ("operator", "gateway"):
        mode = Path(f"{guarded.plane.folder}/router-{door}.sock").stat().st_mode
        assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600


def test_the_gateway_s_socket_lets_nobody_in_by_itself(guarded: Guarded) -> None:
    """It passes on what its callers bring."""
    gateway = f"unix:{guarded.plane.folder}/router-gateway.sock"
    secret = guarded.token().secret
    guarded.audits()
    with pytest.raises(errors.Denied):
        guarded.called("", gateway).embed(["a"], model="m")
    assert [line["door"] for line in guarded.audits()] == ["gateway"]
    assert guarded.called(secret, gateway).embed(["a"], model="m").served.model == "m"


BAD_WISHES: list[dict[str, Any]] = [
    {"note": "a" * 129},
    {"note": "line\nbreak"},
    {"tenant": "a" * 65},
    {"tenant": "\x1b[2J"},
    {"lifetime": 0.0},
    {"lifetime": -1.0},
]


@pytest.mark.parametrize("wish", BAD_WISHES, ids=[next(iter(wish)) for wish in BAD_WISHES])
def test_a_token_that_makes_no_sense_is_not_made(guarded: Guarded, wish: dict[str, Any]) -> None:
    """The field is named."""
    before = guarded.operator.tokens()
    with pytest.raises(errors.InvalidRequest) as caught:
        guarded.operator.create_token(**wish)
    assert caught.value.field == next(iter(wish))
    assert guarded.operator.tokens() == before


def test_a_model_that_is_out_of_service_says_so(guarded: Guarded) -> None:
    """Calls that name it fail, until it is back."""
    assert guarded.operator.unload_model("m").unloaded
    assert [model.unloaded for model in guarded.operator.models()] == [True]
    with pytest.raises(errors.Unloaded) as caught:
        guarded.operator.embed(["a"], model="m")
    assert caught.value.reason == "ERROR_REASON_MODEL_UNLOADED"
    assert guarded.session.ran == []
    assert not guarded.operator.load_model("m").unloaded
    assert guarded.operator.pin("m").pinned
    with pytest.raises(errors.WaypostError, match="pinned") as caught:
        guarded.operator.unload_model("m")
    assert caught.value.reason == "ERROR_REASON_MODEL_PINNED"
    assert guarded.operator.embed(["a"], model="m").served.model == "m"
    with pytest.raises(errors.NotFound):
        guarded.operator.unload_model("none")


def test_a_tenant_s_calls_under_way_are_bounded(plane: Plane) -> None:
    """One more than may be fails at once, says when to come back, and does not run."""
    limited = [{"name": "acme", "key": None, "max_in_flight": 1}]
    guarded = Guarded(plane, tenants=limited, tenant_default={"max_in_flight": 2})
    guarded.session.gate.clear()
    first = guarded.router.start(embed("one", model="m", route=hints(tenant="acme")))
    assert guarded.session.next() == "one"
    refused = guarded.router.failure(embed("two", model="m", route=hints(tenant="acme")))
    assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED")
    assert refused.retry_after_s
    others = [guarded.router.start(embed(text, model="m", route=hints(tenant="b"))) for text in ("three", "four")]
    eventually(lambda: guarded.router.waiting() == 3)
    assert guarded.router.failure(embed("five", model="m", route=hints(tenant="b"))).reason == "QUOTA_EXCEEDED"
    guarded.session.gate.set()
    for call in (first, *others):
        call.result()
    assert guarded.router.call(embed("six", model="m", route=hints(tenant="acme")))
    assert not {"two", "five"} & set(guarded.session.ran)
    guarded.operator.close()
