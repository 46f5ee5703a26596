"""What docs/retrieval.md shows is what happens: its Python and its commands, against a mesh that keeps documents."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import waypost
from tests.commands import Run
from tests.gateway import Up
from tests.libraries import mesh as with_documents
from waypost import config
from waypost._documents import filters
from waypost.chunks import chunks
from waypost.cli.where import filter_of

MANUAL = (Path(__file__).parents[1] / "docs" / "retrieval.md").read_text()
(CODE,) = re.findall(r"```python\n(.*?)```", MANUAL, re.DOTALL)
COMMANDS = re.findall(r"^\$ waypost docs (.*?)(?:\s+#.*)?$", MANUAL.partition("## The command line")[2], re.MULTILINE)
FILTERS = re.findall(r"^\| `(\{.*?\}) *`.*?\| (.*?) \|", MANUAL, re.MULTILINE)
POLICIES = {
    "policies/leave.md": "# Leave\n\nEverybody has 30 days of leave a year.\n\nAsk your lead first.\n",
    "policies/trips.txt": "Trips are booked by the office, train before plane.\n",
    "faq.csv": "id,text,lang,year\nleave,How long may I be away? 30 days a year.,en,2026\nurlaub,30 Tage.,de,2019\n",
    "documents.jsonl": '{"id": "desk", "text": "Desks are booked by the day.", "lang": "en"}\n',
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a mesh that keeps documents."""
    with Up(tmp_path_factory.mktemp("library"), with_documents()) as up:
        yield up.ready["grpc"]


def test_the_program_prints_what_it_finds(
    library: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The filter leaves one, and the passage is in its text."""
    monkeypatch.setattr(waypost, "Client", partial(waypost.Client, library), raising=False)
    exec(CODE, {})
    printed = capsys.readouterr().out.strip()
    assert printed.count("\n") == 0
    assert printed.startswith("leave ") and "30 days of leave" in printed


def test_the_commands_do_what_they_say(library: str, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One after the other, as they stand; what was added is found, what was deleted is not."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WAYPOST_ADDRESS", library)
    for name, text in POLICIES.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text)
    run("docs", "delete", "handbook", "--all")
    done: dict[str, Any] = {}
    for line in COMMANDS:
        words, _, file = line.partition(" < ")
        ended = run("docs", *shlex.split(words), stdin=Path(file).read_text() if file else "")
        assert ended.code == 0, f"{line}: {ended.err}"
        done[words] = ended.out
    added, from_standard_input, query, listed, got, deleted, namespaces, kept = done.values()
    assert added == "handbook: 4 added, 0 replaced\n"
    assert from_standard_input == "handbook: 1 added, 0 replaced\n"
    assert "leave" in query and "30 days" in query
    assert "desk" in listed and "urlaub" not in listed
    assert "How long may I be away? 30 days a year." in got
    assert deleted == "handbook: 1 removed\n"
    assert re.search(r"handbook .* 4 ", namespaces) and "good" in namespaces
    assert "365 days" in kept
    assert run("docs", "list", "handbook", "--where", "lang=de", "--json").json == []


def test_a_file_that_became_shorter_leaves_nothing_behind(
    library: str, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its pieces are replaced, those beyond its end are gone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WAYPOST_ADDRESS", library)
    text = "\n\n".join(f"Paragraph {number} is about the letter {chr(97 + number)}." for number in range(12))
    pieces = len(chunks(text, 60))
    Path("letters.txt").write_text(text)
    assert run("docs", "add", "letters", "letters.txt", "--piece", "60", "--json").json["added"] == pieces
    Path("letters.txt").write_text(text[:100])
    again = run("docs", "add", "letters", "letters.txt", "--piece", "60", "--json").json
    left = len(chunks(text[:100], 60))
    assert (again["added"], again["replaced"], again["removed"]) == (0, left, pieces - left)
    assert len(run("docs", "list", "letters", "--json").json) == left


def test_a_refused_document_is_named_by_the_real_mesh_too(
    library: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its id, with what was kept before it."""
    monkeypatch.setenv("WAYPOST_ADDRESS", library)
    lines = [f'{{"id": "d{number}", "text": "a"}}' for number in range(69)] + ['{"id": "", "text": "a"}']
    done = run("docs", "add", "refused", "-", stdin="\n".join(lines))
    assert done.code == 2
    assert "documents[5].id" in done.err and done.err.endswith("64 documents before it are kept\n")


@pytest.mark.parametrize(("said", "where"), FILTERS, ids=[said for said, _ in FILTERS])
def test_filters_of_the_manual_are_filters(said: str, where: str) -> None:
    """And what the command line says of them means the same."""
    made = filters.built(ast.literal_eval(said.replace("{…}", '{"a": 1}').replace("[…]", '[{"a": 1}]')))
    assert made is not None
    conditions = re.findall(r"`(.*?)`", where)
    if conditions and ">=" not in where:
        assert filters.built(filter_of(conditions)) == made


def test_the_manual_has_what_these_tests_look_for() -> None:
    """Else they would pass by finding nothing."""
    assert len(COMMANDS) == 8
    assert len(FILTERS) > 6


@pytest.mark.parametrize("key", config.Retrieve.model_fields)
def test_every_setting_is_in_the_manual(key: str) -> None:
    """And the defaults are shown by `waypost config show`."""
    assert f"`retrieve.{key}`" in MANUAL


@pytest.mark.parametrize("path", re.findall(r"\]\(([^):#]+)\)", MANUAL))
def test_links_lead_somewhere(path: str) -> None:
    """Relative ones; the rest is other people's."""
    assert (Path(__file__).parents[1] / "docs" / path).exists()
