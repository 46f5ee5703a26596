"""`waypost store`: the log of calls for people and programs."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from router.store.rows import Anonymous
from services.heads import shipped as heads
from tests.commands import Run
from tests.stores import NOW, decision, empty, fill
from waypost.catalogue import lineage

HOUR = timedelta(hours=1)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Waypost's home with a log of six calls, an hour apart; the last one was an hour ago."""
    monkeypatch.setenv("WAYPOST_HOME", str(tmp_path / "home"))
    ago = datetime.now(UTC) - NOW
    lines = [
        decision(f"r{i}", (6 - i) * HOUR - ago, tenant=("acme", "eve")[i % 2], latency_ms=100.0 * i) for i in range(6)
    ]
    failed = decision("r6", -ago, code="UNAVAILABLE", model=None, model_reason=None, reason=None, chosen=None)
    with empty(f"sqlite:{tmp_path}/home/store.db") as engine:
        fill(engine, tmp_path / "journal", *lines, failed)
    return tmp_path / "home"


def ids(run: Run, *arguments: str) -> list[str]:
    """Of the calls that are found."""
    return [each["request_id"] for each in run("store", "query", *arguments, "--json").json]


def test_calls_are_found_newest_first(run: Run, home: Path) -> None:
    """By any of what is asked for."""
    assert ids(run, "--last", "3") == ["r6", "r5", "r4"]
    assert ids(run, "--tenant", "eve") == ["r5", "r3", "r1"]
    assert ids(run, "--since", "150m") == ["r6", "r5", "r4"]
    assert ids(run, "--until", "330m") == ["r0"]
    assert ids(run, "--status", "unavailable") == ["r6"]
    assert ids(run, "--slower", "400ms", "--task", "embed") == ["r5", "r4"]


def test_a_call_is_told_as_json(run: Run, home: Path) -> None:
    """All that is known, and nothing that is not."""
    (call,) = run("store", "query", "--request", "r5", "--json").json
    assert (call["decision"]["request_id"], call["latency_ms"], call["status"]) == ("r5", 500.0, "OK")
    assert "error" not in call


def test_people_read_a_table(run: Run, home: Path) -> None:
    """Of calls, and of sums."""
    shown = run("store", "query", "--last", "2").out
    assert ["UNAVAILABLE" in shown, "500.00 ms" in shown, "r4" in shown] == [True, True, False]
    shown = run("store", "query", "--by", "tenant,status").out
    assert "eve" in shown
    sums = run("store", "query", "--by", "model", "--json").json
    assert [(each["model"], each["calls"], each["failed"], each["p50_ms"]) for each in sums] == [
        ("minilm", 6, 0, 250.0),
        (None, 1, 1, 3.25),
    ]


def test_wrong_words_are_said(run: Run, home: Path, tmp_path: Path) -> None:
    """With what would be right."""
    for arguments, said in (
        (("query", "--by", "colour"), "not one of day, task"),
        (("export", "-", "--table", "secrets"), "not one of model_inferences"),
        (("export", "-", "--format", "parquet"), "into a file"),
        (("query", "--url", f"sqlite:{tmp_path}/none.db"), "no log of calls"),
        (("query", "--url", "postgresql://me:secret@127.0.0.1:1/none"), "connection"),
    ):
        outcome = run("store", *arguments)
        assert outcome.code in (1, 2)
        assert said in outcome.err
        assert "secret@" not in outcome.err
    assert not (tmp_path / "none.db").exists()


def test_cold_calls_are_calls(run: Run, home: Path) -> None:
    """After compaction as before, and the status says how much smaller they are."""
    before = ids(run)
    moved = run("store", "compact", "--older", "150m", "--json").json
    assert (moved["rows"], ids(run)) == (4, before)
    found = run("store", "status", "--json").json
    assert (found["rows"]["model_inferences"], found["cold"]["rows"], found["cold"]["files"]) == (3, 4, 1)
    assert found["cold"]["was_bytes"] == moved["was_bytes"]
    assert "as lines of JSON" in run("store", "status").out


@pytest.mark.parametrize("compacted", [False, True])
def test_exports_have_every_row(run: Run, home: Path, tmp_path: Path, compacted: bool) -> None:
    """As lines and as Parquet, for this user alone; no file is written over."""
    if compacted:
        assert run("store", "compact", "--older", "150m").code == 0
    lines, parquet = tmp_path / "calls.jsonl", tmp_path / "calls.parquet"
    assert run("store", "export", str(lines)).code == 0
    assert [json.loads(line)["request_id"] for line in lines.read_text().splitlines()] == [f"r{i}" for i in range(7)]
    assert stat.S_IMODE(lines.stat().st_mode) == 0o600
    assert run("store", "export", str(parquet), "--format", "parquet", "--tenant", "eve").code == 0
    import pyarrow.parquet as pq

    assert pq.read_table(parquet).column("request_id").to_pylist() == ["r1", "r3", "r5"]
    for path in (lines, parquet):
        outcome = run("store", "export", str(path), "--format", path.suffix[1:])
        assert (outcome.code, "there already" in outcome.err) == (1, True)


def test_a_tenant_is_forgotten_everywhere(run: Run, home: Path) -> None:
    """In the database and in cold files."""
    run("store", "compact", "--older", "150m")
    assert run("store", "forget", "--tenant", "eve", "--yes", "--json").json == {"tenant": "eve", "rows": 3}
    assert ids(run, "--tenant", "eve") == []
    assert ids(run) == ["r6", "r4", "r2", "r0"]


def test_an_anonymous_log_is_asked_by_name(run: Run, home: Path, tmp_path: Path) -> None:
    """With the key of its home, which makes the same hashes again."""
    file = tmp_path / "waypost.toml"
    file.write_text(
        '[router.store]\nanonymise = true\n[[workers]]\nname = "w"\n[[workers.models]]\nname = "h"\nbackend = "hash"\n'
    )
    key = home / "payloads.key"
    key.write_bytes(b"k" * 32)
    with empty(f"sqlite:{home}/store.db") as engine:
        fill(engine, tmp_path / "journal", decision("r7", tenant="zoe"), hide=Anonymous(key.read_bytes()))
    hidden = Anonymous(b"k" * 32).name("r7")
    assert ids(run, "--tenant", "zoe") == []
    assert ids(run, "--tenant", "zoe", "--config", str(file)) == [hidden]
    assert ids(run, "--request", "r7", "--config", str(file)) == [hidden]


def test_what_was_trained_here_is_known_to_all(run: Run, home: Path) -> None:
    """With its card, data, parent and hyperparameters; once, however often it is told."""
    log = lineage.run_log(Path(str(heads.__file__)).parent / "intent.safetensors")
    record = lineage.of_head(log)
    copied = home / "intent.safetensors"
    copied.with_name("intent.run.json").write_text(json.dumps(log))
    lineage.register(copied, record)
    for _ in range(2):
        (found,) = run("store", "models", "--json").json
    assert (found["name"], found["version"], found["dataset_hash"]) == (record.name, record.version, record.data.sha256)
    assert found["card"]["labels"] == log["labels"]
    assert found["hyperparameters"]["seed"] == log["seed"]
    assert found["parent"] == (record.parent and f"{record.parent.name}@{record.parent.version}")
    assert "intent" in run("store", "models").out
