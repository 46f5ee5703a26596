"""The loop of a model: plan in Rust, compute in llama.cpp, draw in Rust.

Two threads: one reads requests (template, tokens, grammar), so that a long prompt's tokenising holds nobody up, the
other computes steps.  Python does a few calls per step, whatever the number of slots.
"""

from __future__ import annotations

import ctypes
import itertools
import sys
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from services.llama import prompt as prompts
from services.llama import tools
from services.llama.grammar import Constraint
from services.llama.library import api
from services.llama.prompt import Parts, Prompt
from services.refusal import ModelFailed, Refused
from waypost import _core
from waypost.v1 import generate_pb2

SWITCH_S = 0.0005
"""Longest that one Python thread keeps another waiting: a step must not wait for a template."""

log = structlog.get_logger()


@dataclass
class Open:
    """A request from when it is read to its end."""

    job: _core.Job
    prompt: Prompt
    constraint: Constraint | None


class Batch:
    """One `llama_batch`, used again at every step; its arrays are ours, so filling them costs no call per token."""

    def __init__(self, tokens: int) -> None:
        self.tokens, self.positions, self.slots = (np.zeros(tokens, np.int32) for _ in range(3))
        self.logits = np.zeros(tokens, np.int8)
        self._counts = np.ones(tokens, np.int32)
        ids = self.slots.ctypes.data + np.arange(tokens, dtype=np.uintp) * self.slots.itemsize
        self._ids = ids.astype(np.uintp)
        self._struct = api().llama_batch(
            token=_pointer(self.tokens, ctypes.c_int32),
            pos=_pointer(self.positions, ctypes.c_int32),
            n_seq_id=_pointer(self._counts, ctypes.c_int32),
            seq_id=self._ids.ctypes.data_as(ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
            logits=_pointer(self.logits, ctypes.c_int8),
        )

    def of(self, rows: int) -> Any:
        """The first rows, as llama.cpp takes them."""
        self._struct.n_tokens = rows
        return self._struct


class Engine:
    """Answers the requests of one model."""

    def __init__(self, parts: Parts, chunk: int, gap_s: float) -> None:
        model = parts.model
        self._parts, self._model = parts, model
        self._open: dict[int, Open] = {}
        self._keys = itertools.count()
        self._failure: BaseException | None = None
        self.core = _core.Engine(
            model.pieces(),
            model.end_tokens(),
            slots=model.slots,
            context=model.context,
            chunk=chunk,
            gap_s=gap_s,
            shares_prefixes=model.can_share_prefix,
            apart=model.can_share_prefix and not model.settings.unified,
        )
        self._batch = Batch(self.core.step_tokens)

    def answer(self, inbox: _core.Inbox) -> None:
        """Takes jobs until the inbox is closed and all are answered.

        Raises:
            Exception: whatever ended one of the threads; the process is of no use then.
        """
        sys.setswitchinterval(SWITCH_S)
        reader = threading.Thread(target=self._read, args=(inbox,), name="reader", daemon=True)
        reader.start()
        while self.core.wait():
            self._step()
        reader.join()
        if self._failure:
            raise self._failure

    def allowed(self, key: int, ids: NDArray[np.int32], logits: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which tokens may come next in an answer; called by the core."""
        return self._constraint(key).allowed(ids, logits)

    def accept(self, key: int, token: int) -> None:
        """A token was drawn; called by the core.

        Raises:
            RuntimeError: the grammar does not take a token that it has allowed.
        """
        if not self._constraint(key).accept(token):
            raise RuntimeError(f"its grammar does not take token {token}, which it has allowed")

    def _constraint(self, key: int) -> Constraint:
        constraint = self._open[key].constraint
        assert constraint is not None
        return constraint

    def _read(self, inbox: _core.Inbox) -> None:
        try:
            while job := inbox.take():
                self._receive(job)
        except BaseException as error:  # raised by `answer`, in the thread that somebody watches
            self._failure = error
        finally:
            self.core.close()

    def _receive(self, job: _core.Job) -> None:
        try:
            self._count(job) if job.kind == "count" else self._submit(job)
        except Refused as refused:
            job.fail(refused.as_json())
        except Exception as error:
            log.exception("a request could not be read")
            job.fail(ModelFailed(f"the request could not be read: {error}").as_json())

    def _count(self, job: _core.Job) -> None:
        request = generate_pb2.GenerateServiceCountTokensRequest.FromString(job.request)
        job.count(prompts.count(request, self._parts))

    def _submit(self, job: _core.Job) -> None:
        request = generate_pb2.GenerateRequest.FromString(job.request)
        prompt = prompts.prepare(request, self._parts)
        constraint = self._parts.grammars.constraint(prompt.gbnf, prompt.gbnf_field) if prompt.gbnf else None
        key = next(self._keys)
        self._open[key] = Open(job, prompt, constraint)
        self.core.submit(
            job,
            key,
            prompt.tokens,
            adapter=prompt.adapter,
            dropped=prompt.dropped,
            constrained=constraint is not None,
            hold=_hold(prompt),
        )

    def _step(self) -> None:
        batch = self._batch
        rows, outputs, adapter, changes, released = self.core.plan(
            batch.tokens, batch.positions, batch.slots, batch.logits
        )
        for key in released:
            self._release(key)
        for slot, keep, source in changes:
            self._change(slot, keep, source)
        if rows:
            self._parts.adapters.apply(None if adapter < 0 else adapter)
            self._compute(rows, outputs)

    def _compute(self, rows: int, outputs: int) -> None:
        code = api().llama_decode(self._model.ctx, self._batch.of(rows))
        if code != 0:
            log.error("llama.cpp could not compute a step", code=code, rows=rows)
            return self.core.fail(f"llama.cpp could not compute a step (code {code})")
        address = ctypes.cast(api().llama_get_logits(self._model.ctx), ctypes.c_void_p).value if outputs else 0
        for held in self.core.advance(address or 0, outputs, self):
            self._finish(*held)

    def _change(self, slot: int, keep: int, source: int) -> None:
        """Of separate caches llama.cpp copies whole ones only; what is too much is cut off after."""
        functions, memory = api(), self._model.memory
        if source < 0:
            functions.llama_memory_seq_rm(memory, slot, keep, -1)
        elif self._model.settings.unified:
            functions.llama_memory_seq_rm(memory, slot, -1, -1)
            functions.llama_memory_seq_cp(memory, source, slot, 0, keep)
        else:
            functions.llama_memory_seq_cp(memory, source, slot, -1, -1)
            functions.llama_memory_seq_rm(memory, slot, keep, -1)

    def _finish(
        self, key: int, text: str, reason: str, prompt: int, cached: int, completion: int, dropped: int
    ) -> None:
        """Ends an answer that may be calls of tools."""
        job, calls = self._open[key].job, tools.parse(text, self._open[key].prompt.tools)
        if calls:
            reason = "tool_calls"
        else:
            job.push(text, 0)
        job.finish(
            reason,
            prompt_tokens=prompt,
            cached_tokens=cached,
            completion_tokens=completion,
            dropped_tokens=dropped,
            tool_calls=calls or [],
        )

    def _release(self, key: int) -> None:
        if constraint := self._open.pop(key).constraint:
            constraint.close()


def _hold(prompt: Prompt) -> str:
    if prompt.tool_choice == generate_pb2.TOOL_CHOICE_REQUIRED:
        return "all"
    calls = prompt.tools and prompt.tool_choice != generate_pb2.TOOL_CHOICE_NONE
    return "undecided" if calls else "nothing"


def _pointer(array: NDArray[Any], kind: type[Any]) -> Any:
    return array.ctypes.data_as(ctypes.POINTER(kind))
