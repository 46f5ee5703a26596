"""What the README shows is what happens: its Python prints what it says, its commands end well."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[1] / "README.md").read_text()
PYTHON = re.compile(r"```python\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)
CURLS = re.compile(r"^\$ curl (.*)$", re.MULTILINE)
COMMANDS = re.compile(r"^\$ waypost (.*)$", re.MULTILINE)
HTTP = "http://127.0.0.1:8080"
FOREVER = {"up", "chat"}
"""Commands that go on until they are stopped; the mesh of these tests is one."""


@pytest.mark.parametrize(("code", "printed"), PYTHON.findall(TEXT))
def test_python_prints_what_the_readme_says(default_mesh: str, default_http: str, code: str, printed: str) -> None:
    """Against the embedded default on real models."""
    here = code.replace("127.0.0.1:50051", default_mesh).replace(HTTP, default_http)
    done = subprocess.run([sys.executable, "-c", here], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (printed, "")


@pytest.mark.parametrize("line", [each for each in COMMANDS.findall(TEXT) if each.split()[0] not in FOREVER])
def test_commands_end_well(default_mesh: str, line: str) -> None:
    """Each of them, as it stands."""
    env = os.environ | {"WAYPOST_ADDRESS": default_mesh}
    command = [sys.executable, "-P", "-m", "waypost", *shlex.split(line)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not shutil.which("curl"), reason="NOT RUN: there is no curl")
@pytest.mark.parametrize("line", CURLS.findall(TEXT))
def test_curl_is_answered(default_http: str, line: str) -> None:
    """By JSON that is no error."""
    command = ["curl", "--fail", *shlex.split(line.replace(HTTP, default_http))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


def test_the_readme_has_blocks_to_run() -> None:
    """Else the tests above would pass by finding nothing."""
    assert len(PYTHON.findall(TEXT)) > 1
    assert CURLS.findall(TEXT)
    assert len(COMMANDS.findall(TEXT)) > 3


@pytest.mark.parametrize("path", re.findall(r"\]\(([^):#]+)\)", TEXT))
def test_links_lead_somewhere(path: str) -> None:
    """Inside the repository."""
    assert (Path(__file__).parents[1] / path).exists()
