"""Training of heads on small made-up data, what it refuses, and the heads that ship."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.heads import calibrate, card, familiar, frequencies, headfile, own, ridge, strength
from services.heads.errors import (
    BadRow,
    BadVectors,
    EncoderNeeded,
    HeadError,
    MissingData,
    NoExamples,
    OneLabel,
    TooFewExamples,
    UnknownFormat,
    UnknownHead,
    UnknownRecipe,
)
from services.heads.examples import Dataset, Examples, Source
from services.heads.logistic import Block
from services.heads.recipes import RECIPES, recipe
from services.heads.shipped import document_frequencies, shipped, shipped_names
from services.heads.spec import Spec
from services.heads.train import TrainedHead, train
from waypost import _core

WORDS = {
    "greeting": ("hello there", "good morning", "hi friend", "nice to meet you", "good evening everyone"),
    "money": ("send ten euros", "pay the invoice", "what is my balance", "refund the card", "transfer the rent"),
    "weather": ("will it rain", "sunny tomorrow", "snow in the hills", "how cold is it", "a storm is coming"),
}
DIMENSIONS = 16
REACHED = {
    ("intent", "accuracy"): 0.95,
    ("intent", "out-of-scope AUROC"): 0.965,
    ("banking77", "accuracy"): 0.92,
    ("sentiment", "accuracy"): 0.81,
    ("toxicity", "AUC neither"): 0.97,
}
APGR_REACHED = {strength.BY_PROMPT: 0.645, strength.BY_SUBJECT: 0.57}
STRENGTH_HEADS = ("complexity", "complexity-hash")
TOXICITY_HEADS = ("toxicity", "toxicity-hash")


def embed(texts: list[str]) -> NDArray[np.float32]:
    """Stands in for an encoder: hashed words, unit length."""
    return _core.hash_embed(texts, DIMENSIONS)


def examples(folder: Path, per_label: int = 5) -> Path:
    """A file of `per_label` examples of each label."""
    path = folder / "mine.jsonl"
    rows = [{"text": text, "label": label} for label, texts in WORDS.items() for text in texts[:per_label]]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def trained(folder: Path, encoder: str = "stand-in/1") -> TrainedHead:
    """A head on five examples a label."""
    data = own.dataset(examples(folder))
    return train(own.spec("mine", encoder), data, embed if encoder else None, 1, folder / "out")


def log_of(name: str) -> Any:
    """The run log of a shipped head."""
    return json.loads(shipped(name).with_name(f"{name}.run.json").read_text())


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    """Head, card and run log alike."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    one, two = trained(tmp_path / "first"), trained(tmp_path / "second")
    for mine, theirs in ((one.path, two.path), (one.card_path, two.card_path), (one.log_path, two.log_path)):
        assert mine.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize("encoder", ["stand-in/1", ""])
def test_five_examples_a_label_are_enough(tmp_path: Path, encoder: str) -> None:
    """All of them are told apart, with vectors and without."""
    head = _core.LinearHead(trained(tmp_path, encoder).path)
    for label, texts in WORDS.items():
        probabilities, _ = head.score(embed(list(texts)) if encoder else None, texts)
        assert [head.labels[best] for best in probabilities.argmax(axis=1)] == [label] * 5


def test_rust_reads_what_training_wrote(tmp_path: Path) -> None:
    """Probabilities and energies equal numpy's, from vectors and hashed words together."""
    made = trained(tmp_path)
    texts = ["will the invoice rain", "good balance"]
    probabilities, energies = _core.LinearHead(made.path).score(embed(texts), texts)

    indptr, columns, values = _core.hash_features(texts, made.head.matrices["hashed"].shape[1])
    hashed = np.zeros((2, made.head.matrices["hashed"].shape[1]))
    hashed[np.repeat([0, 1], np.diff(indptr)), columns] = values
    logits = made.head.bias + embed(texts) @ made.head.matrices["weight"].T.astype(float)
    logits += hashed @ made.head.matrices["hashed"].T.astype(float)
    odds = np.exp(logits / made.head.temperature)
    np.testing.assert_allclose(probabilities, odds / odds.sum(axis=1, keepdims=True), atol=1e-5)
    np.testing.assert_allclose(energies, -np.log(np.exp(logits).sum(axis=1)), atol=1e-5)


def test_csv_and_json_lines_say_the_same(tmp_path: Path) -> None:
    """With a byte order mark and quoted commas, as spreadsheets write them."""
    rows = [f'"{text}, please",{label}' for label, texts in WORDS.items() for text in texts]
    (tmp_path / "mine.csv").write_text("\ufefftext,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    data = own.dataset(tmp_path / "mine.csv")
    assert sorted(set(data.train.labels)) == sorted(WORDS)
    assert (len(data.train), len(data.held_out)) == (12, 3)
    assert all(text.endswith(", please") for text in data.train.texts)


@pytest.mark.parametrize(
    ("name", "content", "refusal", "said"),
    [
        ("empty.jsonl", "", NoExamples, "empty.jsonl holds no examples"),
        ("one.jsonl", '{"text": "a", "label": "b"}\n', OneLabel, "only the label 'b'"),
        ("word.jsonl", "hello\n", BadRow, "word.jsonl:1: not JSON"),
        ("list.jsonl", "\n[1]\n", BadRow, "list.jsonl:2: not an object"),
        ("bare.jsonl", '{"text": "a"}\n', BadRow, "'label' is missing"),
        ("typed.jsonl", '{"text": 7, "label": "b"}\n', BadRow, "'text' is missing or not a text"),
        ("short.csv", "text,label\na,\n", BadRow, "short.csv:2"),
        ("latin.csv", b"text,label\n\xe9,a\n", UnknownFormat, "UTF-8"),
        ("sheet.xlsx", "", UnknownFormat, "*.csv"),
    ],
)
def test_bad_examples_are_refused(
    tmp_path: Path, name: str, content: str | bytes, refusal: type[HeadError], said: str
) -> None:
    """The message names the file, and the line where one is to blame."""
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(refusal) as refused:
        own.dataset(tmp_path / name)
    assert said in str(refused.value)


@pytest.mark.parametrize("name", ["gone.jsonl", "gone.csv"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    """With its path."""
    with pytest.raises(MissingData, match=name):
        own.dataset(tmp_path / name)


def test_four_examples_of_a_label_are_too_few(tmp_path: Path) -> None:
    """The message names the label and what it lacks."""
    with pytest.raises(TooFewExamples, match="'greeting' has 4 example"):
        own.dataset(examples(tmp_path, per_label=4))


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        (lambda texts: np.full((len(texts), 4), np.nan), "hold NaN or infinity"),
        (lambda texts: np.zeros((1, 4)), "have shape"),
        (lambda texts: np.zeros(len(texts)), "have shape"),
    ],
)
def test_vectors_that_cannot_be_trained_on_are_refused(tmp_path: Path, vectors: Any, said: str) -> None:
    """NaN, or not one row a text."""
    data = own.dataset(examples(tmp_path))
    with pytest.raises(BadVectors, match=said):
        train(own.spec("mine", "stand-in/1"), data, vectors, 1, tmp_path)


def test_a_head_with_dense_weights_needs_an_encoder(tmp_path: Path) -> None:
    """Training says so before it computes anything."""
    with pytest.raises(EncoderNeeded, match="'mine'"):
        train(own.spec("mine", "stand-in/1"), own.dataset(examples(tmp_path)), None, 1, tmp_path)


def test_an_unknown_recipe_is_refused() -> None:
    """The message names those there are."""
    with pytest.raises(UnknownRecipe, match="intent, intent-hash"):
        recipe("itnent")


@pytest.mark.parametrize("damage", [b"", b"\x00" * 40, b"not a head"])
def test_a_broken_head_file_is_refused(tmp_path: Path, damage: bytes) -> None:
    """In Python and in Rust."""
    path = tmp_path / "broken.safetensors"
    path.write_bytes(damage)
    with pytest.raises(UnknownFormat, match=r"broken\.safetensors"):
        headfile.load(path)
    with pytest.raises(ValueError, match=r"."):
        _core.LinearHead(path)


def test_a_truncated_head_file_is_refused(tmp_path: Path) -> None:
    """As a download that was cut off leaves it."""
    path = trained(tmp_path).path
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(UnknownFormat):
        headfile.load(path)


def test_other_tensors_are_no_head() -> None:
    """Safetensors alone do not make one."""
    with pytest.raises(UnknownFormat, match=headfile.FORMAT):
        headfile.load(document_frequencies())


def test_every_recipe_is_shipped() -> None:
    """And nothing else."""
    assert shipped_names() == sorted(RECIPES)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_shipped_head_is_what_its_log_and_card_say(name: str) -> None:
    """Its bytes are the log's, the card follows from the log, and Rust reads it."""
    path, log = shipped(name), log_of(name)
    head = _core.LinearHead(path)
    assert sha256(path.read_bytes()).hexdigest() == log["file"]["sha256"]
    assert path.with_name(f"{name}.md").read_text() == card.render(log)
    assert (head.name, head.labels, head.experimental) == (name, log["labels"], log["spec"]["experimental"])
    assert headfile.load(path).encoder == RECIPES[name].spec.encoder


@pytest.mark.parametrize(("name", "figure"), REACHED)
def test_a_shipped_head_reaches_its_mark(name: str, figure: str) -> None:
    """On the part kept aside, with fp32 vectors and with those that are served."""
    found = {
        e["vectors"]: e["value"] for e in log_of(name)["figures"] if (e["part"], e["name"]) == ("held out", figure)
    }
    assert set(found) == {"as trained", "int8 as served"}
    assert min(found.values()) >= REACHED[name, figure]


@pytest.mark.parametrize("name", TOXICITY_HEADS)
def test_ordinary_texts_are_not_called_offensive(name: str) -> None:
    """Those of sets that were not taught: 98 of 100 pass, where tweets alone had taught one head to flag 20."""
    passed = [figure["value"] for figure in log_of(name)["figures"] if figure["part"].startswith("ordinary texts")]
    assert passed and min(passed) >= 0.98


def test_heads_that_miss_their_mark_say_that_they_are_experimental() -> None:
    """Jailbreaks of another source."""
    assert [name for name in shipped_names() if log_of(name)["spec"]["experimental"]] == ["jailbreak", "jailbreak-hash"]


@pytest.mark.parametrize("name", STRENGTH_HEADS)
@pytest.mark.parametrize("part", APGR_REACHED)
def test_a_strength_head_wins_back_what_it_must_and_more_than_length_does(name: str, part: str) -> None:
    """On prompts, and on subjects, that it was not taught."""
    figures = {(e["part"], e["name"]): e["value"] for e in log_of(name)["figures"] if e["vectors"] == "as trained"}
    ours, longest = figures[part, "APGR, most complex first"], figures[part, "APGR, longest first"]
    assert ours >= APGR_REACHED[part] and ours > longest


@pytest.mark.parametrize("name", STRENGTH_HEADS)
def test_a_strength_head_tells_what_it_was_trained_on(name: str) -> None:
    """Exam questions are like it, random letters are not, and longer texts are taken for harder ones."""
    head = _core.LinearHead(shipped(name))
    assert head.quantiles is not None and (np.diff(head.quantiles) >= 0).all()
    assert (head.coverage("Which of the following is the best definition of the term inflation?") or 0) > 0.8
    assert (head.coverage("zxqv jkwp qqry vvbn wwst") or 0) < 0.2
    priors = [head.length_prior("word " * count) or 0 for count in (1, 30, 100, 300)]
    assert priors == sorted(priors) and priors[0] < priors[-1]


def outcomes(rows: int = 400) -> Dataset:
    """Made-up prompts of eight subjects where a strong model gains on long chains and on nothing else."""
    draw = np.random.default_rng(3)
    hard = draw.random(rows) < 0.3
    texts = [f"{'chain of steps ' * (1 + 3 * each)}subject{i % 8} case {i}" for i, each in enumerate(hard)]
    right = {"weak_right": ~hard, "strong_right": np.ones(rows, dtype=bool)}
    labels = [strength.LABELS[0 if each else 1] for each in hard]
    kept = Examples(texts, labels, [f"subject {i % 8}" for i in range(rows)], right)
    return Dataset(kept, kept.rows(np.array([], dtype=np.intp)), [Source("made up", "none", "none")], "nothing")


def strength_spec() -> Spec:
    """Hashed words and the length."""
    reports = ("apgr", "auc")
    return Spec("strength", "Made up.", buckets=512, hashed_penalty=1e-2, length_weight=0.4, reports=reports)


def test_a_strength_head_ranks_by_gain(tmp_path: Path) -> None:
    """On unseen subjects too, and Rust computes the scores whose quantiles the file has."""
    made = train(strength_spec(), outcomes(), None, 1, tmp_path)
    figures: Any = made.log["figures"]
    values = {entry["part"]: entry["value"] for entry in figures if entry["name"] == "APGR, most complex first"}
    assert min(values.values()) > 0.8
    head = _core.LinearHead(made.path)
    complexity = head.score(None, outcomes().train.texts)[0][:, 0]
    assert head.quantiles is not None
    np.testing.assert_allclose(np.quantile(complexity, [0.1, 0.9]), head.quantiles[[10, 90]], atol=0.1)
    assert headfile.load(made.path).familiar is not None


def test_rust_and_training_count_the_same_coverage(tmp_path: Path) -> None:
    """Of texts that were taught and texts that were not."""
    made = train(strength_spec(), outcomes(), None, 1, tmp_path)
    known, head = made.head.familiar, _core.LinearHead(made.path)
    assert known is not None
    for text in ("chain of steps subject3 case 7", "chain of thought", "steps", ""):
        expected = (familiar.share(known.seen, _core.pair_keys(text)) - known.none) / (known.full - known.none)
        assert head.coverage(text) == pytest.approx(min(max(expected, 0), 1), abs=1e-6)


def test_ridge_solves_its_normal_equations() -> None:
    """With a penalty per block and a free bias."""
    draw = np.random.default_rng(0)
    blocks = [Block("a", draw.normal(size=(50, 3)), 0.1), Block("b", draw.normal(size=(50, 2)), 2.0)]
    targets = draw.normal(size=50) + 5
    found = ridge.fit(blocks, targets)
    residual = targets - found.logits(blocks)[:, 0]
    assert residual.mean() == pytest.approx(0, abs=1e-3)
    for block in blocks:
        pull = np.asarray(block.matrix).T @ residual / 50
        np.testing.assert_allclose(pull, block.penalty * found.blocks[block.name][0], atol=1e-3)


def test_a_calibrated_score_is_a_probability() -> None:
    """The line found is the one that the outcomes were drawn by."""
    draw = np.random.default_rng(0)
    scores = draw.normal(size=20000)
    happened = draw.random(20000) < 1 / (1 + np.exp(-(0.8 * scores - 1.5)))
    found = calibrate.line(calibrate.Scale(1.0, 0.0, 1.0, 0.0), scores, happened)
    assert (found.slope, found.offset) == (pytest.approx(0.8, abs=0.07), pytest.approx(-1.5, abs=0.07))


@pytest.mark.parametrize(
    ("name", "text", "label"),
    [
        ("sentiment-hash", "a wonderful, moving and funny film", "positive"),
        ("sentiment-hash", "dull, boring and a waste of time", "negative"),
        ("toxicity-hash", "what a lovely garden you have", "neither"),
        ("toxicity-hash", "shut up you stupid bitch", "offensive"),
        ("intent-hash", "what is the weather like tomorrow", "weather"),
        ("intent-hash", "set a timer for ten minutes", "timer"),
    ],
)
def test_hash_twins_know_the_obvious(name: str, text: str, label: str) -> None:
    """Without any encoder."""
    head = _core.LinearHead(shipped(name))
    probabilities, _ = head.score(None, [text])
    assert head.labels[int(probabilities.argmax())] == label


def test_an_unknown_shipped_head_is_refused() -> None:
    """The message names those there are."""
    with pytest.raises(UnknownHead, match=r"'intnet' is shipped.*intent-hash"):
        shipped("intnet")


def test_document_frequencies_count_texts_not_words(tmp_path: Path) -> None:
    """A word said twice in a text counts once; a word of one text is left out."""
    path = tmp_path / "df.safetensors"
    counted = frequencies.save(path, ["rain rain go", "rain again", "go away"])
    tensors, said = headfile.read_tensors(path)
    keys = sorted(int(key) for key in _core.word_keys("rain go"))
    assert counted == {"words": 2, "documents": 3}
    assert (tensors["keys"].tolist(), tensors["counts"].tolist(), said["documents"]) == (keys, [2, 2], "3")


def test_the_shipped_document_frequencies_are_small_and_sorted() -> None:
    """As Rust's binary search needs them."""
    keys = headfile.read_tensors(document_frequencies())[0]["keys"]
    assert document_frequencies().stat().st_size < 1 << 20
    assert (np.diff(keys.astype(object)) > 0).all()
