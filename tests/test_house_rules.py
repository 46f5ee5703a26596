"""Rules of the house that no reviewer should have to look after."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("waypost", "router", "services")


def sources(folder: str) -> Iterator[Path]:
    """Python files of a package, without the generated ones."""
    return (path for path in (ROOT / folder).rglob("*.py") if "v1" not in path.parts)


def imported(path: Path) -> set[str]:
    """Top-level packages that a file imports, anywhere in it."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    taken = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.partition(".")[0] for name in plain | taken}


def tool(*command: str) -> None:
    """Runs a tool in the repository; its output is the failure."""
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [("router", {"services"}), ("services", {"router"}), ("waypost", {"router", "services"})],
)
def test_imports_point_one_way(package: str, forbidden: set[str]) -> None:
    """router and services know waypost, never each other; only the command line knows all."""
    guilty = [
        str(path.relative_to(ROOT))
        for path in sources(package)
        if imported(path) & forbidden and (ROOT / "waypost" / "cli") not in path.parents
    ]
    assert guilty == []


def test_generated_code_is_what_the_contract_generates(tmp_path: Path) -> None:
    """After a change to proto/, run `python proto/generate.py`."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "proto" / "generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.generate(tmp_path)
    fresh = {path.name: path.read_bytes() for path in (tmp_path / "waypost" / "v1").iterdir()}
    committed = {path.name: path.read_bytes() for path in (ROOT / "waypost" / "v1").glob("*_pb2*")}
    assert fresh == committed


def test_the_contract_passes_buf_lint() -> None:
    """STANDARD, without exceptions."""
    buf = Path(sys.executable).with_name("buf")
    done = subprocess.run([buf, "lint"], cwd=ROOT / "proto", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_code_passes_ruff() -> None:
    """Lint and format."""
    tool("ruff", "check", ".")
    tool("ruff", "format", "--check", ".")


def test_the_stub_says_what_the_rust_module_is() -> None:
    """`waypost/_core.pyi` against the compiled module."""
    tool("mypy.stubtest", "waypost._core")


def test_folders_that_are_not_packages_do_not_look_like_some() -> None:
    """`maturin develop` puts the root on sys.path: an `__init__.py` there would make them importable."""
    assert [folder for folder in ("proto", "docker", "bench") if list((ROOT / folder).rglob("__init__.py"))] == []


def test_packages_have_no_links() -> None:
    """maturin leaves them out of the wheel without a word."""
    links = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_symlink()]
    assert links == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_wheel_has_every_file_of_the_packages(tmp_path: Path) -> None:
    """Nothing that git tracks is missing, and nothing but the compiled core is added."""
    tool("maturin", "build", "--release", "--out", str(tmp_path))
    (wheel,) = tmp_path.glob("*.whl")
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if name.partition("/")[0] in PACKAGES}
    listed = subprocess.run(["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True)
    tracked = set(listed.stdout.split())
    assert tracked - inside == set()
    assert {name for name in inside - tracked if not name.startswith("waypost/_core.")} == set()
