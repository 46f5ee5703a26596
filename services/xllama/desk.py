"""Takes jobs from the inbox and runs each in a thread that the engine calls back, so many at once.

A request is stopped when the engine next calls back: with a piece of text, or with the next `llama.prompt_chunk` tokens
of the prompt read.  In between it offers no way: a request whose caller left holds its place for one such step longer.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import Any

from services.openai_wire.ask import Ask, Body, Endpoint, ask
from services.openai_wire.chunks import Chunk
from services.openai_wire.errors import of_request
from services.openai_wire.gather import Gathered
from services.openai_wire.spent import Spent
from services.openai_wire.verdict import calls_of
from services.refusal import InvalidField, ModelFailed, Refused
from services.schemas import shown
from services.xllama.counting import Counter
from waypost._core import Inbox, Job
from waypost.v1.generate_pb2 import GenerateRequest, GenerateServiceCountTokensRequest

SEEDS = 2**32 - 1
"""The engine reads 32 bits, of which the last number means a random seed."""


class Desk:
    """An engine at work."""

    def __init__(self, server: Any, counter: Counter, endpoint: Endpoint, slots: int) -> None:
        self._answers = {"generate": self._generate, "count": self._count}
        self._run = {"chat": server.handle_chat_completions, "raw": server.handle_completions}
        self._counter, self._endpoint = counter, endpoint
        self._slots = slots

    def serve(self, inbox: Inbox) -> None:
        """Answers until the inbox is closed and every job has ended."""
        free = BoundedSemaphore(self._slots)
        with ThreadPoolExecutor(self._slots, "xllama") as threads:
            while job := inbox.take():
                free.acquire()
                threads.submit(self._work, job).add_done_callback(lambda done: free.release())

    def _work(self, job: Job) -> None:
        try:
            job.begin()
            self._answers[job.kind](job)
        except Refused as refused:
            job.fail(refused.as_json())
        except Exception as error:  # whatever goes wrong with a job is that job's answer
            job.fail(ModelFailed(f"{type(error).__name__} in Waypost: {error}").as_json())

    def _count(self, job: Job) -> None:
        job.count(self._counter.count(GenerateServiceCountTokensRequest.FromString(job.request)))

    def _generate(self, job: Job) -> None:
        request = GenerateRequest.FromString(job.request)
        asked = ask(request, self._endpoint)
        reader = Reader(job, asked)
        self._run[asked.input](_told(asked.body), reader)
        gathered = reader.whole()
        spent = Spent.on(request, gathered)
        job.finish(
            gathered.reason or "cancelled",
            prompt_tokens=spent.prompt,
            cached_tokens=spent.cached,
            completion_tokens=spent.completion,
            tool_calls=[(call.id, call.name, call.arguments_json) for call in calls_of(gathered, asked)],
        )


class Reader:
    """Reads an answer as the engine calls back; true stops it."""

    def __init__(self, job: Job, asked: Ask) -> None:
        self._job, self._asked = job, asked
        self._gathered = Gathered()
        self._failed: Exception | None = None

    def __call__(self, data: Mapping[str, Any]) -> bool:
        """The engine would swallow an exception and go on."""
        try:
            self._take(data)
        except Exception as error:
            self._failed = error
        return self._failed is not None or self._job.cancelled

    def whole(self) -> Gathered:
        """What was read; without a reason if nobody waits for it any more.

        Raises:
            Refused: the engine does not take the request, or broke off.
        """
        if self._failed:
            raise self._failed
        if self._gathered.reason is None and not self._job.cancelled:
            raise ModelFailed("its engine ended the answer without saying why")
        return self._gathered

    def _take(self, data: Mapping[str, Any]) -> None:
        if "error" in data:
            raise _refused(data["error"], self._asked)
        if piece := self._gathered.add(Chunk.model_validate(data)):
            self._job.push(piece)


def _told(body: Body) -> Body:
    """`return_progress` makes the engine call back while it reads the prompt."""
    own: Body = {"stream": True, "stream_options": {"include_usage": True}, "return_progress": True}
    if "seed" in body:
        own["seed"] = body["seed"] % SEEDS
    return body | own


def _refused(error: Mapping[str, Any], asked: Ask) -> Refused:
    words = shown(str(error.get("message")))
    if error.get("code") != 400:
        return ModelFailed(f"its engine failed: {words}")
    if "grammar" in words and "grammar" in asked.body:
        return InvalidField("grammar", shown(asked.body["grammar"]), f"a grammar in GBNF: {words}")
    return of_request(error, words, asked.input)
