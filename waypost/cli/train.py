"""`waypost train`: label sets over an encoder's vectors, shipped ones again or one's own, and BM25's background table.

Training needs SciPy, which serving does not: `pip install 'waypost[train]'`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waypost.cli import show
from waypost.cli.options import Json

if TYPE_CHECKING:
    from rich.progress import Progress

    from services.encoder import Encode
    from services.heads.examples import Dataset
    from services.heads.spec import Spec

NO_ENCODER = "none"
SEED = 20

Data = Annotated[Path, typer.Option(help="Folder with the public data sets, `*.jsonl.gz`.", file_okay=False)]
Out = Annotated[Path, typer.Option(help="Folder for head file, model card and run log.", file_okay=False)]
Seed = Annotated[int, typer.Option(help="Of folds and intervals; the same seed gives the same bytes.", min=0)]

group = typer.Typer(help="Train label sets (heads) for `waypost classify`.", no_args_is_help=True)


@group.command("head")
def head(
    name: Annotated[str, typer.Argument(help="A shipped head, such as intent or sentiment.")],
    data: Data,
    out: Out = Path("out"),
    seed: Seed = SEED,
    json: Json = False,
) -> None:
    """Train one of the shipped heads again, from its public data.

    Figures are measured on a part kept aside, with the vectors that training saw and with the int8 file that is served.
    """
    _needs_scipy()
    from services.heads.recipes import recipe

    found = recipe(name)
    _train(Job(found.spec, found.read(data), found.spec.encoder.rpartition("/")[0]), out, seed, json)


@group.command("labels")
def labels(
    file: Annotated[Path, typer.Argument(help="*.jsonl, *.jsonl.gz or *.csv with the fields text and label.")],
    name: Annotated[str, typer.Option(help="Of the head, as callers will ask for it.")],
    encoder: Annotated[
        str, typer.Option(help='Model whose vectors it reads; "none": hashed words alone, for the hash backend.')
    ] = "all-minilm-l6-v2",
    out: Out = Path("out"),
    seed: Seed = SEED,
    json: Json = False,
) -> None:
    """Train a head on labels of your own, from five examples each.

    A fifth of the examples is kept aside to measure on, and learnt from for the file that is written.
    """
    _needs_scipy()
    from services.heads import own

    source = "" if encoder == NO_ENCODER else encoder
    _train(Job(own.spec(name, _tag(source)), own.dataset(file), source), out, seed, json)


@group.command("frequencies")
def frequencies(
    data: Data,
    out: Annotated[Path, typer.Option(help="The file.")] = Path("document_frequencies.safetensors"),
    json: Json = False,
) -> None:
    """Count in how many texts of the public data sets each word occurs, for reranking by BM25."""
    _needs_scipy()
    from services.heads import frequencies as table

    counted = table.write(out, data)
    if json:
        return show.as_json({"file": str(out), **counted})
    show.console().print(f"{out}: {counted['words']:,} words of {counted['documents']:,} texts")


@dataclass(frozen=True)
class Job:
    """A head to train; `source` is the encoder, as the catalogue or a path names it, empty where it has none."""

    spec: Spec
    data: Dataset
    source: str


def _needs_scipy() -> None:
    from services.heads.errors import SciPyMissing

    if not all(importlib.util.find_spec(package) for package in ("scipy", "threadpoolctl")):
        raise SciPyMissing


def _tag(source: str) -> str:
    """How the head file names an encoder: `name/version`."""
    if not source:
        return ""
    from services.onnx import located

    facts = located(source)[1]
    return f"{facts.name}/{facts.version}"


def _train(job: Job, out: Path, seed: int, json: bool) -> None:
    from rich.progress import MofNCompleteColumn

    from services.heads.train import train
    from waypost.catalogue import lineage
    from waypost.cli import progress

    with progress.bar(MofNCompleteColumn()) as bar:
        task = bar.add_task(job.spec.name, total=None)
        forms = _forms(job.source, bar)
        trained = train(
            job.spec,
            job.data,
            forms.pop("float32", None),
            seed,
            out,
            {f"{precision} as served": embed for precision, embed in forms.items()},
            lambda step: bar.update(task, description=f"{job.spec.name}: {step}"),
        )
    record = lineage.register(trained.path, lineage.of_head(lineage.run_log(trained.path)))
    if json:
        files = {"head": trained.path, "card": trained.card_path, "lineage": record}
        return show.as_json({name: str(path) for name, path in files.items()} | {"log": trained.log})
    _show(job, trained.path, trained.log)


def _forms(source: str, bar: Progress) -> dict[str, Encode]:
    if not source:
        return {}
    from services.encoder import open_encoder

    return {form: _watched(open_encoder(source, form), bar, form) for form in ("float32", "int8")}


def _watched(encode: Encode, bar: Progress, form: str) -> Encode:
    """`encode` under a progress bar, no text twice."""
    import numpy as np

    known: dict[str, Any] = {}

    def embed(texts: Sequence[str]) -> Any:
        new = [text for text in dict.fromkeys(texts) if text not in known]
        for text in bar.track(new, description=f"embedding, {form}"):
            known[text] = encode([text])[0]
        return np.array([known[text] for text in texts])

    return embed


def _show(job: Job, path: Path, log: Mapping[str, Any]) -> None:
    rows = (
        (each["part"], each["vectors"], each["name"], _interval(each), f"{each['rows']:,}") for each in log["figures"]
    )
    show.table(f"{job.spec.name}: {len(log['labels'])} labels", ("part", "vectors", "figure", "[95 %] ", "rows "), rows)
    given = path if path.is_absolute() else f"./{path}"
    model = job.source or "hash"
    show.console().print(
        f"{path}, its card, its run log and its lineage are written.\n"
        f'Serve it: heads = ["{given}"] under the model {model} '
        "of your configuration; the path is relative to that file.",
        markup=False,
    )


def _interval(figure: Mapping[str, Any]) -> str:
    return f"{figure['value']:.4f} [{figure['low']:.4f}, {figure['high']:.4f}]"
