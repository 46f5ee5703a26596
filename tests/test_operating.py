"""What the manuals of operating, monitoring, security and privacy show is what can be run."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from services import template
from tests.inbox import answering, chat
from waypost import config

DOCS = Path(__file__).parents[1] / "docs"
TEXT = "".join((DOCS / name).read_text() for name in ("operating.md", "monitoring.md", "security.md", "privacy.md"))
TOML = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
JINJA = re.findall(r"```jinja\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("text", TOML)
def test_configurations_are_valid(tmp_path: Path, text: str) -> None:
    """Each of them, where the files it names are there."""
    for name in re.findall(r'"\./(.*?)"', text):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    loaded = config.check(tomllib.loads(text), base=tmp_path, origin="the manual")
    assert loaded.workers


@pytest.mark.parametrize("text", JINJA)
def test_templates_answer(tmp_path: Path, text: str) -> None:
    """As the file of a template model."""
    (tmp_path / "reply.j2").write_text(text)
    model = config.Model(name="canned", backend="template", source=f"{tmp_path}/reply.j2")
    with answering(template.load(model, sessions=1)) as inbox:
        assert "Hello" in inbox.ask(chat("Hello")).text


def test_the_manual_shows_every_section_of_the_router() -> None:
    """And each key that is shown is one the router has: see above."""
    shown = set(re.findall(r"^\[+router\.(\w+)", "".join(TOML), re.MULTILINE))
    sections = {name for name, field in config.Router.model_fields.items() if isinstance(field.default, BaseModel)}
    assert sections | {"tenants", "routes", "tls", "worker_tls"} == shown


def test_the_manual_has_examples_of_every_generating_backend() -> None:
    """Else the tests above would pass by finding nothing."""
    assert {"llama", "remote", "template", "xllama"} <= set(re.findall(r'backend = "(\w+)"', "".join(TOML)))
    assert JINJA
