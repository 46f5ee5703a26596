"""A real Chromium without a window: pages that remember what they asked for and what they complained of."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

PATIENCE_MS = 30_000
PROGRAM = shutil.which("chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # Without these it looks for hosts of its maker's.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
FOCUSABLE = "a[href], button:not([disabled]), input:not([disabled]), select:not([disabled]), textarea:not([disabled])"
"""What the keyboard must reach; of the tabs only the chosen one, from which arrows lead on."""
REACHED = """(selector) => {
  const within = document.querySelector("dialog[open]") ?? document;
  const all = [...within.querySelectorAll(selector + ", [tabindex='0']")];
  return all.filter((each) => each.tabIndex >= 0 && each.checkVisibility()).map((each, at) => {
    each.dataset.walk = at;
    return `${each.tagName} ${each.ariaLabel ?? each.id} ${each.textContent.trim().slice(0, 30)}`;
  });
}"""

expect.set_options(timeout=PATIENCE_MS)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Runs while the block does."""
    if PROGRAM is None:
        pytest.skip("NOT RUN: chromium is not here: make programs")
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=PROGRAM, args=FLAGS) as browser:
        yield browser


class Tab:
    """A page of its own, with nothing in its storage.

    Attributes:
        hosts: where it sent requests.
        complaints: errors of its scripts, and what its policy refused.
    """

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.url = url
        self.context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}} | options)
        self.context.set_default_timeout(PATIENCE_MS)
        self.page: Page = self.context.new_page()
        self.hosts: set[str] = set()
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._said)

    def _said(self, message: Any) -> None:
        # A request that fails is shown on the page; Chromium says so as well.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def open(self, view: str = "overview") -> Page:
        """Shows a view, once the page lives."""
        self.page.goto(f"{self.url}/#/{view}", wait_until="commit")
        self.lives()
        return self.page

    def lives(self) -> None:
        """Returns once events come in."""
        expect(self.page.locator("[data-link=live]")).to_be_visible()

    def close(self) -> None:
        """Looks whether all was well.

        Raises:
            AssertionError: it was not.
        """
        self.context.close()
        assert self.hosts <= {urlsplit(self.url).netloc}, self.hosts
        assert not self.complaints, self.complaints

    def violations(self, *rules: str) -> list[str]:
        """What axe finds wrong with the page as it is now, in short; of these rules, or of all."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(Axe().axe_script)
        only = {"runOnly": list(rules)} if rules else {}
        script = "(options) => axe.run(document, options)"
        found = self.page.evaluate(script, {"resultTypes": ["violations"]} | only)["violations"]
        return [f"{each['id']}: {json.dumps([node['target'] for node in each['nodes']])}" for each in found]

    def unreached(self) -> list[str]:
        """Controls that Tab does not come to, from the start of the page or of its open dialog."""
        wanted = self.page.evaluate(REACHED, FOCUSABLE)
        left = dict(enumerate(wanted))
        for _ in range(len(wanted) + 4):
            self.page.keyboard.press("Tab")
            at = self.page.evaluate("document.activeElement.dataset.walk")
            left.pop(int(at) if at else -1, None)
        return list(left.values())
