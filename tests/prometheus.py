"""A real Prometheus in a process of its own, with the configuration of deploy/; and what is asked of it."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.plane import eventually
from waypost import address

DEPLOY = Path(__file__).parents[1] / "deploy" / "prometheus"
SCRAPED = "127.0.0.1:8080"
"""The target that the configuration of deploy/ has."""
END_S = 20.0

Labels = frozenset[tuple[str, str]]


def missing() -> list[str]:
    """Programs that are not installed here."""
    return [name for name in ("prometheus", "promtool") if not shutil.which(name)]


def promtool(*command: str, said: bytes = b"") -> str:
    """Runs promtool in deploy/prometheus on this standard input; what it prints, which is a failure's message."""
    done = subprocess.run(["promtool", *command], cwd=DEPLOY, input=said, capture_output=True, check=False)
    printed = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, printed
    return printed


@dataclass(frozen=True)
class Prometheus:
    """A running one that scrapes the gateway at `target`."""

    http: httpx.Client
    target: str

    def ask(self, path: str, **parameters: Any) -> Any:
        """What its API answers."""
        reply = self.http.get(f"/api/v1/{path}", params=parameters)
        assert reply.status_code == 200, reply.text
        return reply.json()["data"]

    def values(self, expression: str) -> dict[Labels, float]:
        """The value of an expression now, by the labels of its series; the job and the gateway's own name are left out,
        as no series of a mesh brings them."""
        found = self.ask("query", query=expression)["result"]
        return {_labels(each["metric"], self.target): float(each["value"][1]) for each in found}

    def value(self, expression: str) -> float:
        """Of an expression with one series, or none: 0."""
        return sum(self.values(expression).values())

    def wait_for_a_scrape(self) -> None:
        """Returns when one has ended that began after this was called."""
        now = float(self.ask("query", query="time()")["result"][1])
        eventually(lambda: self.value("timestamp(waypost_router_up)") > now)


def _labels(metric: dict[str, str], target: str) -> Labels:
    return frozenset(
        (name, value) for name, value in metric.items() if name != "job" and (name, value) != ("instance", target)
    )


@contextmanager
def scraping(target: str, folder: Path, interval: str = "500ms") -> Iterator[Prometheus]:
    """One that scrapes `target` that often, and evaluates the rules of deploy/ as often."""
    configured(target, folder, interval)
    own = address.concrete("127.0.0.1:0")
    command = (
        "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={own}",
        "--enable-feature=exemplar-storage",
        "--log.level=warn",
    )
    with (
        (folder / "prometheus.log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as popen,
        httpx.Client(base_url=f"http://{own}", timeout=END_S) as http,
    ):
        try:
            eventually(lambda: _ready(popen, http, Path(log.name)))
            yield Prometheus(http, target)
        finally:
            popen.send_signal(signal.SIGTERM)
            popen.wait(END_S)


def configured(target: str, folder: Path, interval: str) -> None:
    """Writes the configuration of deploy/ for another target and in a hurry."""
    folder.mkdir()
    text = (DEPLOY / "prometheus.yml").read_text()
    for was, is_ in ((SCRAPED, target), ("scrape_interval: 5s", f"scrape_interval: {interval}")):
        assert was in text
        text = text.replace(was, is_)
    (folder / "prometheus.yml").write_text(text.replace("evaluation_interval: 15s", f"evaluation_interval: {interval}"))
    for name in ("rules.yml", "alerts.yml"):
        shutil.copy(DEPLOY / name, folder)


def _ready(popen: subprocess.Popen[bytes], http: httpx.Client, log: Path) -> bool:
    assert popen.poll() is None, log.read_text()
    try:
        return http.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False


def rules(of: Prometheus, kind: str) -> Sequence[dict[str, Any]]:
    """What it evaluates: "record" or "alert"."""
    return [rule for group in of.ask("rules", type=kind)["groups"] for rule in group["rules"]]
