"""Which files the label sets of a configuration are, and whether they fit the model they stand under."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from services.backend import ModelUnusable
from services.heads import headfile
from services.heads.errors import HeadError
from services.heads.shipped import shipped
from waypost.config import looks_like_path


def heads(names: Iterable[str], encoder: str) -> dict[str, Path]:
    """Head files by the name that callers use.

    Args:
        names: shipped heads, or paths of head files.
        encoder: the model whose vectors they will read, `name/version`; empty: there are only hashed features.

    Raises:
        ModelUnusable: a file is no head, is for other vectors, or two have one name.
    """
    found: dict[str, Path] = {}
    for name in names:
        path = Path(name) if looks_like_path(name) else shipped(name)
        served = _served_name(path, encoder)
        if served in found:
            raise ModelUnusable(f"{path} and {found[served]} are both called {served!r}: leave one out")
        found[served] = path
    return found


def _served_name(path: Path, encoder: str) -> str:
    try:
        head = headfile.load(path)
    except (HeadError, OSError) as error:
        raise ModelUnusable(str(error)) from None
    if head.encoder and head.encoder != encoder:
        here = f"the vectors here are {encoder}'s" if encoder else "there are no vectors here"
        raise ModelUnusable(f"{path} was trained on vectors of {head.encoder}; {here}: train it again for this model")
    return head.name
