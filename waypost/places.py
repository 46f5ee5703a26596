"""Where Waypost keeps things: models and logs at home, sockets and state of running meshes in the runtime folder."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def home() -> Path:
    """`WAYPOST_HOME`, else `waypost` below `XDG_CACHE_HOME`, else `~/.cache/waypost`."""
    if own := os.environ.get("WAYPOST_HOME"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "waypost"


def log(name: str) -> Path:
    """File of JSON lines at home.

    "decisions", "audit" (changes and refusals), "rollouts" (the judge's journal), "shadows" (answers compared),
    "payloads" (what was said, of tenants who have that kept).
    """
    return home() / "log" / f"{name}.jsonl"


def runtime() -> Path:
    """`WAYPOST_RUNTIME`, else `waypost` below `XDG_RUNTIME_DIR`, else a folder of this user's below the temporary one.

    Kept short: a Unix socket's path may have 107 bytes.
    """
    if own := os.environ.get("WAYPOST_RUNTIME"):
        return Path(own)
    if session := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(session) / "waypost"
    return Path(tempfile.gettempdir()) / f"waypost-{os.getuid()}"
