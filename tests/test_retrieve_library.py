"""What a store is asked for the requests that wait."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from services.refusal import Refused, StoreUnreachable
from services.retrieve.library import Librarian
from services.retrieve.store import Batch, Stored
from tests.documents import Naive
from waypost.v1 import retrieve_pb2 as pb


@dataclass
class Errand:
    """A request of nobody."""

    method: str
    message: Message
    vectors: Any = None
    tenant: str = "acme"
    cancelled: bool = False
    answers: list[Any] = field(default_factory=list)

    @property
    def request(self) -> bytes:
        return self.message.SerializeToString()

    def answer(self, reply: bytes) -> None:
        self.answers.append(reply)

    def fail(self, refusal_json: str) -> None:
        self.answers.append(json.loads(refusal_json)["kind"])


class Counting(Naive):
    """Notes how many upserts come at once."""

    def __init__(self, failing: bool = False) -> None:
        super().__init__()
        self.at_once: list[int] = []
        self.failing = failing

    def upsert_each(self, batches: Sequence[Batch], now: float) -> list[Stored | Refused]:
        self.at_once.append(len(batches))
        if self.failing:
            raise StoreUnreachable("the disk is full")
        return super().upsert_each(batches, now)


def upsert(*ids: str) -> Errand:
    documents = [pb.Document(id=id, text="text") for id in ids]
    return Errand("UpsertDocuments", pb.UpsertDocumentsRequest(namespace="n", documents=documents))


def stored(errand: Errand) -> tuple[int, int]:
    (reply,) = errand.answers
    response = pb.UpsertDocumentsResponse.FromString(reply)
    return response.added, response.replaced


def test_upserts_that_wait_are_stored_together_and_each_is_told_of_its_own() -> None:
    """What else waits keeps its place between them."""
    store = Counting()
    delete = Errand("DeleteDocuments", pb.DeleteDocumentsRequest(namespace="n", ids=["a"]))
    errands = [upsert("a"), upsert("a", "b"), delete, upsert("a")]
    Librarian(store).change(errands)  # type: ignore[arg-type]
    assert store.at_once == [2, 1]
    assert [stored(errands[at]) for at in (0, 1, 3)] == [(1, 0), (1, 1), (1, 0)]
    assert pb.DeleteDocumentsResponse.FromString(delete.answers[0]).deleted == 1


def test_where_the_commit_fails_all_hear_of_it() -> None:
    """Nothing of theirs is kept."""
    errands = [upsert("a"), upsert("b")]
    Librarian(Counting(failing=True)).change(errands)  # type: ignore[arg-type]
    assert [errand.answers for errand in errands] == [["store_unreachable"]] * 2
