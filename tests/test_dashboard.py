"""The dashboard in a real browser, of a real mesh under traffic."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from prometheus_client.parser import text_string_to_metric_families

import waypost
from tests.browser import Tab, chromium
from tests.gateway import Up

PATIENCE_S = 20.0
MESH = """
[router]
listen = "127.0.0.1:0"
probe_interval_s = 0.2
[router.decisions]
to = "none"
[router.audit]
to = "{folder}/audit.jsonl"
[router.budget]
store = "memory:"
[router.cache]
enabled = true
[http]
listen = "127.0.0.1:0"
[[workers]]
name = "local"
replicas = 2
[[workers.models]]
name = "hash"
backend = "hash"
dimensions = 16
heads = ["sentiment-hash"]
[[workers]]
name = "writer"
[[workers.models]]
name = "clerk"
backend = "template"
[[workers.models]]
name = "scribe"
backend = "template"
"""
VIEWS = ("overview", "decisions", "playground", "operate")


class Mesh:
    """A running mesh, and callers of it."""

    def __init__(self, folder: Path, up: Up) -> None:
        self.audit = folder / "audit.jsonl"
        self.up = up
        self.url = str(up.ready["http"])
        self.http = httpx.Client(base_url=self.url, timeout=PATIENCE_S)

    def calls(self, number: int, start: int = 0) -> None:
        """Calls of every kind; each third text comes again, and is in the cache."""
        for at in range(start, start + number):
            self.http.post("/v1/embeddings", json={"input": f"text {at // 3}"}).raise_for_status()
            self.http.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": f"Tell me {at}"}]})
            self.http.post(
                "/v1/chat/completions", json={"model": "nobody", "messages": [{"role": "user", "content": "?"}]}
            )

    def metric(self, name: str, label: str) -> dict[str, float]:
        """A metric's values by one of its labels."""
        text = self.http.get("/metrics").text
        samples = [each for family in text_string_to_metric_families(text) for each in family.samples]
        return {each.labels[label]: each.value for each in samples if each.name == name}

    def audits(self) -> list[dict[str, Any]]:
        """What the audit log has."""
        return [json.loads(line) for line in self.audit.read_text().splitlines()]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """One mesh for all."""
    folder = tmp_path_factory.mktemp("mesh")
    with Up(folder, MESH.format(folder=folder)) as up:
        mesh = Mesh(folder, up)
        with mesh.http:
            mesh.calls(6)
            yield mesh


Tabs = Callable[..., Tab]


@pytest.fixture
def tabs(browser: Browser, mesh: Mesh) -> Iterator[Tabs]:
    """Makes tabs; whatever a test does in them, nothing leaves the machine and the console stays empty."""
    made: list[Tab] = []

    def tab(url: str = mesh.url, **options: Any) -> Tab:
        made.append(Tab(browser, url, **options))
        return made[-1]

    yield tab
    for each in made:
        each.close()


def confirmed(page: Page, button: str, action: str, says: str) -> None:
    """Presses a button, reads what will happen, and does it."""
    page.get_by_role("button", name=button, exact=True).first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(says)
    dialog.get_by_role("button", name=action, exact=True).click()
    expect(dialog).to_be_hidden()


def audited(mesh: Mesh, page: Page, rpc: str, detail: str) -> bool:
    """Whether the audit log gets such a line."""
    for _ in range(100):
        lines = [each for each in mesh.audits() if each["method"].endswith(f"/{rpc}") and each["outcome"] == "OK"]
        if any(detail in (each["detail"] or "") for each in lines):
            return True
        page.wait_for_timeout(50)
    return False


PAINT = """() => new Promise(painted => new PerformanceObserver(seen => {
    for (const each of seen.getEntriesByName("first-contentful-paint")) painted(each.startTime);
}).observe({type: "paint", buffered: true}))"""
"""Seen by an observer: what waits by asking again and again is evaluated, which the page's policy forbids."""


def test_the_first_paint_comes_within_a_second(tabs: Tabs, mesh: Mesh) -> None:
    """On loopback, with nothing in the cache; one of five pages will do, as other things run on the machine too."""
    paints: list[float] = []
    while len(paints) < 5 and min(paints, default=1000) >= 1000:
        page = tabs().page
        page.goto(mesh.url, wait_until="commit")
        paints.append(float(page.evaluate(PAINT)))
    assert min(paints) < 1000


def test_numbers_are_those_of_the_metrics(tabs: Tabs, mesh: Mesh) -> None:
    """Once the calls have ended: attempts of each instance, and what the cache gave."""
    mesh.calls(9, start=100)
    attempts = {
        name: str(int(value)) for name, value in mesh.metric("waypost_instance_requests_total", "instance").items()
    }
    looked = {name: str(int(value)) for name, value in mesh.metric("waypost_cache_requests_total", "result").items()}
    assert len(attempts) == 3
    assert int(looked["hit"]) > 0
    tab = tabs()
    page = tab.open("operate")
    for name, value in attempts.items():
        expect(page.locator(f"tr[data-instance={name}] [data-label=Attempts] data")).to_have_attribute("value", value)
    tab.open()
    for name, value in looked.items():
        expect(page.locator(f"[data-cache={name}] data")).to_have_attribute("value", value)


def test_the_page_moves_with_the_traffic(tabs: Tabs, mesh: Mesh) -> None:
    """Calls flow on the map, the charts are drawn, and the latest decision is the last call."""
    page = tabs().open()
    expect(page.locator(".chart[data-drawn]")).not_to_have_count(0)
    mesh.calls(3, start=200)
    last = mesh.http.post("/v1/embeddings", json={"input": "the last"}).headers["x-request-id"]
    expect(page.locator(f"tr[data-request='{last}']")).to_be_visible()
    expect(page.locator(".flow")).not_to_have_count(0)
    expect(page.locator("[role=img][aria-label*='calls in sight']").first).not_to_have_attribute(
        "aria-label", re.compile(" 0 calls")
    )


def test_a_row_opens_the_whole_decision(tabs: Tabs, mesh: Mesh) -> None:
    """With the replicas that were considered, their scores, and where it was tried."""
    request = mesh.http.post("/v1/embeddings", json={"input": "why there?"}).headers["x-request-id"]
    page = tabs().open("decisions")
    page.locator(f"tr[data-request='{request}'] a").click()
    sheet = page.get_by_role("dialog")
    for words in (request, "Replicas considered", "local-0", "local-1", "chosen", "Attempts", "best fit"):
        expect(sheet).to_contain_text(words)
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()


def test_it_says_that_the_router_is_away_and_lives_again_by_itself(tabs: Tabs, mesh: Mesh) -> None:
    """One that hangs, so that it is away for long enough to be seen; then it is killed, and started again."""
    tab = tabs()
    page = tab.open("decisions")
    router = mesh.up.process("router")
    router.suspend()
    expect(page.locator("[data-link=live]")).to_be_hidden()
    expect(page.locator(".trouble")).to_be_visible()
    router.kill()
    tab.lives()
    assert mesh.up.process("router").pid != router.pid
    request = answered(mesh, page)
    expect(page.locator(f"tr[data-request='{request}']")).to_be_visible()


def test_it_survives_a_restart_of_the_gateway(tabs: Tabs, mesh: Mesh) -> None:
    """It shows calls that came after."""
    page = tabs().open("decisions")
    gateway = mesh.up.process("http")
    gateway.kill()
    request = answered(mesh, page)
    assert mesh.up.process("http").pid != gateway.pid
    expect(page.locator(f"tr[data-request='{request}']")).to_be_visible()


def answered(mesh: Mesh, page: Page) -> str:
    """The request that is answered first."""
    for _ in range(100):
        try:
            reply = mesh.http.post("/v1/embeddings", json={"input": "are you there?"})
            if reply.is_success:
                return str(reply.headers["x-request-id"])
        except httpx.TransportError:
            pass
        page.wait_for_timeout(100)
    raise AssertionError("the mesh does not come back")


def test_an_instance_is_drained_and_taken_back(tabs: Tabs, mesh: Mesh) -> None:
    """After it was said what that does; calls go elsewhere meanwhile, and the audit log has both."""
    page = tabs().open("operate")
    state = page.locator("tr[data-instance=local-0] [data-label=State]")
    confirmed(page, "Drain local-0", "Drain", "Other instances take its calls")
    expect(state).to_have_text("drained")
    replies = [mesh.http.post("/v1/embeddings", json={"input": f"round {at}"}) for at in range(4)]
    assert {each.headers["x-waypost-instance"] for each in replies} == {"local-1"}
    confirmed(page, "Undrain local-0", "Undrain", "chooses it again")
    expect(state).to_have_text("ready")
    assert audited(mesh, page, "DrainInstance", "local-0")


def test_the_last_instance_of_a_model_is_not_drained_lightly(tabs: Tabs) -> None:
    """The dialog says which calls will fail."""
    page = tabs().open("operate")
    page.get_by_role("button", name="Drain writer-0").click()
    expect(page.get_by_role("dialog")).to_contain_text("No other ready instance serves clerk and scribe")
    page.keyboard.press("Escape")
    expect(page.locator("tr[data-instance=writer-0] [data-label=State]")).to_have_text("ready")


def test_a_pinned_model_stays_and_another_is_unloaded(tabs: Tabs, mesh: Mesh) -> None:
    """And both is undone."""
    page = tabs().open("operate")
    state = page.locator("tr[data-model=scribe] [data-label=State]")
    confirmed(page, "Pin scribe", "Pin", "cannot be unloaded")
    expect(state).to_contain_text("pinned")
    expect(page.get_by_role("button", name="Unload scribe")).to_be_disabled()
    confirmed(page, "Unpin scribe", "Unpin", "can be unloaded again")
    confirmed(page, "Unload scribe", "Unload", "Calls that name it fail")
    expect(state).to_have_text("unloaded")
    confirmed(page, "Load scribe", "Load", "answered again")
    expect(state).to_have_text("loaded")
    for rpc in ("PinModel", "UnloadModel", "LoadModel"):
        assert audited(mesh, page, rpc, "scribe")


def test_weights_and_log_level_change(tabs: Tabs, mesh: Mesh) -> None:
    """At once, and are shown as the router has them."""
    page = tabs().open("operate")
    before = page.get_by_label("latency").input_value()
    for value in ("2.5", before):
        page.get_by_label("latency").fill(value)
        change = page.locator("section", has=page.get_by_role("heading", name="Weights of the score"))
        change.get_by_role("button", name="Change …").click()
        page.get_by_role("dialog").get_by_role("button", name="Change weights").click()
        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(change.get_by_role("button", name="Change …")).to_be_disabled()
        expect(page.get_by_label("latency")).to_have_value(value)
    page.get_by_label("Level", exact=True).select_option("warning")
    page.locator("section", has=page.get_by_label("Level", exact=True)).get_by_role("button").click()
    page.get_by_role("dialog").get_by_role("button", name="Change level").click()
    expect(page.get_by_text("the router's is warning")).to_be_visible()
    assert audited(mesh, page, "SetWeights", "")
    assert audited(mesh, page, "SetLogLevel", "")


def test_a_rollout_is_started_moved_on_and_rolled_back(tabs: Tabs, mesh: Mesh) -> None:
    """Each step after it was said what it does."""
    page = tabs().open("operate")
    page.get_by_role("button", name="Start a rollout …").click()
    page.get_by_label("Name that callers use").fill("poet")
    page.get_by_label("Stable model").select_option("clerk")
    page.get_by_label("Canary", exact=True).select_option("scribe")
    page.get_by_role("button", name="Go on …").click()
    expect(page.get_by_role("dialog")).to_contain_text("10 % of their calls go to scribe")
    page.get_by_role("dialog").get_by_role("button", name="Start", exact=True).click()
    card = page.locator("[data-rollout=poet]")
    expect(card.locator("[aria-current=step]")).to_have_text("10 %")
    confirmed(page, "On to 30 %: poet", "Go to 30 %", "without waiting for the verdict")
    expect(card.locator("[aria-current=step]")).to_have_text("30 %")
    confirmed(page, "Roll back: poet", "Roll back", "All calls of poet go to clerk")
    expect(card).to_contain_text("rolled back by an operator")
    assert audited(mesh, page, "SetRollout", "poet")


def test_a_refusal_is_told_in_its_own_words(tabs: Tabs, mesh: Mesh) -> None:
    """The dialog stays, with what the router says: here somebody else was faster."""
    page = tabs().open("operate")
    page.get_by_role("button", name="Drain local-1").click()
    page.route("**/api/instances/drain", lambda route: route.continue_(post_data='{"instance": "nobody"}'))
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Drain", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("nobody")


def test_the_playground_streams_an_answer(tabs: Tabs) -> None:
    """And says which model wrote it, where, why, and what was used."""
    page = tabs().open("playground")
    page.get_by_label("Message").fill("Hello, who are you?")
    page.keyboard.press("Enter")
    expect(page.get_by_role("log")).to_contain_text("Hello, who are you?")
    expect(page.locator(".turn.assistant p")).to_contain_text("try again later")
    expect(page.locator("[data-served=instance]")).to_have_text("writer-0")
    expect(page.locator("[data-served=tier]")).not_to_be_empty()
    expect(page.locator("[data-served=reason]")).not_to_be_empty()
    expect(page.locator("[data-served=tokens]")).to_contain_text("out")


@pytest.mark.parametrize(
    ("service", "says"), [("Embed", "3 vectors of 16 dimensions"), ("Classify", "positive"), ("Rerank", "cosine+bm25")]
)
def test_the_playground_tries_the_other_services(tabs: Tabs, service: str, says: str) -> None:
    """With the examples that are there."""
    page = tabs().open("playground")
    page.get_by_role("tab", name=service).click()
    page.get_by_role("button", name=service, exact=True).click()
    expect(page.get_by_role("tabpanel")).to_contain_text(says.split(" of ")[0])
    expect(page.locator("[data-served=model]")).to_have_text("hash")


def test_charts_are_drawn_though_the_gateway_was_away_when_they_were_loaded(tabs: Tabs) -> None:
    """Without a complaint."""
    tab = tabs()
    tab.page.route("**/vendor/echarts.js*", lambda route: route.abort(), times=2)
    tab.open()
    expect(tab.page.locator(".chart[data-drawn]")).not_to_have_count(0)


def test_a_new_mesh_asks_for_a_token_and_says_what_to_do(tabs: Tabs, tmp_path: Path) -> None:
    """The token is kept in the tab, and a wrong one is told; where nothing is to be seen yet, it says how there is."""
    with Up(tmp_path, MESH.format(folder=tmp_path)) as up:
        with waypost.Client(up.ready["operator"], key="", timeout=PATIENCE_S) as operator:
            operator.create_token(role="admin")
            made = operator.create_token(role="operate")
        tab = tabs(str(up.ready["http"]))
        tab.page.goto(tab.url)
        for secret in ("wrong", made.secret):
            tab.page.get_by_role("button", name="Enter a token").click()
            tab.page.get_by_role("textbox", name="Token").fill(secret)
            tab.page.get_by_role("button", name="Use it").click()
            expect(tab.page.get_by_role("dialog")).to_be_hidden()
        tab.lives()
        tab.page.reload()
        tab.lives()
        expect(tab.page.get_by_text("No calls in the last minutes.").first).to_be_visible()
        expect(tab.page.get_by_text("No model is being replaced.")).to_be_visible()


@pytest.mark.parametrize(("scheme", "rules"), [("light", ()), ("dark", ("color-contrast",))])
def test_nothing_is_in_the_way_of_anybody(tabs: Tabs, scheme: str, rules: tuple[str, ...]) -> None:
    """axe finds nothing: names, contrast, roles, order; in every view and dialog."""
    tab = tabs(color_scheme=scheme)
    for view in VIEWS:
        tab.open(view)
        expect(tab.page.get_by_role("heading", level=1)).to_have_text(view, ignore_case=True)
        assert not tab.violations(*rules), view
    for name, opened in DIALOGS.items():
        opened(tab.page)
        expect(tab.page.get_by_role("dialog")).to_be_visible()
        assert not tab.violations(*rules), name
        tab.page.keyboard.press("Escape")
        expect(tab.page.get_by_role("dialog")).to_be_hidden()


def _rollout(page: Page) -> None:
    page.goto(page.url.partition("#")[0] + "#/operate")
    page.get_by_role("button", name="Start a rollout …").click()


def _decision(page: Page) -> None:
    page.goto(page.url.partition("#")[0] + "#/decisions")
    page.locator(".link-row a").first.click()


DIALOGS: dict[str, Callable[[Page], None]] = {
    "confirm": lambda page: page.get_by_role("button", name="Drain local-0").click(),
    "instance": lambda page: page.get_by_role("button", name="local-0", exact=True).click(),
    "rollout": _rollout,
    "token": lambda page: page.get_by_role("button", name="Token").click(),
    "help": lambda page: page.keyboard.press("?"),
    "decision": _decision,
}


@pytest.mark.parametrize("view", VIEWS)
def test_the_keyboard_reaches_every_control(tabs: Tabs, view: str) -> None:
    """By Tab alone, and the focus is seen."""
    tab = tabs()
    tab.open(view)
    # What comes meanwhile would be new rows, in the middle of the walk.
    tab.page.keyboard.press("p")
    expect(tab.page.locator("[data-link=paused]")).to_be_visible()
    assert not tab.unreached()


def test_one_key_leads_to_each_view_and_back_to_life(tabs: Tabs) -> None:
    """Shortcuts; they can be switched off."""
    page = tabs().open()
    for key, view in zip("1234", VIEWS, strict=True):
        page.keyboard.press(key)
        expect(page.locator(f"nav a[href='#/{view}']")).to_have_attribute("aria-current", "page")
    page.keyboard.press("/")
    expect(page.get_by_label("Search")).to_be_focused()
    for key in ("Tab", "Tab", "t"):  # away from where one types
        page.keyboard.press(key)
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.keyboard.press("?")
    page.get_by_label("Shortcuts of one key").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    expect(page.locator("nav a[href='#/decisions']")).to_have_attribute("aria-current", "page")


@pytest.mark.parametrize("view", VIEWS)
def test_a_phone_scrolls_one_way_only(tabs: Tabs, view: str) -> None:
    """360 pixels wide."""
    tab = tabs(viewport={"width": 360, "height": 740}, has_touch=True)
    page = tab.open(view)
    expect(page.locator(".panel").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


QUANTILES = [
    ([1, 2, 4], [0, 0, 0, 0], 0.5, None),
    ([1, 2, 4], [2, 2, 0, 0], 0.5, 1),
    ([1, 2, 4], [0, 4, 0, 0], 0.5, 1.5),
    ([1, 2, 4], [0, 0, 0, 7], 0.5, 4),
]


def test_a_quantile_is_read_from_buckets_as_prometheus_does(tabs: Tabs, mesh: Mesh) -> None:
    """Linear within a bucket; what is above the last bound counts as that bound."""
    page = tabs().page
    page.goto(mesh.url, wait_until="commit")
    script = "(asked) => import('/dashboard/lib/stats.js').then((stats) => stats.quantile(...asked))"
    for *asked, value in QUANTILES:
        assert page.evaluate(script, asked) == value


def test_the_page_asks_for_all_its_modules_at_once() -> None:
    """index.html lists them; a module more is a line more there."""
    folder = Path("router/http/dashboard")
    listed = re.findall(r'modulepreload" href="/dashboard/(.*?)"', (folder / "index.html").read_text())
    # The first are loaded by themselves, the last when the page has been painted.
    apart = {"app.js", "theme.js", "vendor/echarts.js"}
    assert listed == sorted({str(path.relative_to(folder)) for path in folder.rglob("*.js")} - apart)
