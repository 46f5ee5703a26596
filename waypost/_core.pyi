"""The Rust core: text features, the plane's worker and router, and a load generator."""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LinearHead",
    "Router",
    "Tokenizer",
    "Worker",
    "build_profile",
    "hash_embed",
    "hash_features",
    "load",
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
    def score(
        self, vectors: NDArray[np.float32] | None, texts: Sequence[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities `[n, labels]` and free energies `[n]`."""

@final
class Worker:
    """A worker whose models run in Python: one callable per session."""

    def __new__(cls, config_json: str, runners: Mapping[str, Sequence[Callable[..., Any]]]) -> Worker: ...
    def start(self) -> str:
        """Load, listen, report as serving; returns the bound address.

        Raises OSError where the address cannot be had, ValueError where a file is broken.
        """

    def drain(self, timeout_s: float) -> bool:
        """Flip health, end the calls in flight, close; whether all ended in time."""

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

    def drain(self, timeout_s: float) -> bool:
        """Flip health, end the calls in flight, close; whether all ended in time."""

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
) -> tuple[NDArray[np.float64], NDArray[np.uint64], dict[int, int], float]:
    """Send encoded messages from closed-loop clients.

    Returns latencies in seconds, the payload of each call, calls per status code (-1: none), and seconds elapsed.
    """
