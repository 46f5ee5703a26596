"""Settings: what the configuration says, and the fastest of what it leaves open."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.backend import ModelUnusable
from services.llama import calibrate
from services.llama.calibrate import Figures
from services.llama.settings import Settings
from waypost.config import Llama

FIXED = {"weights": "as_is", "kv_type": "f16", "flash_attention": "off"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own."""
    monkeypatch.setenv("WAYPOST_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def settled(path: Path, cores: int = 1, **options: str) -> Settings:
    return calibrate.settled(Llama.model_validate(options), path, cores, n_batch=64)


def test_where_all_is_said_nothing_is_measured(home: Path) -> None:
    """The file is not even looked at."""
    assert settled(Path("nowhere.gguf"), **FIXED, kv_layout="unified") == Settings("as_is", 1, "f16", False, True, 64)
    assert not home.exists()


def test_a_quantised_cache_is_only_taken_when_asked_for_and_needs_flash_attention() -> None:
    """As llama.cpp has it."""
    path = Path("nowhere.gguf")
    assert settled(path, weights="as_is", kv_type="q8_0").flash_attention
    assert all(kv != "q8_0" for kv, _ in calibrate.ATTENTION)
    with pytest.raises(ModelUnusable, match="needs flash_attention"):
        settled(path, weights="as_is", kv_type="q8_0", flash_attention="off")


def test_what_is_open_is_measured_once_and_kept(smollm2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For this file on this machine, as a home may be shared; the figures are kept beside the choice."""
    options = {"weights": "as_is", "kv_type": "f16"}
    chosen = settled(smollm2, **options)
    monkeypatch.setattr(calibrate, "_measured", lambda *_: pytest.fail("measured again"))
    assert settled(smollm2, **options) == chosen
    (record,) = calibrate.weights.Prepared.of(smollm2).folder.glob("settings-*.json")
    tried = json.loads(record.read_text())["tried"]
    assert [each["settings"]["flash_attention"] for each in tried] == [False, True]
    assert all(each["figures"]["step_s"] > 0 for each in tried)
    monkeypatch.setattr(calibrate.cpus, "processor", lambda: "another")
    with pytest.raises(pytest.fail.Exception, match="measured again"):
        settled(smollm2, **options)


def test_who_has_fewer_cores_for_a_while_need_not_measure_twice(monkeypatch: pytest.MonkeyPatch, smollm2: Path) -> None:
    """As a worker on demand, which starts beside others or alone."""
    options = {"weights": "as_is", "kv_type": "f16"}
    alone, beside = settled(smollm2, 2, **options), settled(smollm2, 1, **options)
    monkeypatch.setattr(calibrate, "_measured", lambda *_: pytest.fail("measured again"))
    assert (settled(smollm2, 2, **options), settled(smollm2, 1, **options)) == (alone, beside)


def test_a_later_candidate_must_be_faster_than_noise() -> None:
    """Else what changes least is kept."""
    plain, flash = Settings(), Settings(flash_attention=True)
    near = {plain: Figures(0.001, 0.0101), flash: Figures(0.001, 0.01)}
    far = {plain: Figures(0.001, 0.02), flash: Figures(0.001, 0.01)}
    assert calibrate._fastest([plain, flash], near, calibrate.NOISE) == plain
    assert calibrate._fastest([plain, flash], far, calibrate.WORTH) == flash
