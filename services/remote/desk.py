"""Takes jobs from the inbox and answers so many at once, on an event loop of its own.

One job at most waits here for a place: the others stay in the inbox, where they are counted and refused.  Whatever goes
wrong with a job is that job's answer; the loop goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from services.refusal import DeadlinePassed, ModelFailed, NotCapable, ProviderFailed, Refused
from services.remote.answer import answer
from services.remote.failure import Failure
from services.remote.key import Key
from services.remote.provider import Provider
from waypost._core import Inbox, Job
from waypost.config import Model, Remote

NO_COUNT = NotCapable("a hosted model's tokens are counted by its provider alone")

OPERATORS = (ModelFailed, ProviderFailed)
"""What an operator should know of: a provider that fails or refuses us, an error of ours."""

log = structlog.get_logger()


def serve(model: Model, key: Key, inbox: Inbox) -> None:
    """Answers until the inbox is closed and every job has ended."""
    assert model.remote
    asyncio.run(Desk(model, model.remote, key).serve(inbox))


class Desk:
    """A hosted model at work."""

    def __init__(self, model: Model, remote: Remote, key: Key) -> None:
        self._model, self._remote, self._key = model, remote, key
        self._slots = asyncio.Semaphore(model.generate.slots)

    async def serve(self, inbox: Inbox) -> None:
        """See `serve`."""
        async with Provider(self._remote, self._key) as provider, asyncio.TaskGroup() as tasks:
            while job := await self._next(inbox):
                tasks.create_task(self._work(job, provider))

    async def _next(self, inbox: Inbox) -> Job | None:
        """The next job that takes a place, once one is free; None: there will be no more."""
        while job := await asyncio.to_thread(inbox.take):
            if job.kind == "count":
                job.fail(NO_COUNT.as_json())
                continue
            await self._slots.acquire()
            return job
        return None

    async def _work(self, job: Job, provider: Provider) -> None:
        job.on_cancel(_canceller())
        try:
            job.begin()
            async with asyncio.timeout(job.remaining_s):
                await answer(job, self._model, self._remote, provider)
        except asyncio.CancelledError:
            job.finish("cancelled")
        except Exception as error:
            job.fail(self._refusal(error).as_json())
        finally:
            self._slots.release()

    def _refusal(self, error: Exception) -> Refused:
        if isinstance(error, Refused):
            return error
        if isinstance(error, TimeoutError):
            return DeadlinePassed()
        ours = f"{type(error).__name__} in Waypost: {self._key.hide(str(error))}"
        refused = error.refused if isinstance(error, Failure) else ModelFailed(ours)
        if isinstance(refused, OPERATORS):
            log.warning("hosted_model_failed", model=self._model.name, refusal=refused.as_json())
        return refused


def _canceller() -> Callable[[], None]:
    """Cancels this task from any thread, and does nothing when the loop has ended before."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task

    def cancel() -> None:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(task.cancel)

    return cancel
