"""Models that write by themselves: each of an author's jobs is answered by a function, on a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.refusal import Refused
from tests.plane import Writer
from waypost import _core
from waypost.v1 import generate_pb2

Write = Callable[[generate_pb2.GenerateRequest], str]
"""Returns the answer to a request, or raises a `Refused`."""


class Author:
    """What a writer was asked, and how it answers."""

    def __init__(self, write: Write) -> None:
        self.write = write
        self.asked: list[generate_pb2.GenerateRequest] = []
        self.tokens = (10, 10)
        """Of prompt and answer, as told with each."""

    def answer(self, job: _core.Job) -> None:
        """Answers a job."""
        request = generate_pb2.GenerateRequest.FromString(job.request)
        self.asked.append(request)
        job.begin()
        try:
            job.push(self.write(request))
        except Refused as refused:
            return job.fail(refused.as_json())
        prompt, answer = self.tokens
        job.finish("stop", prompt_tokens=prompt, completion_tokens=answer)


@contextmanager
def authors(*writers: Writer) -> Iterator[list[Author]]:
    """Answers the jobs of each writer with its name, until the block is left."""
    stop = threading.Event()
    made = [Author(lambda request, name=writer.config["name"]: f"by {name}") for writer in writers]
    threads = [
        threading.Thread(target=_work, args=(writer, author, stop))
        for writer, author in zip(writers, made, strict=True)
    ]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _work(writer: Writer, author: Author, stop: threading.Event) -> None:
    while not stop.is_set():
        if job := writer.inbox.take(0.05):
            author.answer(job)
