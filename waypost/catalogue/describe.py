"""Cards of what there is: entries of the catalogue, folders, heads and the hash vectors."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from waypost.catalogue.cards import (
    Card,
    CardFile,
    Context,
    Latency,
    MemoryUse,
    Student,
    Teacher,
    Throughput,
)
from waypost.catalogue.entries import SERVED_BY, Entry, Facts, Hub, entries
from waypost.catalogue.lineage import Parent, of_head
from waypost.catalogue.measurements import Measurement, Work, measurements
from waypost.catalogue.said import Claim, Price, Score

CATALOGUE = "Waypost's catalogue"
RUN_LOG = "the run log of its training"
OWN = Price(input_usd_per_1k=0.0, output_usd_per_1k=0.0, source="runs on your own machine: nothing is paid per token")
MODALITIES = {
    "encoder": "text → vector",
    "sequence_classifier": "text → labels",
    "cross_encoder": "query and text → score",
    "generator": "text → text",
    "image_encoder": "picture or text → vector",
    "text_recogniser": "picture → text",
    "document_reader": "picture and question → text",
    "transcriber": "speech → text",
}
HARDWARE = {
    "onnx": "any CPU, by onnxruntime; no GPU is used",
    "llama": "any CPU, by llama.cpp; GPUs were not tried",
    "remote": "none of yours: it runs at its provider",
}
INT8 = Claim(says="int8, converted here once; float32 where the configuration says so", source="Waypost's converter")
UNLIMITED = "no limit of tokens: any text that a worker takes"
HASH_LIMITS = (
    "Texts are near each other that share words or pieces of words, not those that mean the same.",
    "Languages without spaces between words are told apart by pieces of words alone.",
)


def of_facts(facts: Facts, source: str = "") -> Card:
    """Of an entry of the catalogue, or of a model folder or file at `source`."""
    said, made = facts.card, measurements(facts.name, facts.version)
    hosted = facts.kind == "hosted"
    who = said.source or _hub(facts) or CATALOGUE
    return Card(
        name=facts.name,
        version=facts.version,
        kind=facts.kind,
        role="teacher" if hosted else "student",
        summary=facts.summary,
        provider=_claim(facts.provider, who),
        license=_claim(facts.license, who),
        context=_context(facts.max_tokens, facts.kind),
        dimensions=facts.dimensions if facts.kind in ("encoder", "image_encoder") and facts.dimensions else None,
        labels=facts.labels,
        modalities=said.claim(said.modalities) or _claim(MODALITIES.get(facts.kind, ""), CATALOGUE),
        hardware=said.claim(said.hardware) or _hardware(facts),
        safety=said.claims(said.safety),
        latency=tuple(_latency(made)),
        cost=said.priced if hosted else OWN,
        evals=said.scores,
        limitations=said.claims(said.limitations),
        student=None if hosted else _student(made, said.claim(said.quantisation) or _converted(facts)),
        teacher=_teacher(facts) if hosted else None,
        lineage=None,
        files=tuple(_files(facts)),
        serve=_serve(facts, source),
    )


def of_log(log: Mapping[str, Any]) -> Card:
    """Of a head, from its run log."""
    spec, lineage = log["spec"], of_head(log)
    encoder = lineage.parent
    made = measurements(encoder.name, encoder.version) if encoder else measurements("hash", "1")
    mine = [each.model_copy(update={"works": tuple(_of_head(each.works, lineage.name))}) for each in made]
    return Card(
        name=lineage.name,
        version=lineage.version,
        kind="head",
        role="student",
        summary=spec["purpose"],
        provider=Claim(says="trained by Waypost", source=RUN_LOG),
        license=_claim(
            "; ".join(f"{each.title}: {each.licence}" for each in lineage.data.sources), f"{RUN_LOG}: its data"
        ),
        context=_encoder_context(encoder),
        dimensions=None,
        labels=tuple(log["labels"]),
        modalities=Claim(says="text → labels", source=RUN_LOG),
        hardware=Claim(says="any CPU: one matrix product a text, beside the encoder", source=CATALOGUE),
        safety=(Claim(says="Experimental: its makers would not yet act on what it says.", source=RUN_LOG),)
        if spec["experimental"]
        else (),
        latency=tuple(_latency(mine)),
        cost=OWN,
        evals=tuple(_score(each) for each in log["figures"]),
        limitations=tuple(Claim(says=each, source=RUN_LOG) for each in spec["limitations"]),
        student=_student(mine, Claim(says="float16 weights", source=CATALOGUE)),
        teacher=None,
        lineage=lineage,
        files=(CardFile(**lineage.file.model_dump()),),
        serve=_under(encoder, spec["name"]),
    )


def of_hash(version: str, dimensions: int) -> Card:
    """Of the hash vectors, which are a function and no model."""
    made = measurements("hash", version)
    return Card(
        name="hash",
        version=version,
        kind="hash",
        role="student",
        summary="Vectors of hashed words and character n-grams: deterministic, nothing to load",
        provider=Claim(says="Waypost", source=CATALOGUE),
        license=Claim(says="Apache-2.0", source=CATALOGUE),
        context=Context(tokens=None, says=UNLIMITED),
        dimensions=dimensions,
        labels=(),
        modalities=Claim(says="text → vector", source=CATALOGUE),
        hardware=Claim(says="any CPU", source=CATALOGUE),
        safety=(Claim(says="Nothing was learnt from anybody's data.", source=CATALOGUE),),
        latency=tuple(_latency(made)),
        cost=OWN,
        evals=(),
        limitations=tuple(Claim(says=each, source=CATALOGUE) for each in HASH_LIMITS),
        student=_student(made, Claim(says="float32 vectors, no weights", source=CATALOGUE)),
        teacher=None,
        lineage=None,
        files=(),
        serve=_toml({"name": "hash", "backend": "hash"}),
    )


def _claim(says: str, source: str) -> Claim | None:
    return Claim(says=says, source=source) if says else None


def _context(tokens: int, kind: str) -> Context | None:
    what = "tokens of prompt and answer together" if kind in ("generator", "hosted") else "tokens of a text"
    return Context(tokens=tokens, says=f"{tokens:,} {what}") if tokens else None


def _encoder_context(encoder: Parent | None) -> Context | None:
    """A head reads as much as the encoder under it."""
    if encoder is None:
        return Context(tokens=None, says=UNLIMITED)
    known = entries().get(encoder.name)
    return _context(known.max_tokens, known.kind) if known else None


def _hardware(facts: Facts) -> Claim | None:
    backend = SERVED_BY.get(facts.kind, "")
    return _claim(HARDWARE.get(backend, ""), f"Waypost's backend {backend}")


def _converted(facts: Facts) -> Claim | None:
    """Weights of encoders are quantised when they first come."""
    weights = isinstance(facts, Entry) and any(file.name == "model.safetensors" for file in facts.files)
    return INT8 if weights and SERVED_BY.get(facts.kind) == "onnx" else None


def _hub(facts: Facts) -> str:
    hubs = [each for each in facts.sources if isinstance(each, Hub)] if isinstance(facts, Entry) else []
    return f"https://huggingface.co/{hubs[0].repository}" if hubs else ""


def _score(figure: Mapping[str, Any]) -> Score:
    told = {name: figure[name] for name in ("name", "value", "low", "high", "rows")}
    return Score(on=figure["part"], form=f"vectors {figure['vectors']}", source=RUN_LOG, **told)


# ---- what was measured ----


def _student(made: Sequence[Measurement], quantisation: Claim | None) -> Student:
    latest = made[0] if made else None
    measured = _claim(latest.quantisation or "", latest.source) if latest else None
    return Student(
        throughput=tuple(_throughput(made)),
        memory=_memory(latest) if latest else None,
        quantisation=measured or quantisation,
    )


def _memory(measured: Measurement) -> MemoryUse | None:
    if measured.memory is None:
        return None
    return MemoryUse(
        used=measured.memory,
        load_s=measured.load_s,
        empty_load_s=measured.empty_load_s,
        source=measured.source,
    )


def _latency(made: Iterable[Measurement]) -> Iterator[Latency]:
    shared = set(Latency.model_fields) - {"source"}
    for each in made:
        yield from (Latency(source=each.source, **work.model_dump(include=shared)) for work in each.works if work.calls)


def _throughput(made: Iterable[Measurement]) -> Iterator[Throughput]:
    shared = set(Throughput.model_fields) - {"source"}
    for each in made:
        yield from (Throughput(source=each.source, **work.model_dump(include=shared)) for work in each.works)


def _of_head(works: Iterable[Work], name: str) -> Iterator[Work]:
    return (work for work in works if work.task == f"classify {name}")


# ---- what it takes to serve it ----


def _teacher(facts: Facts) -> Teacher:
    said = facts.card
    claims = {name: said.claim(getattr(said, name)) for name in Teacher.model_fields}
    return Teacher.model_validate(claims)


def _files(facts: Facts) -> Iterator[CardFile]:
    if isinstance(facts, Entry):
        yield from (CardFile(name=file.name, bytes=file.bytes, sha256=file.sha256) for file in facts.files)


def _serve(facts: Facts, source: str) -> str:
    if isinstance(facts, Entry) and facts.endpoint:
        price = facts.card.price
        cost = (
            {
                "cost_per_1k_tokens_usd": price.input_usd_per_1k,
                "cost_per_1k_output_tokens_usd": price.output_usd_per_1k,
            }
            if price
            else {}
        )
        model = {"name": facts.name, "backend": "remote", "tier": facts.tier, "tags": list(facts.tags)} | cost
        return _toml(model) + "\n[workers.models.remote]\n" + _lines(facts.endpoint.model_dump())
    if facts.kind not in SERVED_BY:
        return ""
    return _toml({"name": facts.name, "backend": SERVED_BY[facts.kind], "source": source or facts.name})


def _under(encoder: Parent | None, head: str) -> str:
    """A head is served under the model whose vectors it reads."""
    if encoder is None:
        return _toml({"name": "hash", "backend": "hash", "heads": [head]})
    return _toml({"name": encoder.name, "backend": "onnx", "source": encoder.name, "heads": [head]})


def _toml(model: Mapping[str, Any]) -> str:
    """A worker with the model."""
    return f'[[workers]]\nname = "{model["name"].replace(".", "-")}"\n\n[[workers.models]]\n{_lines(model)}'


def _lines(table: Mapping[str, Any]) -> str:
    """JSON's texts, numbers and lists of texts are TOML's too."""
    return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in table.items())
