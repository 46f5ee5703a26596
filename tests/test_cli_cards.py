"""`waypost models card`, `versions` and `aliases`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import tiny_bert
from tests.commands import Run
from tests.fake_mesh import FakeMesh
from waypost.v1 import mesh_pb2

EXAMPLES = "text,label\n" + "".join(
    f"{text} {n},{label}\n"
    for n in range(5)
    for text, label in (("send money to", "money"), ("will it rain on", "weather"))
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own."""
    monkeypatch.setenv("WAYPOST_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def answer(mesh: FakeMesh, *rollouts: mesh_pb2.RolloutStatus) -> None:
    """Has the mesh tell of these."""
    mesh.answers |= {
        "ListModels": lambda request, context: mesh_pb2.ListModelsResponse(),
        "ListRollouts": lambda request, context: mesh_pb2.ListRolloutsResponse(rollouts=rollouts),
    }


@pytest.fixture
def trained(run: Run, tmp_path: Path) -> Path:
    """A head of one's own labels."""
    (tmp_path / "mine.csv").write_text(EXAMPLES)
    options = ("--name", "mine", "--encoder", "none", "--out", f"{tmp_path}/o")
    done = run("train", "labels", f"{tmp_path}/mine.csv", *options)
    assert done.code == 0, done.err
    return tmp_path / "o" / "mine.safetensors"


def test_a_card_is_shown_for_people(run: Run) -> None:
    """With what is not known."""
    shown = run("models", "card", "all-minilm-l6-v2").out
    for expected in ("all-minilm-l6-v2, version 1", "Apache-2.0", "256 tokens", "Not known"):
        assert expected in shown


def test_markdown_and_json_are_printed_as_they_are(run: Run) -> None:
    """For files, and for programs."""
    assert run("models", "card", "hash", "--markdown").out.startswith("# hash, version 1\n")
    told = run("models", "card", "intent", "--json").json
    assert (told["kind"], told["role"], told["lineage"]["parent"]["name"]) == ("head", "student", "all-minilm-l6-v2")


def test_the_schema_is_that_of_the_json(run: Run) -> None:
    """No model is needed for it."""
    assert "unknown" in run("models", "card", "--schema").json["properties"]


def test_a_name_that_nothing_has_is_told_its_nearest(run: Run) -> None:
    """Among models and heads."""
    done = run("models", "card", "sentimen")
    assert (done.code, done.out) == (1, "")
    assert "did you mean 'sentiment'" in done.err
    assert run("models", "versions", "nothing-like-it").code == 1


def test_a_folder_has_a_card_too(run: Run, tmp_path: Path) -> None:
    """Which says how that very folder is served."""
    folder = tiny_bert.write(tmp_path / "tiny")
    told = run("models", "card", str(folder), "--json").json
    assert told["name"] == "tiny"
    assert f'source = "{folder}"' in told["serve"]


def test_a_head_trained_here_is_known_by_its_name(run: Run, trained: Path) -> None:
    """And by its path; its lineage is that of the record beside it."""
    by_name, by_path = (run("models", "card", each, "--json").json for each in ("mine", str(trained)))
    record = json.loads(trained.with_name("mine.lineage.json").read_text())
    assert by_name == by_path
    assert by_name["lineage"]["data"]["sha256"] == record["data"]["sha256"]
    assert f"- Id: `{record['id']}`" in run("models", "card", "mine", "--markdown").out


def test_a_head_without_its_run_log_says_what_is_missing(run: Run, trained: Path) -> None:
    """The card claims nothing that was not measured."""
    trained.with_name("mine.run.json").unlink()
    done = run("models", "card", str(trained))
    assert done.code == 1
    assert "mine.run.json does not exist" in done.err


def test_versions_are_those_of_the_catalogue_shipped_and_trained(run: Run, trained: Path) -> None:
    """Each with its parent and the sum it goes by."""
    told = {each["name"]: each for each in run("models", "versions", "--json").json}
    assert told["all-minilm-l6-v2"]["where"] == "in the catalogue"
    assert (told["intent"]["where"], told["intent"]["parent"]) == ("shipped", "all-minilm-l6-v2/1")
    assert told["mine"]["where"] == str(trained)
    assert [each["name"] for each in run("models", "versions", "mine", "--json").json] == ["mine"]


@pytest.mark.parametrize(
    ("state", "model", "canary"),
    [("RUNNING", "small", "large"), ("PROMOTED", "large", ""), ("ROLLED_BACK", "small", "")],
)
def test_an_alias_stands_for_the_model_that_answers(
    run: Run, mesh: FakeMesh, state: str, model: str, canary: str
) -> None:
    """The stable one, until the other is promoted."""
    rollout = mesh_pb2.Rollout(
        name="writer", stable="small", canary="large", steps=[0.1], state=f"ROLLOUT_STATE_{state}"
    )
    answer(mesh, mesh_pb2.RolloutStatus(rollout=rollout))
    (told,) = run("models", "aliases", "--address", mesh.address, "--json").json
    assert (told["alias"], told["model"], told["canary"]) == ("writer", model, canary)
    assert "writer" in run("models", "aliases", "--address", mesh.address).out


def test_a_mesh_without_aliases_says_how_to_make_one(run: Run, mesh: FakeMesh) -> None:
    """Every model is called by its own name."""
    answer(mesh)
    assert "`waypost rollout start`" in run("models", "aliases", "--address", mesh.address).out
