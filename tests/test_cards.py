"""Model cards: every field that one should have, whose each claim is, and what is said where nobody says anything."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from pydantic import ValidationError

from services.heads.shipped import shipped, shipped_names
from waypost import catalogue, config
from waypost.catalogue import Facts, cards, describe, lineage
from waypost.catalogue.cards import Card
from waypost.catalogue.markdown import markdown
from waypost.catalogue.measurements import Machine, Measurement, Memory, Work, save
from waypost.catalogue.said import Said

ENTRIES = sorted(catalogue.entries())
HOSTED = [name for name in ENTRIES if catalogue.find(name).endpoint]
PROMISED = {
    *("name", "version", "provider", "context", "modalities", "safety", "license", "hardware", "latency", "cost"),
    *("evals", "limitations", "student", "teacher"),
}
"""What the product promises of a card (S3.1)."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own."""
    monkeypatch.setenv("WAYPOST_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def card(name: str) -> Card:
    return describe.of_facts(catalogue.find(name))


def log(head: str) -> dict[str, Any]:
    return lineage.run_log(shipped(head))


def measurement(model: str = "tiny", *, machine: Machine | None = None, day: int = 1, **changes: Any) -> Measurement:
    """Of a model that embeds 100 texts a second."""
    work = Work(
        task="embed",
        texts=1,
        words=8,
        clients=1,
        seconds=2.0,
        calls=200,
        failed=0,
        calls_per_s=100.0,
        texts_per_s=100.0,
        tokens_per_s=1000.0,
        p50_ms=9.5,
        p95_ms=12.25,
        p99_ms=14.0,
    )
    told = {
        "model": model,
        "version": "1",
        "variant": "onnx-int8",
        "quantisation": "int8, converted here",
        "machine": machine or Machine.this(),
        "measured": datetime(2026, 1, day, tzinfo=UTC),
        "waypost": "0.1.0 (release build)",
        "load_before": 0.0,
        "load_s": 2.0,
        "empty_load_s": 1.5,
        "memory": Memory(empty=50 << 20, loaded=150 << 20, worked=160 << 20, peak=170 << 20),
        "works": (work,),
    }
    return Measurement.model_validate(told | changes)


def test_a_card_has_every_field_that_is_promised() -> None:
    """Whatever is known of the model."""
    assert set(Card.model_fields) >= PROMISED
    assert set(cards.Student.model_fields) == {"throughput", "memory", "quantisation"}
    assert set(cards.Teacher.model_fields) == {"pricing", "rate_limits", "alignment"}


@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_has_a_card_that_its_schema_allows(name: str) -> None:
    """As JSON and as Markdown, and what is not known is in both."""
    found = card(name)
    told = json.loads(found.model_dump_json())
    jsonschema_rs.Draft202012Validator(cards.schema()).validate(told)
    text = markdown(found)
    assert text.startswith(f"# {name}, version ")
    assert all(each in text.lower() for each in told["unknown"])
    assert (found.student is None) == (found.role == "teacher") == (found.teacher is not None)


@pytest.mark.parametrize("name", shipped_names())
def test_every_shipped_head_has_a_card_from_its_run_log(name: str) -> None:
    """With the very figures that are measured, and where it comes from."""
    made = describe.of_log(log(name))
    jsonschema_rs.Draft202012Validator(cards.schema()).validate(json.loads(made.model_dump_json()))
    assert [each.value for each in made.evals] == [each["value"] for each in log(name)["figures"]]
    assert made.lineage and made.lineage.data.sha256 == log(name)["data"]["sha256"]
    assert made.lineage.data.sha256 in markdown(made)


@pytest.mark.parametrize("name", ENTRIES)
def test_what_a_card_says_to_write_into_a_configuration_is_one(name: str, tmp_path: Path) -> None:
    """A model that nothing runs says that instead."""
    serve = card(name).serve
    if catalogue.find(name).kind in catalogue.SERVED_BY:
        model = config.check(tomllib.loads(serve), base=tmp_path, origin="card").workers[0].models[0]
        assert (model.name, model.backend) == (name, catalogue.SERVED_BY[catalogue.find(name).kind])
    else:
        assert serve == ""
        assert "No backend of Waypost runs models of this kind yet" in markdown(card(name))


@pytest.mark.parametrize("name", HOSTED)
def test_a_hosted_model_is_a_teacher_whose_price_has_a_date(name: str) -> None:
    """Prices change: a card says when its was true, and who says it."""
    found = card(name)
    assert found.role == "teacher"
    if found.cost is not None:
        assert found.cost.as_of is not None
        assert found.cost.source.startswith("https://")


@pytest.mark.parametrize("name", ENTRIES)
def test_claims_of_the_catalogue_say_who_makes_them(name: str) -> None:
    """An address, or what of Waypost it is; never nothing."""
    said = catalogue.find(name).card
    claims = [*said.claims(said.safety), *said.claims(said.limitations)]
    sources = [*(each.source for each in claims), *(each.source for each in said.scores)]
    assert all(each.startswith("https://") or "Waypost" in each for each in sources)


def test_a_claim_without_a_source_is_refused() -> None:
    """The card would not know whose it is."""
    with pytest.raises(ValidationError, match="safety, evals: who says so"):
        Said(safety=("harmless",), evals=({"name": "accuracy", "on": "SST-2", "value": 0.9},))  # type: ignore[arg-type]


def test_what_nobody_says_is_not_known() -> None:
    """And not guessed."""
    bare = describe.of_facts(Facts(name="tiny"))
    assert set(bare.unknown) >= {"provider", "licence", "safety notes", "latency", "memory", "quantisation"}
    assert "context length" not in bare.unknown
    assert "| licence | not known |" in markdown(bare)
    assert "`waypost models measure tiny` does" in markdown(bare)


def test_what_was_measured_here_is_in_the_card() -> None:
    """With the machine and the day."""
    save(measurement())
    found = describe.of_facts(Facts(name="tiny"))
    assert found.latency[0].p95_ms == 12.25
    assert found.student and found.student.memory and found.student.memory.used.own == 100 << 20
    assert found.student.quantisation and found.student.quantisation.says == "int8, converted here"
    text = markdown(found)
    assert "| embed | 8 | 1 | 9.50 ms | 12.25 ms |  |" in text
    assert "measured 2026-01-01 on " in text
    assert not {"latency", "throughput", "memory", "quantisation"} & set(found.unknown)


def test_a_card_says_when_other_work_ran_beside() -> None:
    """Such figures are worse than they need be."""
    save(measurement(load_before=9.6))
    (latency,) = describe.of_facts(Facts(name="tiny")).latency
    assert latency.source.endswith("beside other work (a load of 9.6)")


def test_another_machines_figures_come_after_this_ones() -> None:
    """A home may be carried about; each figure says where it was measured."""
    other = Machine(processor="another", cores=64, memory_bytes=None, system="Linux x86_64")
    save(measurement(machine=other, day=2))
    save(measurement(day=1))
    found = describe.of_facts(Facts(name="tiny"))
    assert ["another" in each.source for each in found.latency] == [False, True]


def test_a_later_measurement_replaces_the_one_before() -> None:
    """Of the same model, version, variant and machine."""
    assert save(measurement(day=1)) == save(measurement(day=2))
    (kept,) = describe.of_facts(Facts(name="tiny")).latency
    assert "2026-01-02" in kept.source


def test_a_broken_measurement_is_passed_over() -> None:
    """It can be made again; the card is not lost for it."""
    save(measurement()).write_text("{")
    assert describe.of_facts(Facts(name="tiny")).latency == ()


def test_a_head_has_the_latency_that_was_measured_with_its_encoder() -> None:
    """Of its own calls, and no others."""
    (work,) = measurement().works
    both = (work, work.model_copy(update={"task": "classify intent", "p50_ms": 7.0}))
    save(measurement("all-minilm-l6-v2", works=both))
    assert [each.p50_ms for each in describe.of_log(log("intent")).latency] == [7.0]
    assert "`waypost models measure all-minilm-l6-v2 --head sentiment`" in markdown(describe.of_log(log("sentiment")))


def test_a_cell_cannot_break_its_table() -> None:
    """A pipe or a line break in a claim stays in its cell."""
    facts = Facts(name="tiny", card=Said(source="https://example.com", modalities="text | image\n→ text"))
    assert "| modalities | text \\| image → text (https://example.com) |" in markdown(describe.of_facts(facts))


def test_the_example_of_the_documentation_is_one() -> None:
    """What is said of a model folder there makes a card with its claims and their sources."""
    text = (Path(__file__).resolve().parents[1] / "docs" / "models.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    found = describe.of_facts(Facts.model_validate(tomllib.loads(example)))
    assert [each.source.rpartition("/")[2] for each in found.limitations] == ["my-classifier", "7"]
    assert found.evals[0].rows == 1200
