"""The public data sets the shipped heads learn from, read from a directory of `*.jsonl.gz`.

Where a set publishes its own split, its validation part is held out; else a fixed fifth, label by label.  The test
parts proper are not read here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from services.heads import jsonl
from services.heads.examples import OUTSIDE, Dataset, Examples, Source, distinct, held_out, joined

SPLIT_SEED = 20
HELD_OUT_SHARE = 0.2
ORDINARY = (("intent_clinc150", "text"), ("router_outcomes_train", "prompt"))
ORDINARY_PER_SET = 2000
BANKING_DOMAINS = ("banking", "credit_cards")

CLINC = Source("CLINC150", "clinc/oos-eval", "CC BY 3.0")
BANKING77 = Source("Banking77", "PolyAI-LDN/task-specific-datasets", "CC BY 4.0")
SST2 = Source("Stanford Sentiment Treebank, binary", "clairett/pytorch-sentiment-classification", "none stated")
DAVIDSON = Source("Davidson et al. 2017", "t-davidson/hate-speech-and-offensive-language", "MIT")
ROUTELLM = Source("RouteLLM's MMLU outcomes, 40 subjects", "lm-sys/RouteLLM", "Apache-2.0")

Rows = list[dict[str, Any]]


def intent(directory: Path) -> Dataset:
    rows = _read(directory, "intent_clinc150")
    known = [row for row in rows if row["split"] == "train" and row["domain"] != "oos"]
    rest = [row for row in rows if row["split"] == "val" or row["domain"] == "oos"]
    return Dataset(_clinc(known), _clinc(rest), [CLINC], "the val part and all out-of-scope texts of train and val")


def banking(directory: Path) -> Dataset:
    train, kept = held_out(_labelled(_read(directory, "intent_banking77_train")), HELD_OUT_SHARE, SPLIT_SEED)
    other = [row for row in _read(directory, "intent_clinc150") if _is_elsewhere(row)]
    outside = Examples([row["text"] for row in other], [OUTSIDE] * len(other))
    described = "a fifth of the train part, label by label; out of scope: CLINC150 val texts of other domains"
    return Dataset(train, joined([kept, outside]), [BANKING77, CLINC], described)


def sentiment(directory: Path) -> Dataset:
    rows = _read(directory, "sentiment_sst2")
    train, dev = ([row for row in rows if row["split"] == split] for split in ("train", "dev"))
    return Dataset(_labelled(train), _labelled(dev), [SST2], "the dev part")


def toxicity(directory: Path) -> Dataset:
    """Tweets, and ordinary texts beside them: among the tweets alone, what is not offensive is the exception."""
    train, kept = held_out(_labelled(_read(directory, "toxicity_davidson_train")), HELD_OUT_SHARE, SPLIT_SEED)
    taught = [text for file, key in ORDINARY for text in sample_texts(directory, file, key, ORDINARY_PER_SET)]
    tests = {
        "ordinary texts of a set not taught (Banking77)": _harmless(texts(directory, "intent_banking77_train", "text")),
        "ordinary texts of a set not taught (film reviews)": _harmless(texts(directory, "sentiment_sst2", "text")),
    }
    described = "a fifth of the tweets, label by label"
    tested = [replace(source, title=f"{source.title} (test only)") for source in (BANKING77, SST2)]
    return Dataset(joined([train, _harmless(taught)]), kept, [DAVIDSON, CLINC, ROUTELLM, *tested], described, tests)


def complexity(directory: Path) -> Dataset:
    """All to learn from, as figures are cross-validated: a few subjects kept aside would say little of others."""
    rows = distinct(outcomes(directory / "router_outcomes_train.jsonl.gz"))
    described = "nothing; each prompt is judged by a head taught on four fifths of the prompts, or of the subjects"
    return Dataset(rows, rows.rows(np.array([], dtype=np.intp)), [ROUTELLM], described)


def sample_texts(directory: Path, file: str, key: str, count: int) -> list[str]:
    """`count` texts of a file, spread evenly."""
    texts = list(dict.fromkeys(row[key] for row in _read(directory, file)))
    return [texts[i] for i in np.linspace(0, len(texts) - 1, count).astype(int)]


def texts(directory: Path, file: str, key: str) -> list[str]:
    """All texts of a file, each once."""
    return list(dict.fromkeys(row[key] for row in _read(directory, file)))


def _read(directory: Path, name: str) -> Rows:
    return list(jsonl.rows(directory / f"{name}.jsonl.gz"))


def _examples(rows: Iterable[dict[str, Any]], label: Callable[[dict[str, Any]], str]) -> Examples:
    kept = list(rows)
    return Examples([row["text"] for row in kept], [label(row) for row in kept])


def _labelled(rows: Rows) -> Examples:
    return distinct(_examples(rows, lambda row: str(row["label"])))


def _harmless(found: Sequence[str]) -> Examples:
    return Examples(found, ["neither"] * len(found))


def _clinc(rows: Rows) -> Examples:
    return _examples(rows, lambda row: OUTSIDE if row["domain"] == "oos" else str(row["label"]))


def _is_elsewhere(row: dict[str, Any]) -> bool:
    return row["split"] == "val" and row["domain"] not in BANKING_DOMAINS


def outcomes(path: Path) -> Examples:
    """Prompts that only a strong model answers rightly (complex), and the others (simple), by subject."""
    rows = list(jsonl.rows(path))
    right = {f"{who}_right": np.array([bool(row[f"{who}_ok"]) for row in rows]) for who in ("weak", "strong")}
    labels = ["complex" if row["strong_ok"] and not row["weak_ok"] else "simple" for row in rows]
    return Examples([row["prompt"] for row in rows], labels, [row["domain"] for row in rows], right)
