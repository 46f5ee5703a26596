"""The Rust core: text features, the plane's worker and router, and a load generator."""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any, Literal, Protocol, final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Desk",
    "Documents",
    "Engine",
    "Errand",
    "Inbox",
    "Job",
    "LinearHead",
    "Router",
    "Selection",
    "Tokenizer",
    "Worker",
    "build_profile",
    "canary_traffic",
    "hash_embed",
    "hash_features",
    "judge_canary",
    "load",
    "pair_keys",
    "query_reply",
    "redact",
    "version",
    "word_keys",
]

version: str
build_profile: str

def hash_embed(texts: Sequence[str], dimensions: int) -> NDArray[np.float32]:
    """Signed hashed word and character n-grams, unit length: `[n, dimensions]`."""

def hash_features(
    texts: Sequence[str], buckets: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """The same as compressed sparse rows: `(indptr, indices, values)`."""

def word_keys(text: str) -> NDArray[np.uint64]:
    """64-bit keys of the words, as the document frequencies count them."""

def pair_keys(text: str) -> NDArray[np.uint64]:
    """64-bit keys of the pairs of neighbouring words, as a head's coverage is judged by."""

def query_reply(
    ranked: Sequence[Sequence[tuple[int, float, float | None, float | None]]],
    queries: Sequence[str],
    documents: Mapping[int, bytes],
    *,
    snippets: int,
    max_chars: int,
    keep_text: bool,
) -> bytes:
    """`waypost.v1.QueryDocumentsResponse`: for each query what was found (key, score, cosine, BM25), best first.

    `documents` has each `waypost.v1.Document` by its key; what it has not is left out.  At most `snippets` passages are
    cut from a text, none longer than `max_chars`, whole sentences where they fit: those that suit the query, or the
    beginning where none of its words occurs; the text itself is told only where `keep_text`.
    """

def redact(text: str) -> tuple[str, dict[str, int]]:
    """The text with personal data and secrets replaced by their kind, as in `[EMAIL]`, and how many of each.

    Kinds: email, phone, card, iban, ip, ssn, secret, credentials.
    """

@final
class Tokenizer:
    """A `tokenizer.json` with an explicit limit; padding and truncation stored in the file are switched off."""

    def __new__(cls, path: str, max_tokens: int) -> Tokenizer: ...
    def encode(self, texts: Sequence[str], truncate: bool = False) -> list[list[int]]:
        """Token ids with special tokens.  Raises ValueError for a text over the limit unless `truncate`."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, whatever the limit."""

@final
class LinearHead:
    """A head file."""

    def __new__(cls, path: str | PathLike[str]) -> LinearHead: ...
    @property
    def name(self) -> str: ...
    @property
    def labels(self) -> list[str]: ...
    @property
    def experimental(self) -> bool: ...
    @property
    def vector_dimensions(self) -> int | None: ...
    @property
    def quantiles(self) -> NDArray[np.float32] | None:
        """101 ascending quantiles of the training texts' complexity, 1 - P(simple); None where it is not told."""

    def coverage(self, text: str) -> float | None:
        """How much the text is like the training set, 0 to 1; None where the file does not tell."""

    def length_prior(self, text: str) -> float | None:
        """The complexity that the text's length alone suggests; None where the file does not tell."""

    def score(
        self, vectors: NDArray[np.float32] | None, texts: Sequence[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities `[n, labels]` and free energies `[n]`."""

_Columns = tuple[
    str, str, Sequence[str], Sequence[str], Sequence[str], NDArray[np.float32] | None, Sequence[float | None]
]
_Found = tuple[NDArray[np.int64], NDArray[np.float32]]

@final
class Documents:
    """The embedded store of documents: one SQLite file, searched in memory.

    Every method may be called from several threads, and lets go of the GIL.  Times are seconds since 1970, filters the
    JSON of `services.retrieve.filters.as_json`.  A document that is stored or replaced gets a new row number, which is
    never used again.  Raises ValueError for what cannot be meant, OSError where the database fails.
    """

    def __new__(cls, path: str | PathLike[str], *, max_bytes: int) -> Documents:
        """Opens or makes it.  Raises OSError where it is in use by another process."""

    def upsert_each(self, batches: Sequence[_Columns], now: float) -> list[tuple[int, int] | Exception]:
        """Stores batches of documents, each all or none; on disk when it returns, in one commit.

        Of each how many were added and how many replaced, or why it was refused: ValueError, or MemoryError where it
        would take more than `max_bytes`.  Of several documents with one id the last counts.
        """

    def delete(self, tenant: str, name: str, ids: Sequence[str] | None, filter: str | None, now: float) -> int:
        """Removes documents by id or filter; with neither, the namespace.  How many that had not expired."""

    def select(self, tenant: str, name: str, filter: str | None, now: float) -> Selection | None:
        """The documents that a question is about, as they are now; None: there is no such namespace."""

    def fetch(
        self, tenant: str, name: str, rows: Sequence[int], *, text: bool, vector: bool
    ) -> list[tuple[int, bytes]]:
        """(row, `waypost.v1.Document`) of each row that is still there."""

    def get(self, tenant: str, name: str, ids: Sequence[str], with_vector: bool, now: float) -> list[bytes]:
        """Documents by id, in the order of `ids`."""

    def page(self, tenant: str, name: str, after: str, limit: int, filter: str | None, now: float) -> list[bytes]:
        """The first documents whose id comes after `after`, by bytes; without vectors."""

    def set_retention(self, tenant: str, name: str, seconds: float | None) -> None:
        """Makes a namespace, or changes it; None: documents are kept for good."""

    def names(self, tenant: str) -> list[str]:
        """The tenant's namespaces in order."""

    def spaces(self) -> list[tuple[str, str]]:
        """All namespaces: (tenant, name)."""

    def figures(self, tenant: str, name: str, now: float) -> dict[str, Any] | None:
        """None: there is no such namespace.

        Keys: retention (seconds or None), documents, dimensions, disk_bytes, memory_bytes, last_row, indexed (documents
        of rows that the graph has), graph ((file, row) or None).
        """

    def vectors(self, tenant: str, name: str, after: int, limit: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The first rows after `after`, ascending, and their vectors."""

    def set_graph(self, tenant: str, name: str, file: str | None, row: int) -> None:
        """Notes which file indexes the rows up to `row`; None: there is none."""

    def sweep(self, now: float) -> int:
        """Removes what has expired, how many; afterwards nothing that was removed is left in any file."""

    def close(self) -> None:
        """Lets go of the file when the calls under way have ended; others raise ValueError."""

@final
class Worker:
    """A worker whose models run in Python: one callable per session, an inbox for a model that writes, a desk
    for a store of documents."""

    def __new__(
        cls,
        config_json: str,
        runners: Mapping[str, Sequence[Callable[..., Any]]],
        inboxes: Mapping[str, Inbox] | None = None,
        desks: Mapping[str, Desk] | None = None,
    ) -> Worker: ...
    def start(self) -> str:
        """Load, listen, report as serving; returns the bound address.

        Raises OSError where the address cannot be had, ValueError where a file is broken.
        """

    def next_log_level(self, timeout_s: float) -> str | None:
        """What is to be written to the log from now on, once somebody changes that; None where nobody does in time."""

    def drain(self, timeout_s: float) -> bool:
        """Flip health, end the calls in flight, close; whether all ended in time."""

@final
class Inbox:
    """Requests of one generating model, from the worker's service to the backend."""

    def __new__(cls) -> Inbox: ...
    def take(self, timeout_s: float | None = None) -> Job | None:
        """The next one that is still wanted; waits without the GIL.  None: nothing came in time, or it is closed."""

    def close(self) -> None:
        """Nothing comes any more; what waited is dropped, which answers it."""

    @property
    def closed(self) -> bool: ...

@final
class Selection:
    """Documents that a question is about; what becomes of them afterwards is not seen."""

    def __len__(self) -> int: ...
    @property
    def dimensions(self) -> int | None:
        """Of the namespace's vectors, 0: it has none; None: nothing was stored yet."""

    def dense(self, vectors: NDArray[np.float32], limit: int) -> list[_Found]:
        """For each vector the rows with the largest cosine, exactly, best first."""

    def words(self, texts: Sequence[str], limit: int) -> list[_Found]:
        """For each text the rows that share words with it, by BM25, best first."""

    def completed(
        self,
        vectors: NDArray[np.float32],
        rows: NDArray[np.int64],
        cosines: NDArray[np.float32],
        limit: int,
        beyond: int,
    ) -> list[_Found]:
        """What an index of the rows up to `beyond` found for each vector (`[vectors, n]`, best first), made whole.

        What does not count is dropped and later rows are added; where fewer than `limit` are left, all documents are
        looked at.
        """

@final
class Desk:
    """Requests of one store of documents, in two lanes: what reads, and what changes."""

    def __new__(cls) -> Desk: ...
    def take(self, lane: Literal["read", "change"], most: int, timeout_s: float | None = None) -> list[Errand]:
        """As many as wait and have at most `most` documents or queries together, or the first alone; waits for that
        without the GIL.  None come in time, or it is closed: an empty list."""

    def close(self) -> None:
        """Nothing comes any more; what waited is dropped, which answers it."""

    @property
    def closed(self) -> bool: ...

@final
class Errand:
    """One request; the first of `answer` and `fail` answers it, and dropping it unanswered fails it."""

    @property
    def method(self) -> str:
        """Name of the rpc, such as "QueryDocuments"."""

    @property
    def request(self) -> bytes:
        """Encoded, without its vectors."""

    @property
    def vectors(self) -> NDArray[np.float32] | None:
        """Of its documents or queries, `[n, dimensions]`, of unit length; None where they have none."""

    @property
    def tenant(self) -> str: ...
    @property
    def cancelled(self) -> bool:
        """Nobody waits for the answer any more."""

    def answer(self, reply: bytes) -> None:
        """The reply, encoded."""

    def fail(self, refusal_json: str) -> None:
        """Says why there is no answer, as `services.refusal` does."""

@final
class Job:
    """One request; the first of `finish`, `count` and `fail` answers it, and dropping it unanswered fails it."""

    @property
    def kind(self) -> Literal["generate", "count"]: ...
    @property
    def request(self) -> bytes:
        """Encoded: a GenerateRequest, or a GenerateServiceCountTokensRequest."""

    @property
    def tenant(self) -> str: ...
    @property
    def priority(self) -> int: ...
    @property
    def traceparent(self) -> str | None:
        """Its W3C trace context, for whoever is asked next; None: it is not traced."""

    @property
    def remaining_s(self) -> float:
        """Seconds to its deadline."""

    @property
    def cancelled(self) -> bool:
        """Nobody waits for the answer any more."""

    def on_cancel(self, callback: Callable[[], object]) -> None:
        """Called once from another thread when nobody waits any more; at once, if that is so."""

    def begin(self) -> None:
        """It has left the queue."""

    def push(self, text: str, tokens: int = 1) -> None:
        """A piece of the answer."""

    def finish(
        self,
        reason: str,
        *,
        prompt_tokens: int = 0,
        cached_tokens: int = 0,
        completion_tokens: int = 0,
        dropped_tokens: int = 0,
        tool_calls: Sequence[tuple[str, str, str]] | None = None,
        from_template: bool = False,
        cost_usd: float = 0.0,
    ) -> None:
        """The answer is complete; a tool call is (id, name, arguments as JSON).  Raises ValueError for an unknown
        reason."""

    def count(self, tokens: int) -> None:
        """Answers a count."""

    def fail(self, refusal_json: str) -> None:
        """Says why there is no answer, as `services.refusal` does."""

class _Constrain(Protocol):
    def allowed(self, key: int, ids: NDArray[np.int32], logits: NDArray[np.float32], /) -> NDArray[np.bool_]: ...
    def accept(self, key: int, token: int, /) -> None: ...

@final
class Engine:
    """Continuous batching for a backend that computes steps: `wait`, `plan`, compute, `advance`, again."""

    def __new__(
        cls,
        pieces: Sequence[bytes],
        ends: Sequence[int],
        *,
        slots: int,
        context: int,
        chunk: int,
        gap_s: float,
        shares_prefixes: bool,
        apart: bool,
    ) -> Engine: ...
    @property
    def step_tokens(self) -> int:
        """Most tokens of a step."""

    def submit(
        self,
        job: Job,
        key: int,
        tokens: NDArray[np.int32],
        *,
        adapter: int | None = None,
        dropped: int = 0,
        constrained: bool = False,
        hold: str = "nothing",
    ) -> bool:
        """Adds a request; may be called beside the loop.  False once the engine is closed."""

    def wait(self) -> bool:
        """Waits for work without the GIL; False once the engine is closed and all is answered."""

    def plan(
        self,
        tokens: NDArray[np.int32],
        positions: NDArray[np.int32],
        slots: NDArray[np.int32],
        logits: NDArray[np.int8],
    ) -> tuple[int, int, int, list[tuple[int, int, int]], list[int]]:
        """Writes the next step's rows into the arrays.

        Returns the rows, those with logits, the adapter (-1: none), the changes of the cache to be made before, and
        the keys of requests that have ended.  A change is (slot, tokens kept, slot copied from or -1).
        """

    def advance(self, address: int, rows: int, constrain: _Constrain) -> list[tuple[int, str, str, int, int, int, int]]:
        """Takes in the step's logits: `rows` times the vocabulary float32 at `address`.

        Returns the answers that were kept back: (key, text, reason, prompt, cached, completion, dropped tokens).
        """

    def fail(self, why: str) -> None:
        """The planned step could not be computed: its requests fail."""

    def close(self) -> None:
        """Nothing new is taken."""

    def slots(self) -> list[tuple[int, bool]]:
        """Tokens in each slot's cache, and whether it is in use."""

    def waiting(self) -> int:
        """Requests without a slot."""

@final
class Router:
    """The router's path; Python keeps its instance list and takes its events."""

    def __new__(cls, config_json: str) -> Router: ...
    def start(self) -> str:
        """Listen; returns the bound address.  Raises OSError where it cannot be had."""

    def set_instances(self, addresses: Sequence[str]) -> None:
        """Make the instances these; those that stay keep their connections."""

    def status(self) -> str:
        """How it fares, as JSON."""

    def next_events(self, max: int, timeout_s: float) -> list[str]:
        """Up to `max` decisions as JSON lines; waits at most `timeout_s` for the first."""

    def dropped_events(self) -> int:
        """Decisions lost because nobody took them in time."""

    def next_audits(self, max: int, timeout_s: float) -> list[str]:
        """Up to `max` changes and refusals as JSON lines; waits at most `timeout_s` for the first."""

    def dropped_audits(self) -> int:
        """Changes and refusals lost because nobody took them in time."""

    def next_feedback(self, max: int, timeout_s: float) -> list[str]:
        """Up to `max` opinions of answers as JSON lines; waits at most `timeout_s` for the first."""

    def dropped_feedback(self) -> int:
        """Opinions lost because nobody took them in time."""

    def rollouts(self) -> str:
        """Every rollout with what its sides have shown over all routers, as JSON."""

    def set_rollout(self, rollout_json: str) -> str:
        """Change a rollout; returns it as it is then.

        Raises ValueError where it cannot be meant, or is at another revision by now.
        """

    def next_shadows(self, max: int, timeout_s: float) -> list[dict[str, Any]]:
        """Up to `max` pairs of replies to one call, a stable model's and a canary's; waits at most `timeout_s`.

        Keys: method, request_id, mode (of the tenant's payloads), stable_model, stable, canary_model, canary; the
        replies are encoded messages.
        """

    def next_log_level(self, timeout_s: float) -> str | None:
        """What is to be written to the log from now on, once somebody changes that; None where nobody does in time."""

    def next_payloads(self, max: int, timeout_s: float) -> list[dict[str, Any]]:
        """Up to `max` calls with what was said, of tenants who have that kept; waits at most `timeout_s`.

        Keys: timestamp (seconds since 1970), method, request_id, tenant, mode, model (None: none was asked), status;
        request and reply as they were framed, request_cut and reply_cut where there was more.
        """

    def dropped_payloads(self) -> int:
        """Calls whose record is lost because nobody took it in time."""

    def drain(self, timeout_s: float) -> bool:
        """Flip health, end the calls in flight, close; whether all ended in time."""

def judge_canary(case_json: str) -> str:
    """The verdict on a canary, as JSON, by what both sides have shown: see `waypost_decide::sequential`."""

def canary_traffic(question_json: str) -> str:
    """Calls a second at which each of some changes is seen in time, as JSON: see `waypost_decide::traffic`."""

def load(
    address: str,
    path: str,
    payloads: Sequence[bytes],
    *,
    clients: int,
    duration_s: float,
    connections: int = 1,
    rate: float | None = None,
    timeout_s: float = 30.0,
    key: str | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.uint64], dict[int, int], float]:
    """Send encoded messages from closed-loop clients.

    Returns latencies in seconds, the payload of each call, calls per status code (-1: none), and seconds elapsed.
    """
