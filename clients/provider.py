"""A hosted model that says what it is told, word by word, or one word for ever: something to stream from and to cancel.

The prompt `forever` is answered by "drip " every few milliseconds until the caller leaves; any other by its own words,
a piece each.
"""

from __future__ import annotations

import asyncio
from itertools import repeat

from aiohttp import web

from tests.scripted_provider import ScriptedProvider, Stage, chunk, usage

FOREVER = "forever"
PAUSE_S = 0.01


def provider() -> ScriptedProvider:
    """The endpoint; it serves while it is entered."""
    return ScriptedProvider(drip)


async def drip(stage: Stage) -> web.StreamResponse:
    """Plays one answer."""
    prompt = (await stage.request.json())["messages"][-1]["content"]
    await stage.send(chunk(role="assistant", content=""))
    for word in repeat("drip") if prompt == FOREVER else prompt.split():
        await stage.send(chunk(content=f"{word} "))
        await asyncio.sleep(PAUSE_S)
    await stage.send(chunk("stop"), usage(prompt=3, completion=len(prompt.split())), "[DONE]")
    return stage.response
