"""`waypost demo`: a mesh of its own on a free port, real requests through its router, answers, and nothing left behind.

The mesh is `waypost up` with the embedded default, as a child process with a lifeline: it ends with this command,
however this command ends.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from waypost.cli import answer, demo_chat, show
from waypost.cli.failures import CommandError
from waypost.cli.options import ConfigFile, Json

if TYPE_CHECKING:
    from waypost.client import Client
    from waypost.results import Classifications, Embeddings, Ranking, ServedBy, Timings

SENTENCES = (
    "A man is playing a guitar on stage.",
    "Somebody makes music with a stringed instrument.",
    "The quarterly report is due on Friday.",
)
MESSAGES = {
    "intent": ("what is my bank balance", "set an alarm for seven tomorrow", "the colour of the ocean at night"),
    "sentiment": ("a warm, funny and moving film", "two hours of my life I will not get back"),
    "toxicity": ("have a lovely day, friend", "shut up, you worthless idiot"),
}
QUERY = "how do I get my money back?"
DOCUMENTS = (
    "Our office is closed on public holidays.",
    "Refunds are paid to your card within five working days of the return.",
    "Parcels are tracked from the moment they leave the warehouse.",
    "To return an item, print the label and drop the parcel at any post office.",
)


@dataclass(frozen=True)
class Step:
    """One call of the demo: its answer, and how long the caller waited."""

    name: str
    texts: int
    served: ServedBy
    timings: Timings
    round_trip: float
    answer: Any


def demo(config_file: ConfigFile = None, json: Json = False) -> None:
    """Start a mesh, send it real requests, show the answers with the time of each stage, and stop it.

    The first run fetches the default models; later runs need no network.
    """
    from waypost.client import Client

    with _mesh(config_file) as (address, operator), Client(operator) as client:
        if json:
            steps, chat = list(_steps(client)), demo_chat.chat(client, heard=lambda text: None)
            return show.as_json({"grpc": address, "steps": steps, "chat": chat})
        steps, chat = list(_shown(_steps(client))), demo_chat.chat(client, heard=answer.piece)
    _show_timings(steps)
    if chat:
        demo_chat.show_timings(chat)


@contextlib.contextmanager
def _mesh(config_file: Any) -> Iterator[tuple[str, str]]:
    """Address of a mesh that lives as long as the block, and that of its operator, who needs no key."""
    from waypost.cli.mesh import WAYPOST

    own = ("--config", str(config_file)) if config_file else ()
    command = (*WAYPOST, "up", "--json", "--lifeline", "--listen", "127.0.0.1:0", *own)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as mesh:
        try:
            yield _addresses(mesh)
        finally:
            mesh.terminate()
            mesh.wait()  # before its lifeline is cut, which would be a second signal: leave at once


def _addresses(mesh: subprocess.Popen[str]) -> tuple[str, str]:
    assert mesh.stdout is not None
    line = mesh.stdout.readline()
    if not line:
        raise CommandError("the mesh did not start: the lines above say why")
    ready = json.loads(line)
    return str(ready["grpc"]), str(ready["operator"])


def _shown(steps: Iterable[Step]) -> Iterator[Step]:
    """Prints each answer as soon as it is there."""
    for step in steps:
        SHOWN[type(step.answer).__name__](step.answer)
        yield step


def _steps(client: Client) -> Iterator[Step]:
    yield _timed("embed", len(SENTENCES), lambda: client.embed(SENTENCES))
    heads = {head.name for model in client.models() for head in model.heads}
    for head, texts in MESSAGES.items():
        if head in heads:
            yield _classified(client, head, texts)
    yield _timed("rerank", len(DOCUMENTS), lambda: client.rerank(QUERY, DOCUMENTS))


def _classified(client: Client, head: str, texts: tuple[str, ...]) -> Step:
    return _timed(f"classify {head}", len(texts), lambda: client.classify(texts, head=head, top_k=2))


def _timed(name: str, texts: int, call: Callable[[], Any]) -> Step:
    began = time.perf_counter()
    answer = call()
    return Step(name, texts, answer.served, answer.timings, time.perf_counter() - began, answer)


def _show_embeddings(answer: Embeddings) -> None:
    cosines = answer.vectors @ answer.vectors.T
    rows = ((text, *(f"{cosine:.3f}" for cosine in row)) for text, row in zip(SENTENCES, cosines, strict=True))
    title = f"embed: cosines of {answer.vectors.shape[1]}-d vectors"
    show.table(title, ("text", *(f"{i} " for i in range(len(SENTENCES)))), rows)


def _show_classifications(answer: Classifications) -> None:
    rows = ((text, show.labels(one)) for text, one in zip(MESSAGES[answer.head], answer.results, strict=True))
    show.table(f"classify: {answer.head}", ("text", "labels"), rows)


def _show_ranking(answer: Ranking) -> None:
    rows = ((f"{each.score:+.3f}", each.document) for each in answer.ranking)
    show.table(f"rerank: {QUERY} ({answer.method})", ("score ", "document"), rows)


SHOWN: dict[str, Callable[[Any], None]] = {
    "Embeddings": _show_embeddings,
    "Classifications": _show_classifications,
    "Ranking": _show_ranking,
}


def _show_timings(steps: list[Step]) -> None:
    columns = ("call", "texts ", "queue ", "tokenise ", "infer ", "worker ", "caller ")
    by = steps[0].served
    show.table(
        f"where the time went, in ms ({by.model} on {by.instance})", columns, (_timing_row(step) for step in steps)
    )


def _timing_row(step: Step) -> tuple[str | int, ...]:
    spent = step.timings
    stages = (spent.queue, spent.tokenize, spent.inference, spent.total, step.round_trip)
    return (step.name, step.texts, *(f"{each * 1e3:.2f}" for each in stages))
