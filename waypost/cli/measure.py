"""`waypost models measure`: how fast a model is on this machine, and what it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waypost.cli import show
from waypost.cli.failures import CommandError
from waypost.cli.options import Json

if TYPE_CHECKING:
    from rich.progress import Progress

    from services.profile import Profile
    from waypost.catalogue import Facts
    from waypost.catalogue.measurements import Measurement, Memory, Work
    from waypost.cli.measuring import Subject
    from waypost.config import Model

HASH = "hash"

Source = Annotated[str, typer.Argument(help='Model of the catalogue, path of a model, or "hash".')]
Precision = Annotated[str, typer.Option(help="float32 or int8, of weights that are converted here.")]
Heads = Annotated[list[str] | None, typer.Option("--head", help="Head to measure with it, may be repeated.")]
Seconds = Annotated[float, typer.Option(help="Length of a run; answers are written three times as long.", min=0.1)]
Plans = Annotated[bool, typer.Option("--plans", help="Try the ways to put texts into runs as well: a minute or so.")]


def measure(
    source: Source = "all-minilm-l6-v2",
    precision: Precision = "int8",
    head: Heads = None,
    seconds: Seconds = 2.0,
    plans: Plans = False,
    json: Json = False,
) -> None:
    """Measure a model on this machine: in a worker of its own, called over gRPC.

    Load time, memory, latency and throughput go into Waypost's home, for `waypost models card`.  With --plans the ways
    to put texts into runs are tried before: workers with `mode = "auto"` then take the fastest.
    """
    from rich.progress import TextColumn

    from waypost.catalogue.measurements import save
    from waypost.cli import measuring, progress
    from waypost.cli.models import ready_alone

    subject, tried = _subject(source, precision, tuple(head or ()))
    ready_alone(subject.model)
    with progress.bar(TextColumn("")) as bar:
        task = bar.add_task(subject.name, total=None)
        profile = tried(bar) if tried and plans else None
        found = measuring.measured(
            subject, seconds, lambda step: bar.update(task, description=f"{subject.name}: {step}")
        )
    path = save(found)
    if json:
        return show.as_json({"file": str(path), "measurement": found.model_dump(mode="json"), **_planned(profile)})
    if profile:
        _show_plans(profile)
    _show(found, path)


# ---- what is measured ----


def _subject(source: str, precision: str, heads: tuple[str, ...]) -> tuple[Subject, Planner | None]:
    from waypost.cli.measuring import Subject
    from waypost.config import Model

    if source == HASH:
        from services.hashing import VERSION

        model = Model(name=HASH, backend="hash", heads=heads)
        return Subject(model, HASH, VERSION, HASH, lambda: None), None
    facts = _facts(source)
    if facts.kind == "generator":
        return _generator(source, facts), None
    return _reader(source, facts, precision, heads)


def _facts(source: str) -> Facts:
    from waypost import catalogue
    from waypost.config import looks_like_path

    return catalogue.facts_in(Path(source)) if looks_like_path(source) else catalogue.find(source)


def _reader(source: str, facts: Facts, precision: str, heads: tuple[str, ...]) -> tuple[Subject, Planner | None]:
    from services.onnx import located
    from services.prepare import has_weights
    from waypost.cli.measuring import Subject
    from waypost.config import Model

    folder, _ = located(source)
    if precision not in ("int8", "float32"):
        raise CommandError(f"--precision {precision}: there is int8 and float32")
    model = Model.model_validate({"name": facts.name, "source": _path(source), "precision": precision, "heads": heads})
    ours = has_weights(folder)
    variant = f"onnx-{precision}" if ours else "onnx"
    subject = Subject(
        model, facts.name, facts.version, variant, lambda: f"{precision}, converted here" if ours else None
    )
    return subject, Planner(source, precision) if ours else None


def _generator(source: str, facts: Facts) -> Subject:
    import importlib.util

    from waypost import catalogue
    from waypost.cli.measuring import Subject
    from waypost.config import Model

    file, _ = catalogue.gguf(source)
    backend = "llama" if importlib.util.find_spec("llama_cpp") else "xllama"
    model = Model.model_validate({"name": facts.name, "source": _path(source), "backend": backend})
    return Subject(model, facts.name, facts.version, backend, lambda: _settled(model, file))


def _settled(model: Model, file: Path) -> str | None:
    """How llama.cpp runs it, once it has found out."""
    if model.backend != "llama":
        return None
    from services.llama import STEP, calibrate
    from waypost import cpus
    from waypost.config import Llama

    options = Llama()
    n_batch = max(STEP, model.generate.slots, 2 * options.prompt_chunk)
    return str(calibrate.settled(options, file, cpus.available(), n_batch=n_batch))


def _path(source: str) -> str:
    from waypost.config import looks_like_path

    return str(Path(source).absolute()) if looks_like_path(source) else source


# ---- plans ----


@dataclass(frozen=True)
class Planner:
    """Tries the plans of batches of a model that reads."""

    source: str
    precision: str

    def __call__(self, bar: Progress) -> Profile:
        """What is found is kept beside the model's file."""
        from services import profile
        from services.measure import measure
        from services.onnx import graph, located, run_of

        folder, facts = located(self.source)
        path = graph(folder, facts, self.precision)
        task = bar.add_task("ways to put texts into runs")
        found = measure(
            run_of(path, facts), facts.max_tokens, lambda done, total: bar.update(task, completed=done, total=total)
        )
        profile.save(path, found)
        bar.remove_task(task)
        return found


def _planned(profile: Profile | None) -> dict[str, Any]:
    if profile is None:
        return {}
    return {"best": profile.best(padding=False).name, "plans": profile.plans}


def _show_plans(profile: Profile) -> None:
    best = profile.best(padding=False)
    kinds = tuple(best.texts_per_s)
    rows = ((plan.name, *(f"{plan.texts_per_s[kind]:.0f}" for kind in kinds)) for plan in profile.plans)
    show.table("the model's file alone: texts per second", ("plan", *(f"{kind} " for kind in kinds)), rows)
    show.console().print(f'workers with `mode = "auto"` take: {best.name}\n')


# ---- telling ----


def _show(found: Measurement, path: Path) -> None:
    writes = any(work.first_token_p50_ms is not None for work in found.works)
    columns = ["call", "words ", "callers ", "texts/s ", "tokens/s ", "p50 ", "p95 ", *["first token "] * writes]
    rows = (_row(work, writes) for work in found.works)
    show.table(f"{found.model} {found.version}, {found.variant}: a worker of its own, called over gRPC", columns, rows)
    say = show.console().print
    say(f"serves {found.load_s:.1f} s after its process was started; with nothing to load {found.empty_load_s:.1f} s")
    if found.memory:
        say(_memory(found.memory))
    if found.quantisation:
        say(f"quantisation: {found.quantisation}", markup=False)
    say(found.source, markup=False)
    if found.busy:
        say("[bold]Something else ran here: measure again when the machine is idle.[/bold]")
    say(f"{path} is written; `waypost models card {found.model}` shows it", markup=False)


def _row(work: Work, writes: bool) -> Iterator[Any]:
    yield f"{work.task} x{work.texts}" if work.texts > 1 else work.task
    yield from (work.words, work.clients)
    yield from map(_rate, (work.texts_per_s, work.tokens_per_s))
    yield from map(_ms, (work.p50_ms, work.p95_ms, *[work.first_token_p50_ms] * writes))


def _memory(memory: Memory) -> str:
    told = {name: f"{value / 2**20:.0f} MiB" for name, value in memory}
    own = f"{memory.own / 2**20:.0f} MiB"
    return (
        f"resident memory: {told['empty']} empty, {told['loaded']} loaded ({own} of the model), "
        f"{told['worked']} after the runs, {told['peak']} at most"
    )


def _rate(value: float | None) -> str:
    return "" if value is None else f"{value:,.{0 if value >= 10 else 2}f}"


def _ms(value: float | None) -> str:
    return "" if value is None else show.milliseconds(value / 1e3)
