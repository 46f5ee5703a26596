"""The model card: what a head is for, what it was measured to do, and what it cannot.

Rendered from the run log alone, so a card cannot claim what was not measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Log = Mapping[str, Any]


def render(log: Log) -> str:
    """The card as Markdown."""
    sections = [_opening(log), _use(log), _figures(log), _training(log), _limitations(log)]
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def number(value: float) -> str:
    """As the card prints a figure."""
    return f"{value:.4f}"


def _opening(log: Log) -> Iterator[str]:
    spec = log["spec"]
    yield f"# {spec['name']}, version {spec['version']}{' (experimental)' if spec['experimental'] else ''}"
    yield ""
    yield spec["purpose"]


def _use(log: Log) -> Iterator[str]:
    spec, file = log["spec"], log["file"]
    yield "## Use"
    yield ""
    yield f"- Labels ({len(log['labels'])}): {', '.join(log['labels'])}"
    yield f"- Reads: {_reads(spec)}"
    yield f"- File: `{file['name']}`, {file['bytes']:,} bytes, sha256 `{file['sha256']}`"
    if spec["refused"] is not None:
        threshold = log["settings"]["energy_threshold"]
        yield f"- Out of scope above energy {threshold}; set to refuse {_percent(spec['refused'])} of known texts."
    if spec["alarm"]:
        allowed = _percent(spec["alarm_share"])
        yield f"- `{spec['alarm']}` wins where at most {allowed} of the other texts would; its score is no probability."


def _reads(spec: Log) -> str:
    parts = [f"vectors of {spec['encoder']}"] if spec["encoder"] else []
    if spec["buckets"]:
        parts.append(f"words and characters hashed into {spec['buckets']:,} buckets")
    if spec["scalars"] or spec.get("length_weight"):
        parts.append("the length in bytes and words")
    return ", ".join(parts)


def _figures(log: Log) -> Iterator[str]:
    yield "## Figures"
    yield ""
    yield f"Held out: {log['data']['held_out_is']}."
    yield "Intervals are 95 %: Wilson for shares, bootstrap over rows otherwise."
    if log["data"]["held_out"]:
        yield "Measured before the held-out part was added for the shipped fit."
    yield ""
    forms = list(dict.fromkeys(entry["vectors"] for entry in log["figures"]))
    columns = ["part", "figure", "rows", *(f"{form} [95 %]" for form in forms)]
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "---|" * len(columns)
    yield from _rows(log["figures"], forms)


def _rows(figures: Sequence[Log], forms: Sequence[str]) -> Iterator[str]:
    cells = {(e["part"], e["name"], e["vectors"]): e for e in figures}
    for part, name in dict.fromkeys((entry["part"], entry["name"]) for entry in figures):
        found = [cells[part, name, form] for form in forms]
        values = (f"{number(e['value'])} [{number(e['low'])}, {number(e['high'])}]" for e in found)
        yield f"| {part} | {name} | {found[0]['rows']:,} | " + " | ".join(values) + " |"


def _training(log: Log) -> Iterator[str]:
    data, settings, versions = log["data"], log["settings"], log["versions"]
    yield "## Training"
    yield ""
    for source in data["sources"]:
        yield f"- Data: {source['title']}, {source['repository']}, licence: {source['licence']}."
    yield f"- Rows: {data['train']:,} to learn from, {data['held_out']:,} held out; data sha256 `{data['sha256']}`."
    yield f"- {_method(log['spec'], settings)}, seed {log['seed']}."
    yield f"- Versions: {', '.join(f'{name} {value}' for name, value in versions.items())}."


def _method(spec: Log, settings: Log) -> str:
    folds = f"{spec['fold_count']}-fold cross-validation"
    if spec.get("length_weight") is not None:
        return (
            f"Ridge regression of the gain, right minus wrong, with the length's logarithm beside it at "
            f"{spec['length_weight']} standard deviations; probabilities by Platt's method on {folds}"
        )
    return (
        f"Multinomial logistic regression, ridge penalty x {settings['scale']} chosen by {folds}, "
        f"temperature {settings['temperature']}"
    )


def _limitations(log: Log) -> Iterator[str]:
    yield "## Limitations"
    yield ""
    for sentence in log["spec"]["limitations"]:
        yield f"- {sentence}"


def _percent(share: float) -> str:
    return f"{share:.0%}"
