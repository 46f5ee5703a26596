"""`waypost models measure`: a real worker, called over gRPC, and what is kept of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.prepare import prepare
from tests import tiny_bert
from tests.commands import Run
from waypost.catalogue import facts_in
from waypost.catalogue.measurements import Machine, Measurement, measurements
from waypost.cli import measuring
from waypost.cli.failures import CommandError
from waypost.config import Model

QUICK = ("--seconds", "0.2")

pytestmark = pytest.mark.timeout(300)
"""Each starts a process three times, which takes a second or, on a busy machine, half a minute."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own."""
    monkeypatch.setenv("WAYPOST_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def check(found: Measurement) -> None:
    """What any measurement says."""
    assert found.machine == Machine.this()
    assert 0 < found.empty_load_s < 60
    assert 0 < found.load_s < 60
    assert found.memory
    assert 0 < found.memory.empty <= found.memory.peak
    assert found.memory.loaded <= found.memory.peak
    for work in found.works:
        assert work.failed == 0
        assert 0 < work.p50_ms <= work.p95_ms <= work.p99_ms


def test_hash_vectors_are_measured_over_grpc(run: Run) -> None:
    """Every task of theirs, alone and by many callers; the card has it then."""
    done = run("models", "measure", "hash", *QUICK)
    assert done.code == 0, done.err
    assert "`waypost models card hash` shows it" in done.out.replace("\n", " ")
    (found,) = measurements("hash", "1")
    assert f"hash-{Machine.this().key}.json is written" in "".join(done.out.splitlines())
    check(found)
    assert {work.task for work in found.works} == {"embed", "rerank"}
    assert {work.clients for work in found.works} == {1, measuring.BUSY}
    assert run("models", "card", "hash", "--json").json["latency"][0]["p50_ms"] == found.works[0].p50_ms


def test_an_encoder_is_measured_with_the_heads_it_is_to_carry(run: Run, tmp_path: Path) -> None:
    """Tokens a second are counted by its own tokenizer; texts are as long as it reads."""
    folder = tiny_bert.write(tmp_path / "tiny")
    done = run("models", "measure", str(folder), "--head", "sentiment-hash", "--json", *QUICK)
    assert done.code == 0, done.err
    found = Measurement.model_validate(done.json["measurement"])
    check(found)
    assert (found.model, found.variant, found.quantisation) == ("tiny", "onnx-int8", "int8, converted here")
    assert {work.task for work in found.works} == {"embed", "rerank", "classify sentiment-hash"}
    (embed, *_) = found.works
    assert embed.tokens_per_s and embed.tokens_per_s > embed.texts_per_s
    assert Path(done.json["file"]).is_file()
    assert "plans" not in done.json


def test_plans_leave_a_profile_beside_the_file(run: Run, tmp_path: Path) -> None:
    """Which the table explains."""
    folder = tiny_bert.write(tmp_path / "tiny")
    done = run("models", "measure", str(folder), "--plans", *QUICK)
    assert done.code == 0, done.err
    assert "equally long texts" in done.out
    assert prepare(folder, facts_in(folder)).folder.joinpath("int8.profile.json").exists()


def test_a_model_that_is_not_here_is_not_fetched(run: Run) -> None:
    """The command that fetches it is said."""
    done = run("models", "measure", "bge-small-en-v1.5")
    assert (done.code, done.out) == (1, "")
    assert "`waypost pull bge-small-en-v1.5` fetches it" in done.err


def test_a_worker_that_does_not_start_says_why() -> None:
    """By the end of its log."""
    model = Model(name="gone", backend="template", source="/nowhere/reply.j2")
    with pytest.raises(CommandError, match=r"does not start(.|\n)*nowhere"), measuring.started(model):
        pass


def test_the_memory_of_a_process_that_is_gone_is_not_known() -> None:
    """Nor is it where the system does not tell."""
    assert measuring.resident(2**22 + 1) is None
