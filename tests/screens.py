"""Takes the pictures of the dashboard in docs/images, of a mesh under lively traffic: `python -m tests.screens`."""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from aiohttp import web
from playwright.sync_api import Browser, Page, expect

import waypost
from bench.texts import texts
from tests.browser import Tab, chromium
from tests.gateway import Up
from tests.plane import eventually
from tests.scripted_provider import ScriptedProvider, Stage, chunk, usage
from waypost import control

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SPAN_S = 60
"""So much traffic there is before a picture is taken, and so much the charts show."""
RATE = 36.0
MESH = """
[router]
listen = "127.0.0.1:0"
[router.decisions]
to = "none"
[router.audit]
to = "none"
[router.tiers]
shares = {{ simple = 0.55, medium = 0.3, high = 0.15, premium = 0.0 }}
window = 100
adjust_s = 1.0
[router.quality]
enabled = true
[router.rollout]
judge_s = 3600.0
[router.budget]
store = "memory:"
monthly_usd = 5.0
[http]
listen = "127.0.0.1:0"

[[workers]]
name = "reader"
replicas = 3
[[workers.models]]
name = "hash"
backend = "hash"
dimensions = 256
heads = ["sentiment-hash", "intent-hash"]

[[workers]]
name = "writer"
[[workers.models]]
name = "clerk"
backend = "remote"
tier = "simple"
cost_per_1k_tokens_usd = 0.004
generate = {{ slots = 32 }}
remote = {{ base_url = "{provider}", model = "m" }}
[[workers.models]]
name = "novice"
backend = "remote"
tier = "simple"
cost_per_1k_tokens_usd = 0.003
generate = {{ slots = 32 }}
remote = {{ base_url = "{provider}", model = "m" }}

[[workers]]
name = "hosted"
[[workers.models]]
name = "sage"
backend = "remote"
tier = "high"
tags = ["generate", "reasoning"]
cost_per_1k_tokens_usd = 0.06
generate = {{ slots = 32 }}
remote = {{ base_url = "{provider}", model = "m" }}
"""
WORDS = re.findall(r"\S+ ?", "A mesh is a set of places that know of each other and share their work among them.")


async def answers(stage: Stage) -> web.StreamResponse:
    """Word by word, sometimes slowly."""
    await stage.send(chunk(role="assistant", content=""))
    for word in WORDS:
        await asyncio.sleep(random.lognormvariate(-4.2, 0.7))
        await stage.send(chunk(content=word))
    await stage.send(chunk("stop"), usage(random.randrange(20, 90), len(WORDS)), "[DONE]")
    return stage.response


class Callers:
    """Many callers, whose number goes up and down."""

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=30.0)
        self._texts = iter(texts("short", 60_000))
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Callers:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    async def _run(self) -> None:
        async with self._http, asyncio.TaskGroup() as calls:
            for number in range(10**9):
                if self._over.is_set():
                    return
                calls.create_task(self._call(number))
                wave = 1 + 0.45 * math.sin(number / RATE / 7)
                await asyncio.sleep(random.expovariate(RATE * wave))

    async def _call(self, number: int) -> None:
        path, body = random.choices(self._kinds(next(self._texts), number), (24, 24, 14, 10, 22, 6, 5, 1))[0]
        with suppress(httpx.HTTPError):
            await self._http.post(path, json=body)

    def _kinds(self, text: str, number: int) -> list[tuple[str, dict[str, Any]]]:
        asked = {"messages": [{"role": "user", "content": text}]}
        return [
            ("/v1/embeddings", {"input": text}),
            ("/v1/embeddings", {"input": f"asked again {number % 40}"}),
            ("/v1/classify", {"input": text, "head": "sentiment-hash"}),
            ("/v1/rerank", {"query": text, "documents": ["a red car", "a blue boat"]}),
            ("/v1/chat/completions", asked),
            ("/v1/chat/completions", {"model": "sage", **asked}),
            ("/v1/chat/completions", {"model": "chat", **asked}),
            ("/v1/embeddings", {"model": "nobody", "input": text}),
        ]


@contextmanager
def lively(folder: Path) -> Iterator[str]:
    """Where the dashboard is of a mesh with traffic, a rollout and an instance that was drained."""
    with ScriptedProvider(answers) as provider, Up(folder, MESH.format(provider=provider.url)) as up:
        with waypost.Client(up.ready["grpc"]) as client:
            eventually(lambda: {each.state for each in client.instances()} == {"ready"})
            client.set_rollout(control.Rollout("chat", stable="clerk", canary="novice", steps=(0.2, 0.5, 0.8)))
            client.drain("reader-2")
        with Callers(up.ready["http"]):
            yield str(up.ready["http"])


def picture(browser: Browser, url: str, name: str, act: Any, whole: bool = False, **options: Any) -> None:
    """Takes one, after `act` on the page; of what is in sight, or of the whole."""
    tab = Tab(browser, url, device_scale_factor=1, **options)
    tab.context.add_init_script(f"localStorage.setItem('waypost.span', {json.dumps(str(SPAN_S))})")
    page = tab.open()
    act(page)
    page.screenshot(path=IMAGES / f"dashboard-{name}.png", full_page=whole)
    tab.close()


def drawn(page: Page) -> None:
    """Every chart, also those further down."""
    for chart in page.locator(".chart").all():
        chart.scroll_into_view_if_needed()
        expect(chart).to_have_attribute("data-drawn", "")
    page.evaluate("scrollTo(0, 0)")


def decided(page: Page) -> None:
    """A decision in full."""
    page.get_by_role("link", name="Decisions").click()
    page.locator("tr", has_text="Generate").first.locator("a").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def main() -> None:
    """All pictures."""
    IMAGES.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder, lively(Path(folder)) as url, chromium() as browser:
        threading.Event().wait(SPAN_S + 5)
        picture(browser, url, "light", drawn, whole=True, color_scheme="light")
        picture(browser, url, "dark", drawn, whole=True, color_scheme="dark")
        phone = {"width": 360, "height": 1380}
        picture(browser, url, "phone", drawn, color_scheme="light", viewport=phone, has_touch=True)
        picture(browser, url, "decision", decided, color_scheme="light")


if __name__ == "__main__":
    main()
