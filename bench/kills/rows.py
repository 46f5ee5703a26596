"""Rows of the log of calls, as they are in the database after all."""

from __future__ import annotations

from sqlalchemy import select

from tests.stores import empty
from waypost.database.tables import model_inferences

Texts = dict[str, list[str | None]]
"""Of each call what was asked, once for each row of it; none where the row has no texts."""


def found(url: str) -> Texts:
    """All rows."""
    with empty(url) as engine, engine.connect() as connection:
        rows = connection.execute(select(model_inferences.c.request_id, model_inferences.c.prompt)).all()
    found: Texts = {}
    for request, prompt in rows:
        found.setdefault(request, []).append(prompt and (prompt.get("raw") or prompt["texts"][0]))
    return found
