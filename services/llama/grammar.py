"""Answers that must fit a grammar: which tokens may come next, by llama.cpp's own grammar sampler.

llama.cpp ends the process when it is given a token that the grammar does not take, so every token is asked for before
it is given.  A compiled grammar is kept and cloned: parsing one costs more than a step.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.llama import gbnf, library
from services.llama.library import api
from services.llama.model import Model
from services.refusal import InvalidField
from services.schemas import shown

CACHED = 64
SLOW_S = 1.0
"""CPU seconds for one question; only a grammar with very many ways to read the same text takes so long."""

CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
"""`llama_token_data`."""


class TooAmbiguous(Exception):
    """To follow the grammar any further would take a turn of everybody else's."""

    def __init__(self) -> None:
        super().__init__("the grammar is too ambiguous: write it with fewer ways to read the same text")


class Grammars:
    """Compiled grammars of one model, the ones used last; may be used by several threads."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._compiled: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()
        self.speaks = np.array([bool(piece) for piece in model.pieces()])
        self.speaks[model.end_tokens()] = True

    def check(self, text: str, field: str = "grammar") -> None:
        """Compiles a grammar, for `constraint` to find.

        Raises:
            InvalidField: nothing can be written under it.
        """
        self.constraint(text, field).close()

    def constraint(self, text: str, field: str = "grammar") -> Constraint:
        """The beginning of an answer.

        Raises:
            InvalidField: nothing can be written under the grammar.
        """
        with self._lock:
            compiled = self._compiled.pop(text, None) or self._compile(text, field)
            self._compiled[text] = compiled
            if len(self._compiled) > CACHED:
                api().llama_sampler_free(self._compiled.popitem(last=False)[1])
            return Constraint(self, api().llama_sampler_clone(compiled))

    def close(self) -> None:
        """Frees what was compiled."""
        with self._lock:
            while self._compiled:
                api().llama_sampler_free(self._compiled.popitem()[1])

    def _compile(self, text: str, field: str) -> Any:
        try:
            gbnf.check(text)
        except gbnf.BadGrammar as error:
            raise InvalidField(field, shown(text), f"a grammar that can be followed; {error}") from None
        with library.hearing() as said:
            compiled = api().llama_sampler_init_grammar(self._model.vocabulary, text.encode(), gbnf.ROOT.encode())
        if not compiled:
            why = said[0] if said else "llama.cpp cannot parse it"
            raise InvalidField(field, shown(text), f"a grammar that can be followed; {why}")
        self._check_beginning(compiled, text, field)
        return compiled

    def _check_beginning(self, compiled: Any, text: str, field: str) -> None:
        every = np.arange(self._model.vocab_size, dtype=np.int32)
        beginning = Constraint(self, api().llama_sampler_clone(compiled))
        try:
            if beginning.allowed(every, np.zeros(len(every), np.float32)).any():
                return
            why = "a grammar that the model has a first token for"
        except TooAmbiguous as error:
            why = f"a grammar that can be followed; {error}"
        finally:
            beginning.close()
        api().llama_sampler_free(compiled)
        raise InvalidField(field, shown(text), why)


class Constraint:
    """Where an answer stands in its grammar; for one thread at a time."""

    def __init__(self, of: Grammars, sampler: Any) -> None:
        self._sampler = sampler
        self._speaks = of.speaks
        self._one = np.zeros(1, np.int32)

    def allowed(self, ids: NDArray[np.int32], logits: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which of the tokens `ids` may come next; none of those that steer the model without a text of their own.

        Raises:
            TooAmbiguous: there are too many ways to read what was written.
        """
        candidates = np.zeros(len(ids), CANDIDATE)
        candidates["id"], candidates["logit"] = ids, np.where(np.isfinite(logits), logits, 0)
        began = time.thread_time()
        api().llama_sampler_apply(self._sampler, ctypes.byref(_array(candidates)))
        if time.thread_time() - began > SLOW_S:
            raise TooAmbiguous
        allowed: NDArray[np.bool_] = np.isfinite(candidates["logit"]) & self._speaks[ids]
        return allowed

    def accept(self, token: int) -> bool:
        """Goes on by a token; False, and nothing happens, where the grammar does not take it."""
        self._one[0] = token
        if not self.allowed(self._one, np.zeros(1, np.float32))[0]:
            return False
        api().llama_sampler_accept(self._sampler, token)
        return True

    def close(self) -> None:
        """Frees it."""
        if self._sampler:
            api().llama_sampler_free(self._sampler)
        self._sampler = None


def _array(candidates: NDArray[Any]) -> Any:
    functions = api()
    data = candidates.ctypes.data_as(functions.llama_token_data_p)
    return functions.llama_token_data_array(data, len(candidates), -1, False)
