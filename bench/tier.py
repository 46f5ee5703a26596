"""Does the tier head know which prompts a strong model is worth its price for, and which texts it knows nothing of?

Question: share of the gap between a weak and a strong model that is won back, averaged over all shares sent to the
strong one (APGR, RouteLLM: 0 the weak alone, 1 the strong alone); how well coverage tells other texts from prompts like
those taught; microseconds a decision.
Control: by lot, by keyword rules, longest first.
Measured: every prompt judged out of fold, by prompt and by subject; the encoder head's figures are its run log's.  With
--test FILE, rows of the same format that no head was taught, judged by the files that ship.

    python -m bench.tier FOLDER_WITH_router_outcomes_train.jsonl.gz [--test FILE]
"""

from __future__ import annotations

import json
import random
import re
import statistics
import sysconfig
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import table
from services.encoder import open_encoder
from services.heads import datasets, headfile, metrics, strength
from services.heads.examples import Examples
from services.heads.familiar import shares
from services.heads.recipes import SEED, recipe
from services.heads.shipped import shipped
from services.heads.strength import BY_PROMPT, BY_SUBJECT
from waypost import _core

HASH, ENCODER = "complexity-hash", "complexity"
COVERAGES = (0.6, 0.65, 0.7)
TEXTS_PER_SET = 500
RULES = re.compile(
    r"\b(prove|derive|calculate|compute|explain|analy[sz]e|compare|evaluate|except|not|least|most likely|best|why|how"
    r"|if|suppose|assume|statement)\b|[=+*/^\\<>]",
    re.IGNORECASE,
)
OTHER_LANGUAGES = (
    "Wie wird das Wetter morgen in den Bergen, und brauche ich eine warme Jacke für die Wanderung?",
    "Quel est le meilleur moyen de se rendre à la gare sans prendre la voiture un jour de grève ?",
    "¿Puedes escribir una carta breve para pedir vacaciones en el mes de agosto a mi jefa?",
    "Mi spieghi in poche parole come funziona il motore di una barca a vela quando manca il vento?",
    "Qual é a capital da Austrália e quantas pessoas moram lá hoje em dia?",
    "Kun je deze tekst samenvatten en de belangrijkste punten in een lijst zetten voor mijn collega's?",
    "Напиши, пожалуйста, короткое стихотворение о море и о корабле, который возвращается домой.",
    "明日の天気はどうですか。傘を持って行ったほうがいいでしょうか。",
    "请用简单的话解释一下光合作用是怎么进行的，以及它为什么重要。",
    "내일 아침 여덟 시에 알람을 맞춰 주고 오늘 일정을 읽어 줘.",
    "ما هي أفضل طريقة لتعلم لغة جديدة في وقت قصير وبدون معلم؟",
    "Hvordan lager jeg en enkel suppe av gulrøtter og ingefær til seks personer i kveld?",
)


def main() -> None:
    """Runs the bench and prints its tables."""
    arguments = ArgumentParser(prog="python -m bench.tier")
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--test", type=Path)
    given = arguments.parse_args()
    rows = recipe(HASH).read(given.folder).train
    show_out_of_fold(given.folder, rows)
    if given.test:
        show_kept_aside(rows, datasets.outcomes(given.test))
    show_coverage(given.folder, rows)
    show_speed(rows.texts)


def show_out_of_fold(folder: Path, rows: Examples) -> None:
    """Heads that were not taught the prompt, or the subject."""
    found = recipe(HASH)
    learnt = strength.learn(found.spec, found.read(folder), {"as trained": None}, SEED)
    ours = {each.part: each.figure for each in learnt.measurements if each.figure.name.endswith("complex first")}
    logged = json.loads(shipped(ENCODER).with_name(f"{ENCODER}.run.json").read_text())["figures"]
    encoder = {(each["part"], each["vectors"]): each for each in logged if each["name"].endswith("complex first")}
    lines = [[name, *[_interval(_apgr(name, order, rows))] * 2] for name, order in controls(rows).items()]
    lines.append([f"{HASH}", *(_interval(ours[part]) for part in (BY_PROMPT, BY_SUBJECT))])
    for form in dict.fromkeys(form for _, form in encoder):
        cells = (metrics.Figure(**_numbers(encoder[part, form])) for part in (BY_PROMPT, BY_SUBJECT))
        lines.append([f"{ENCODER}, vectors {form}", *map(_interval, cells)])
    table.show(f"APGR over {len(rows):,} prompts, [95 %], out of fold", ["order", BY_PROMPT, BY_SUBJECT], lines)


def show_kept_aside(taught: Examples, rows: Examples) -> None:
    """The shipped files on rows of `--test`, by whether their subject was taught."""
    known = np.isin(np.array(rows.groups), np.array(taught.groups))
    parts = {
        f"{BY_PROMPT} ({known.sum():,})": known,
        f"{BY_SUBJECT} ({(~known).sum():,})": ~known,
        "all": known | ~known,
    }
    orders = {**controls(rows), HASH: complexity(HASH, None, rows.texts)}
    orders[f"{ENCODER}, int8 vectors"] = complexity(ENCODER, _vectors(rows.texts), rows.texts)
    lines = [
        [name, *(_interval(_apgr(name, order[at], rows.rows(np.flatnonzero(at)))) for at in parts.values() if at.any())]
        for name, order in orders.items()
    ]
    header = ["order", *(part for part, at in parts.items() if at.any())]
    table.show(f"APGR of the shipped heads over {len(rows):,} prompts kept aside, [95 %]", header, lines)


def controls(rows: Examples) -> Mapping[str, NDArray[np.float64]]:
    """Orders that need no head."""
    return {
        "by lot": np.random.default_rng(SEED).random(len(rows)),
        "keyword rules": np.array([float(len(RULES.findall(text))) for text in rows.texts]),
        "longest first": np.array([float(len(text)) for text in rows.texts]),
    }


def complexity(name: str, vectors: NDArray[np.float32] | None, texts: Sequence[str]) -> NDArray[np.float64]:
    """What the shipped head says."""
    head = _core.LinearHead(shipped(name))
    return 1 - head.score(vectors, texts)[0][:, head.labels.index("simple")].astype(np.float64)


def show_coverage(folder: Path, rows: Examples) -> None:
    """Whether other texts are told from prompts that the filter was not taught."""
    head, found = _core.LinearHead(shipped(HASH)), {}
    none, full = _levels()
    for part, fold in zip((BY_PROMPT, BY_SUBJECT), strength.folds(rows, 5, SEED), strict=True):
        found[f"{part}, out of fold"] = np.clip((shares(rows.texts, fold) - none) / (full - none), 0, 1)
    taught = next(iter(found.values()))
    for name, texts in others(folder):
        found[name] = np.array([head.coverage(text) or 0.0 for text in texts])
    header = ["texts", "number", "median coverage", "AUROC", *(f"below {least}" for least in COVERAGES)]
    lines = [
        [name, len(values), float(np.median(values)), _told_apart(taught, values),
         *(f"{np.mean(values < least):.0%}" for least in COVERAGES)]
        for name, values in found.items()
    ]  # fmt: skip
    table.show(f"Coverage by {HASH}", header, lines)


def others(folder: Path) -> Iterator[tuple[str, Sequence[str]]]:
    """Texts unlike exam questions, by kind."""
    draw = random.Random(SEED)
    for name, file in (
        ("requests (CLINC150)", "intent_clinc150"),
        ("bank questions (Banking77)", "intent_banking77_train"),
        ("tweets", "toxicity_davidson_train"),
        ("film reviews (SST-2)", "sentiment_sst2"),
        ("jailbreaks", "jailbreak_inthewild_train"),
    ):
        yield name, draw.sample(datasets.texts(folder, file, "text"), TEXTS_PER_SET)
    yield "Python code", draw.sample(list(_code()), TEXTS_PER_SET)
    yield "other languages", OTHER_LANGUAGES
    yield (
        "random letters",
        ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz    ", k=200)) for _ in range(TEXTS_PER_SET)],
    )


def _code() -> Iterator[str]:
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        text = path.read_text(errors="replace")[:4000]
        yield from (text[at : at + 500] for at in range(0, len(text), 500))


def show_speed(texts: Sequence[str]) -> None:
    """One text a call from Python, which adds about a microsecond."""
    head = _core.LinearHead(shipped(HASH))
    about = [text for text in texts if 80 <= len(text.split()) <= 120][:TEXTS_PER_SET]
    calls: Mapping[str, Callable[[str], object]] = {
        "complexity": lambda text: head.score(None, [text]),
        "coverage": head.coverage,
        "length prior": head.length_prior,
    }
    lines = [
        [name, *(f"{_spent(call, chosen):.1f}" for chosen in (texts[:2000], about))] for name, call in calls.items()
    ]
    table.show(f"Microseconds, median ({table.machine()})", ["call", "all prompts", "of 80 to 120 words"], lines)


def _spent(call: Callable[[str], object], texts: Sequence[str]) -> float:
    def once(text: str) -> float:
        began = time.perf_counter()
        call(text)
        return time.perf_counter() - began

    return statistics.median(min(once(text) for _ in range(3)) for text in texts) * 1e6


def _apgr(name: str, order: NDArray[np.float64], rows: Examples) -> metrics.Figure:
    weak, strong = rows.columns["weak_right"], rows.columns["strong_right"]
    return metrics.bootstrapped(name, lambda at: metrics.apgr(order[at], weak[at], strong[at]), len(rows), SEED)


def _interval(figure: metrics.Figure) -> str:
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"


def _numbers(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in ("part", "vectors")}


def _told_apart(taught: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    both = np.concatenate([taught, values])
    return metrics.auroc(both, np.arange(len(both)) < len(taught))


def _levels() -> tuple[float, float]:
    """What the shipped file takes for none and for full coverage."""
    seen = headfile.load(shipped(HASH)).familiar
    assert seen is not None
    return seen.none, seen.full


def _vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    encode = open_encoder(recipe(ENCODER).spec.encoder.rpartition("/")[0], "int8")
    return np.array([encode([text])[0] for text in texts], dtype=np.float32)


if __name__ == "__main__":
    main()
