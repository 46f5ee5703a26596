"""From weights to sessions: the graphs compute what numpy computes, and files that do not fit are named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from services import onnx as backend
from services import profile
from services.backend import Loaded, ModelUnusable
from services.bert import forward, weights
from services.encoder import open_encoder
from services.measure import LENGTHS, TEXTS, batches, measure
from services.prepare import prepare
from services.sessions import open_session, runner
from tests import tiny_bert
from waypost import catalogue
from waypost.catalogue import facts_in
from waypost.config import Batching, Model

CLASSIFIER = 'name = "tiny"\nkind = "sequence_classifier"\nlabels = ["bad", "good"]\nmax_tokens = 64\n'
PAIRS = 'name = "tiny"\nkind = "cross_encoder"\ndimensions = 1\nmax_tokens = 64\n'


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A home of the test's own."""
    monkeypatch.setenv("WAYPOST_HOME", str(tmp_path / "home"))
    yield


def loaded(folder: Path, **settings: object) -> Loaded:
    """A model folder through the backend."""
    return backend.load(Model(name="tiny", source=str(folder), **settings), sessions=2)


@pytest.mark.parametrize(("labels", "facts", "width"), [(0, "", 32), (2, CLASSIFIER, 2), (1, PAIRS, 1)])
def test_both_graphs_compute_what_numpy_computes(tmp_path: Path, labels: int, facts: str, width: int) -> None:
    """Vectors and logits; padded or not; fp32 to 1e-5, int8 to a rounding."""
    folder = tiny_bert.write(tmp_path / "tiny", labels=labels, facts=facts)
    about = facts_in(folder)
    made = prepare(folder, about)
    bert = weights.load(folder, "logits" if labels else "vector", about.pooling)
    random = np.random.default_rng(0)
    mask = (np.arange(12) < np.array([[12], [7], [3]])).astype(np.int64)
    ids, types = random.integers(0, 20, mask.shape) * mask, mask * (np.arange(12) > 4) * bool(labels)
    expected = forward.Forward(bert)(ids, mask, types)
    got = {name: runner(open_session(made.graph(name)))(ids, mask, types) for name in ("float32", "int8")}
    assert got["float32"].shape == (3, width)
    assert np.abs(got["float32"] - expected).max() < 1e-5
    assert np.abs(got["int8"] - expected).max() < 0.1


def test_weights_are_converted_once(tmp_path: Path) -> None:
    """The second time the files are there; other weights make others."""
    folder = tiny_bert.write(tmp_path / "tiny")
    steps: list[str] = []
    first = prepare(folder, facts_in(folder), steps.append)
    said = len(steps)
    assert said
    assert prepare(folder, facts_in(folder), steps.append) == first
    assert len(steps) == said
    other = tiny_bert.write(tmp_path / "other", labels=2, facts=CLASSIFIER)
    assert prepare(other, facts_in(other)).folder != first.folder


def test_a_prepared_file_that_was_cut_off_is_made_again(tmp_path: Path) -> None:
    """A full disk or a kill must not be served."""
    folder = tiny_bert.write(tmp_path / "tiny")
    made = prepare(folder, facts_in(folder))
    made.graph("int8").write_bytes(b"")
    prepare(folder, facts_in(folder))
    assert made.complete
    open_session(made.graph("int8"))


def test_an_encoder_is_loaded_with_what_the_worker_needs(tmp_path: Path) -> None:
    """Sessions, tokenizer, limits, and no padding where nothing was measured."""
    model = loaded(tiny_bert.write(tmp_path / "tiny"))
    assert (model.kind, model.dimensions, model.max_tokens, len(model.runners)) == ("encoder", 32, 64, 2)
    assert model.tokenizer == tmp_path / "tiny" / "tokenizer.json"
    assert model.batching.mode == "equal"


def test_the_precision_chooses_the_file(tmp_path: Path) -> None:
    """int8 is another answer than fp32, but not by much."""
    folder = tiny_bert.write(tmp_path / "tiny")
    small, exact = (open_encoder(str(folder), precision)(["red car"]) for precision in ("int8", "float32"))
    assert 0.97 < float((small * exact).sum()) < 1.0


def test_truncated_weights_are_named(tmp_path: Path) -> None:
    """With the file and what to do."""
    folder = tiny_bert.write(tmp_path / "tiny")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelUnusable, match=r"model\.safetensors cannot be used: .*fetch it again"):
        loaded(folder)


def test_weights_of_another_architecture_are_named(tmp_path: Path) -> None:
    """An encoder has no classifier to give logits with."""
    folder = tiny_bert.write(tmp_path / "tiny", facts=CLASSIFIER)
    with pytest.raises(ModelUnusable, match=r"no tensor pooler\.dense\.weight"):
        loaded(folder)


def test_a_truncated_onnx_file_is_named(tmp_path: Path) -> None:
    """A folder with a ready graph has it run as it is."""
    folder = tiny_bert.write(tmp_path / "tiny")
    (folder / "model.safetensors").unlink()
    (folder / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(ModelUnusable, match=r"model\.onnx cannot be loaded: .*fetch it again"):
        loaded(folder)


def test_an_empty_model_folder_says_what_is_missing(tmp_path: Path) -> None:
    """Neither weights nor a graph."""
    (tmp_path / "tiny").mkdir()
    with pytest.raises(ModelUnusable, match=r"neither model\.safetensors nor model\.onnx"):
        loaded(tmp_path / "tiny")


def test_labels_must_be_as_many_as_logits(tmp_path: Path) -> None:
    """Else a label would stand for another."""
    folder = tiny_bert.write(tmp_path / "tiny", labels=3, facts=CLASSIFIER)
    with pytest.raises(ModelUnusable, match="gives 3 numbers a text where its facts say 2"):
        loaded(folder)


def test_one_logit_of_many_may_decide_between_two_labels(tmp_path: Path) -> None:
    """The softmax of what comes out is the sigmoid of that logit."""
    facts = CLASSIFIER + "binary_logit = 2\n"
    folder = tiny_bert.write(tmp_path / "tiny", labels=3, facts=facts)
    ids = np.array([[2, 5, 6, 3]])
    plain = runner(open_session(prepare(folder, facts_in(folder)).graph("int8")))(ids, ids * 0 + 1, ids * 0)
    both = loaded(folder).runners[0](ids, ids * 0 + 1, ids * 0)
    assert both.tolist() == [[0.0, plain[0, 2]]]


def test_a_graph_with_unknown_inputs_is_refused(tmp_path: Path) -> None:
    """It would fail at the first request instead."""
    folder = tiny_bert.write(tmp_path / "tiny")
    (folder / "model.safetensors").unlink()
    tensor = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 3])
    graph = helper.make_graph([helper.make_node("Identity", ["pixels"], ["out"])], "g", [tensor], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 10
    onnx.save(model, folder / "model.onnx")
    with pytest.raises(ModelUnusable, match="has the input 'pixels'"):
        loaded(folder)


def test_facts_cannot_promise_more_tokens_than_the_weights_have(tmp_path: Path) -> None:
    """`model.toml` may be wrong too."""
    facts = f'name = "tiny"\ndimensions = {tiny_bert.HIDDEN}\nmax_tokens = 512\n'
    with pytest.raises(ModelUnusable, match="reads 64 tokens, its facts say max_tokens = 512"):
        loaded(tiny_bert.write(tmp_path / "tiny", facts=facts))


def test_more_tokens_than_the_model_reads_cannot_be_configured(tmp_path: Path) -> None:
    """Positions beyond would be read from nowhere."""
    with pytest.raises(ModelUnusable, match="max_tokens = 128, it reads 64"):
        loaded(tiny_bert.write(tmp_path / "tiny"), max_tokens=128)


def test_a_model_of_the_catalogue_must_be_pulled_first() -> None:
    """The message is the command."""
    with pytest.raises(catalogue.NotPulled, match=r"waypost pull bge-small-en-v1\.5"):
        backend.load(Model(name="bge", source="bge-small-en-v1.5"), sessions=1)


def test_a_head_for_other_vectors_is_refused(tmp_path: Path) -> None:
    """Its answers would be noise."""
    with pytest.raises(ModelUnusable, match="was trained on vectors of all-minilm-l6-v2/1"):
        loaded(tiny_bert.write(tmp_path / "tiny"), heads=("sentiment",))


def test_the_measured_plan_is_taken_where_the_configuration_leaves_it_open(tmp_path: Path) -> None:
    """`mode = "auto"` follows the profile of this machine; a mode that is written down stays."""
    folder = tiny_bert.write(tmp_path / "tiny")
    graph = prepare(folder, facts_in(folder)).graph("int8")
    single, padded = Batching(mode="single"), Batching(mode="budget", token_budget=256)
    plans = (profile.Plan(single, {"mixed": 1.0}), profile.Plan(padded, {"mixed": 2.0}))
    for precision in ("int8", "float32"):
        profile.save(graph.with_stem(precision), profile.Profile(profile.Machine.this(), plans))
    assert loaded(folder, precision="float32").batching == padded
    assert loaded(folder, precision="float32", batching=single).batching == single


def test_int8_vectors_are_never_padded_unless_that_is_asked_for(tmp_path: Path) -> None:
    """However fast it measures: neighbours would show in them."""
    folder = tiny_bert.write(tmp_path / "tiny")
    padded = Batching(mode="budget", token_budget=256)
    plans = (profile.Plan(Batching(mode="equal"), {"mixed": 1.0}), profile.Plan(padded, {"mixed": 2.0}))
    profile.save(prepare(folder, facts_in(folder)).graph("int8"), profile.Profile(profile.Machine.this(), plans))
    assert loaded(folder).batching.mode == "equal"
    assert loaded(folder, batching=padded).batching == padded


def test_a_profile_of_another_machine_is_not_used(tmp_path: Path) -> None:
    """It says nothing about this one."""
    graph = tmp_path / "model.onnx"
    other = profile.Machine("another processor", 64, "0.0")
    profile.save(graph, profile.Profile(other, (profile.Plan(Batching(mode="budget"), {"mixed": 1.0}),)))
    assert profile.best(graph, padding=True) is None


def test_measuring_tries_every_plan_on_every_kind_of_text(tmp_path: Path) -> None:
    """And keeps rates that are finite."""
    folder = tiny_bert.write(tmp_path / "tiny")
    found = measure(loaded(folder).runners[0], max_tokens=64)
    assert len(found.plans) == 4
    assert all(rate > 0 for plan in found.plans for rate in (plan.texts_per_s[kind] for kind in LENGTHS))


@pytest.mark.parametrize("kind", LENGTHS)
def test_plans_that_are_compared_run_the_same_texts(kind: str) -> None:
    """Padding aside: as many texts, as many tokens, and no batch over its budget unless it is one text."""
    single = batches(Batching(mode="single"), kind, 256)
    padded = batches(Batching(mode="budget", token_budget=512), kind, 256)
    assert len(single) == TEXTS == sum(len(ids) for ids, _, _ in padded)
    assert sum(mask.sum() for _, mask, _ in single) == sum(mask.sum() for _, mask, _ in padded)
    assert all(ids.size <= 512 or len(ids) == 1 for ids, _, _ in padded)
