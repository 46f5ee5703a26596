"""The command line against a fake mesh: what is printed where, and with which exit code."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc.error_details_pb2 import ErrorInfo

from tests.commands import Run
from waypost import config
from waypost.v1 import classify_pb2, embed_pb2, mesh_pb2, rerank_pb2


def test_embed_prints_json_alone_on_stdout(run: Run, mesh: Any) -> None:
    """Vectors are lists of numbers; the address comes from the environment or the option."""
    row = np.ones(2, dtype="<f4")
    mesh.answers["Embed"] = lambda request, context: embed_pb2.EmbedResponse(dimensions=2, vectors=row.tobytes())
    done = run("embed", "hello", "--address", mesh.address, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json["vectors"] == [[1.0, 1.0]]


def test_the_address_may_come_from_the_environment(run: Run, mesh: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """WAYPOST_ADDRESS, as the help says."""
    monkeypatch.setenv("WAYPOST_ADDRESS", mesh.address)
    mesh.answers["ListModels"] = lambda request, context: mesh_pb2.ListModelsResponse()
    mesh.answers["ListInstances"] = lambda request, context: mesh_pb2.ListInstancesResponse()
    assert run("status", "--json").json == {"grpc": mesh.address, "http": None, "instances": [], "models": []}


def test_texts_come_from_standard_input_when_none_are_given(run: Run, mesh: Any) -> None:
    """One a line."""
    mesh.answers["Classify"] = lambda request, context: classify_pb2.ClassifyResponse(
        head="mood",
        results=[classify_pb2.Classification(labels=[classify_pb2.LabelScore(label="joy", score=0.5)])] * 2,
    )
    done = run("classify", "--head", "mood", "--address", mesh.address, stdin="a\nb\n")
    assert list(mesh.requests[0].texts) == ["a", "b"]
    assert "joy 0.50" in done.out


def test_rerank_shows_the_documents_best_first(run: Run, mesh: Any) -> None:
    """With their scores and the method."""
    ranking = [rerank_pb2.RankedDocument(index=1, score=2.0), rerank_pb2.RankedDocument(index=0, score=1.0)]
    mesh.answers["Rerank"] = lambda request, context: rerank_pb2.RerankResponse(method="exact", ranking=ranking)
    done = run("rerank", "query", "first", "second", "--address", mesh.address)
    assert done.out.index("second") < done.out.index("first")
    assert "exact" in done.out


def test_status_shows_instances_and_models(run: Run, mesh: Any) -> None:
    """One table each."""
    instance = mesh_pb2.InstanceStatus(instance="local-0", state=mesh_pb2.INSTANCE_STATE_READY)
    model = mesh_pb2.ModelInfo(name="minilm", heads=[mesh_pb2.HeadInfo(name="intent")])
    mesh.answers["ListInstances"] = lambda request, context: mesh_pb2.ListInstancesResponse(instances=[instance])
    mesh.answers["ListModels"] = lambda request, context: mesh_pb2.ListModelsResponse(models=[model])
    done = run("status", "--address", mesh.address)
    assert all(word in done.out for word in ("local-0", "ready", "minilm", "intent"))


def test_a_refused_call_is_one_line_on_stderr(run: Run, mesh: Any, fail: Any) -> None:
    """Exit code 1, nothing on stdout, no traceback."""
    reason = ErrorInfo(reason="ERROR_REASON_MODEL_NOT_FOUND")
    mesh.answers["Embed"] = fail(grpc.StatusCode.NOT_FOUND, "no instance has a model 'x'", reason)
    done = run("embed", "hello", "--model", "x", "--address", mesh.address, "--json")
    assert (done.code, done.out, done.err) == (1, "", "waypost: no instance has a model 'x'\n")


def test_a_missing_key_comes_with_where_to_put_it(run: Run, mesh: Any, fail: Any) -> None:
    """Keys do not stand in command lines."""
    reason = ErrorInfo(reason="ERROR_REASON_UNAUTHENTICATED")
    mesh.answers["Embed"] = fail(grpc.StatusCode.UNAUTHENTICATED, "no key was sent", reason)
    done = run("embed", "hello", "--address", mesh.address)
    assert done.code == 1
    assert "takes the key from the environment, as WAYPOST_KEY" in done.err


def test_keys_that_the_router_cannot_find_are_told_before_anything_starts(run: Run, tmp_path: Path) -> None:
    """With the place in the configuration, and exit code 2."""
    path = tmp_path / "waypost.toml"
    tenant = '[[router.tenants]]\nname = "acme"\nkey_env = "NOBODY_SET_THIS"\n'
    path.write_text(tenant + '[[workers]]\nname = "a"\n[[workers.models]]\nname = "h"\nbackend = "hash"\n')
    done = run("up", "--config", str(path), "--listen", "127.0.0.1:0")
    assert done.code == 2
    assert 'router.tenants[0].key_env = "NOBODY_SET_THIS": no key there' in done.err


def test_a_mesh_that_is_not_there_comes_with_advice(run: Run, tmp_path: Path) -> None:
    """How to start one."""
    done = run("embed", "hello", "--address", f"unix:{tmp_path}/none.sock", "--timeout", "5")
    assert done.code == 1
    assert "`waypost up` starts one" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [("nonsense",), ("embed", "--nonsense"), ("classify", "a", "--threshold", "nan", "--address", "unix:/none")],
    ids=["command", "option", "value"],
)
def test_wrong_usage_has_exit_code_2(run: Run, arguments: tuple[str, ...]) -> None:
    """An unknown command, an unknown option, a value that cannot be."""
    done = run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err


def test_config_check_reports_every_problem(run: Run, tmp_path: Path) -> None:
    """On stderr for people; as JSON for programs; exit code 2 either way."""
    path = tmp_path / "waypost.toml"
    path.write_text('[router]\nlisten = "nowhere"\npolicy = "best"\n')
    for_people, for_programs = run("config", "check", str(path)), run("config", "check", str(path), "--json")
    assert (for_people.code, for_programs.code) == (2, 2)
    assert "3 problems" in for_people.err
    assert [each["key"] for each in for_programs.json["problems"]] == ["router.listen", "router.policy", "workers"]


def test_the_default_configuration_can_be_shown_and_passes_its_own_check(run: Run, tmp_path: Path) -> None:
    """`waypost config show > waypost.toml` is a good start."""
    path = tmp_path / "waypost.toml"
    path.write_text(run("config", "show").out)
    assert config.load(path) == config.load(None)
    assert run("config", "check", str(path)).code == 0


def test_a_port_in_use_is_an_error_before_anything_starts(run: Run) -> None:
    """The message names the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run("up", "--listen", address)
    assert done.code == 1
    assert f"{address} is in use" in done.err


@pytest.mark.parametrize("command", [("up",), ("router",), ("worker", "--name", "local")])
def test_plain_text_for_other_machines_is_not_listened_for_by_mistake(run: Run, command: tuple[str, ...]) -> None:
    """An address of the command line is held to what one of the file is; the message says how to have it."""
    done = run(*command, "--listen", "0.0.0.0:1")
    assert done.code == 2
    assert '.listen = "0.0.0.0:1": plain text, for everybody who can reach it; add [' in done.err
    assert "--insecure" in done.err


def test_a_worker_that_is_not_in_the_configuration_is_named(run: Run) -> None:
    """With those that are."""
    done = run("worker", "--name", "other")
    assert done.code == 2
    assert "no worker 'other' in the configuration; there is local, writer" in done.err


def test_help_lists_every_command(run: Run) -> None:
    """The commands of the house."""
    shown = run("--help").out
    commands = "up router worker pull models status embed classify rerank generate chat route budget feedback rollout "
    commands += "train bench demo config token audit health logs top docs"
    assert [name for name in commands.split() if name not in shown] == []
