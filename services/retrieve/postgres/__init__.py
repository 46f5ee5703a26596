"""Documents in PostgreSQL with pgvector, in tables of their own (`migrations`), beside others of the same database.

- A namespace of up to 20,000 documents is searched exactly; a larger one has a graph of its own, a partial HNSW index
  that `sweep` makes, so that no search wades through the vectors of other namespaces.  Filters are asked while the
  graph is walked (pgvector's iterative scans); where few documents pass, all of them are looked at.
- PostgreSQL has no BM25: the query itself computes it (`words`).
- Filters are paths over `jsonb` (`conditions`), for which there is an index where values are compared for equality.

What falls short: `sweep` writes a small table anew when something was deleted, and vacuums a large one, or one with a
graph; there PostgreSQL does not overwrite the room that becomes free, nor its write-ahead log anywhere: what was
deleted may be readable in its files for a while.  Ids, texts and metadata cannot have NUL characters.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from services.backend import ModelUnusable
from services.retrieve.postgres.migrate import upgrade
from services.retrieve.postgres.reached import reached, why
from services.retrieve.postgres.store import Postgres
from services.retrieve.store import Store
from waypost import database

STATEMENT_MS = 30_000
GONE_MS = 20_000
"""Until a machine that does not even acknowledge counts as away."""


def opened(url: str, home: Path) -> Store:
    """See `services.retrieve.stores.Open`."""
    try:
        engine = database.open_engine(_patient(url))
    except (database.BadUrl, database.NoDriver) as error:
        raise ModelUnusable(f"store: {error}") from None
    with reached():
        try:
            upgrade(engine)
        except DBAPIError as error:
            if error.connection_invalidated or not getattr(error.orig, "sqlstate", None):
                raise
            raise ModelUnusable(f"store: {database.shown(url)}: {why(error)}") from error
    return Postgres(engine)


def _patient(url: str) -> str:
    """With limits of time, where the URL says none."""
    said = {"options": f"-c statement_timeout={STATEMENT_MS}", "tcp_user_timeout": str(GONE_MS)}
    try:
        parsed = make_url(url)
    except ValueError:
        return url
    missing = {name: value for name, value in said.items() if name not in parsed.query}
    return parsed.update_query_dict(missing).render_as_string(hide_password=False)
