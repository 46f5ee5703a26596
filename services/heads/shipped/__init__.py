"""The heads that ship with Waypost: file, model card and run log of each, and the words' background frequencies."""

from __future__ import annotations

from pathlib import Path

from services.heads.errors import UnknownHead

_HERE = Path(__file__).parent


def shipped_names() -> list[str]:
    """Names of all shipped heads."""
    return sorted(path.name.removesuffix(".run.json") for path in _HERE.glob("*.run.json"))


def shipped(name: str) -> Path:
    """The file of a shipped head.

    Raises:
        UnknownHead: there is none of this name.
    """
    path = _HERE / f"{name}.safetensors"
    if not path.exists():
        raise UnknownHead(name, shipped_names())
    return path


def document_frequencies() -> Path:
    """In how many texts of a background collection each word comes, for BM25 over a few candidates."""
    return _HERE / "document_frequencies.safetensors"
