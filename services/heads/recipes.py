"""The heads that ship, in one table: what each is made of and where its data comes from.

Penalties were found by cross-validation within the training parts (`scales` says what was tried); buckets are as many
as keep a file below 1 MiB.  Hash-only twins serve where no encoder runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from services.heads import datasets, jailbreak
from services.heads.errors import UnknownRecipe
from services.heads.examples import Dataset
from services.heads.spec import Spec

ENCODER = "all-minilm-l6-v2/1"
SEED = 20
ENGLISH = "English only; other languages were neither taught nor measured."


@dataclass(frozen=True)
class Recipe:
    """A spec and the reader of its data, which takes the data directory."""

    spec: Spec
    read: Callable[[Path], Dataset]


def recipe(name: str) -> Recipe:
    """The recipe called `name`.

    Raises:
        UnknownRecipe: there is none.
    """
    if name not in RECIPES:
        raise UnknownRecipe(name, list(RECIPES))
    return RECIPES[name]


def _without_encoder(spec: Spec, **changes: Any) -> Spec:
    limitations = ["Knows words, not meaning: prefer the twin with an encoder where one runs.", *spec.limitations]
    return replace(spec, name=f"{spec.name}-hash", encoder="", limitations=limitations, **changes)


INTENT = Spec(
    name="intent",
    purpose="Which of 150 everyday intents a short request has, or none of them.",
    encoder=ENCODER,
    buckets=2560,
    dense_penalty=1e-5,
    hashed_penalty=2e-5,
    scales=(1.0,),
    fold_count=4,
    refused=0.05,
    reports=("accuracy", "macro_f1", "calibration_error", "out_of_scope"),
    limitations=[
        ENGLISH,
        "Requests to an assistant of about eight words; long texts and several intents at once were not measured.",
        "Out-of-scope texts near a known domain are the ones missed.",
    ],
)
BANKING = Spec(
    name="banking77",
    purpose="Which of 77 questions a customer of an online bank asks, or something else.",
    encoder=ENCODER,
    buckets=4096,
    dense_penalty=1e-5,
    hashed_penalty=2e-5,
    scales=(1.0, 3.0),
    refused=0.05,
    reports=("accuracy", "macro_f1", "calibration_error", "out_of_scope"),
    limitations=[
        ENGLISH,
        "Some of the 77 labels overlap, and the data has label errors; the second label is often right.",
        "Out of scope was measured on other domains; unknown banking questions are harder to tell.",
    ],
)
SENTIMENT = Spec(
    name="sentiment",
    purpose="Whether a sentence is positive or negative.",
    encoder=ENCODER,
    buckets=65536,
    dense_penalty=3e-4,
    hashed_penalty=1e-4,
    scales=(0.3, 1.0, 3.0),
    reports=("accuracy", "auc", "log_loss", "calibration_error"),
    limitations=[
        ENGLISH,
        "Film reviews; there is no neutral label, a neutral text gets a score near one half at best.",
        "Irony, negation over several words and comparisons are often misread.",
        "The data set states no licence; none of its texts are in the file.",
    ],
)
TOXICITY = Spec(
    name="toxicity",
    purpose="Whether a text is hate speech, offensive, or neither.",
    encoder=ENCODER,
    buckets=65536,
    dense_penalty=1e-4,
    hashed_penalty=1e-4,
    scales=(0.1, 0.3, 1.0),
    reports=("accuracy", "macro_f1", "auc", "calibration_error"),
    limitations=[
        ENGLISH,
        "Tweets of 2017 that were collected by slurs, and 4,000 ordinary requests and exam questions beside them: "
        "`hate` and `offensive` are far commoner here than in ordinary text.",
        "Telling hate from offence is hard for this head and was for the annotators; do not act on `hate` alone.",
        "The data labels texts in African American English as offensive more often (Davidson et al. 2019); so will it.",
    ],
)
JAILBREAK = Spec(
    name="jailbreak",
    purpose="Whether a prompt tries to talk a model out of its rules.",
    encoder=ENCODER,
    buckets=65536,
    dense_penalty=1e-4,
    hashed_penalty=1e-4,
    scales=(0.3, 1.0, 3.0),
    alarm="jailbreak",
    reports=("alarms", "recall_at_alarm_share", "auc"),
    test_reports=("alarms",),
    experimental=True,
    limitations=[
        ENGLISH,
        "Experimental: on sources it was not taught it misses the mark of 90 % recall at 2 % false alarms. Annotate "
        "with it, do not block.",
        "Knows the long, role-giving jailbreaks people shared in 2023. Injections hidden in documents, encodings, "
        "other languages and attacks over several turns were neither taught nor measured.",
        "Each new source of harmless long prompts raises more alarms: with the folder `writing` left out of training, "
        "17 % of its prompts were flagged. Measure on your own before use.",
    ],
)
COMPLEXITY = Spec(
    name="complexity",
    purpose="Whether a prompt is worth a strong model: it answers rightly where a weak one does not (complex), or not "
    "(simple). P(complex) is the prompt's complexity.",
    encoder=ENCODER,
    length_weight=0.4,
    dense_penalty=3e-3,
    reports=("apgr", "auc", "log_loss", "calibration_error"),
    limitations=[
        ENGLISH,
        "Multiple-choice exam questions answered by Mixtral-8x7B and GPT-4; chat, code and writing were not measured. "
        "Most of what it knows is which topics gain, and that is only worth something for like topics and like models: "
        "log outcomes and train again on your own traffic.",
        "`simple` is the likeliest label for nearly every prompt: rank by the complexity, do not take the top label.",
        "Where coverage is low it guesses: take the length prior.",
    ],
)

RECIPES: Mapping[str, Recipe] = {
    entry.spec.name: entry
    for entry in (
        Recipe(INTENT, datasets.intent),
        Recipe(_without_encoder(INTENT, buckets=3328, hashed_penalty=3e-6), datasets.intent),
        Recipe(BANKING, datasets.banking),
        Recipe(SENTIMENT, datasets.sentiment),
        Recipe(_without_encoder(SENTIMENT, buckets=131072), datasets.sentiment),
        Recipe(TOXICITY, datasets.toxicity),
        Recipe(_without_encoder(TOXICITY, buckets=131072, hashed_penalty=3e-5), datasets.toxicity),
        Recipe(JAILBREAK, jailbreak.jailbreak),
        Recipe(_without_encoder(JAILBREAK, buckets=131072), jailbreak.jailbreak),
        Recipe(COMPLEXITY, datasets.complexity),
        Recipe(_without_encoder(COMPLEXITY, buckets=32768, hashed_penalty=3e-3), datasets.complexity),
    )
}
