"""What the README shows is what happens: its Python prints what it says, its commands end well."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[1] / "README.md").read_text()
PYTHON = re.compile(r"```python\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)
COMMANDS = re.compile(r"^\$ waypost (.*)$", re.MULTILINE)
FOREVER = {"up", "chat"}
"""Commands that go on until they are stopped; the mesh of these tests is one."""


@pytest.mark.parametrize(("code", "printed"), PYTHON.findall(TEXT))
def test_python_prints_what_the_readme_says(default_mesh: str, code: str, printed: str) -> None:
    """Against the embedded default on real models."""
    here = code.replace("127.0.0.1:50051", default_mesh)
    done = subprocess.run([sys.executable, "-c", here], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (printed, "")


@pytest.mark.parametrize("line", [each for each in COMMANDS.findall(TEXT) if each.split()[0] not in FOREVER])
def test_commands_end_well(default_mesh: str, line: str) -> None:
    """Each of them, as it stands."""
    env = os.environ | {"WAYPOST_ADDRESS": default_mesh}
    command = [sys.executable, "-P", "-m", "waypost", *shlex.split(line)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_readme_has_blocks_to_run() -> None:
    """Else the tests above would pass by finding nothing."""
    assert PYTHON.findall(TEXT)
    assert len(COMMANDS.findall(TEXT)) > 3


@pytest.mark.parametrize("path", re.findall(r"\]\(([^):#]+)\)", TEXT))
def test_links_lead_somewhere(path: str) -> None:
    """Inside the repository."""
    assert (Path(__file__).parents[1] / path).exists()
