"""Nearest vectors: exactly, or by a graph of the namespace's own where it is large.

A graph is a partial HNSW index `embeddings_graph_ID`.  It is made beside the traffic (CONCURRENTLY), by one process
at a time.  A search with a filter goes on along the graph until enough documents pass (pgvector's iterative scan, in
strict order), up to a bound; it is too little by then only where few pass, and those are compared one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Row, text

from services.retrieve.postgres.conditions import Parameters

EXACT_UP_TO = 20_000
"""Documents of a namespace that are compared one by one."""
MOST_DIMENSIONS = 2_000
"""That pgvector's graphs have."""
LOCK = 0x57415947
"""Of PostgreSQL's advisory locks, the one of who makes graphs."""
WIDEST = 1_000
"""Of pgvector's `ef_search`."""
SMALL_BYTES = 64 << 20
"""A table that is written anew to be rid of what was deleted is not larger."""
SMALL = """SELECT pg_total_relation_size('embeddings') <= :most AND NOT EXISTS (SELECT FROM namespaces WHERE graph)"""
LARGE = """SELECT id, dimensions FROM namespaces
WHERE NOT graph AND dimensions BETWEEN 1 AND :most
AND (SELECT count(*) FROM embeddings WHERE namespace = id) > :exact_up_to"""
ORPHANS = """SELECT indexrelid::regclass AS index FROM pg_index
WHERE indrelid = 'embeddings'::regclass AND indexrelid::regclass::text LIKE 'embeddings\\_graph\\_%'
AND (NOT indisvalid OR NOT EXISTS (
    SELECT FROM namespaces WHERE graph AND indexrelid::regclass::text = 'embeddings_graph_' || id))"""


def nearest(
    connection: Connection,
    vector: str,
    limit: int,
    where: str,
    parameters: Parameters,
    namespace: int,
    graph: int | None,
) -> Sequence[Row[Any]]:
    """Keys and cosines, best first; `graph` is how long the vectors of the graph are, None where there is none."""
    parameters = parameters | {"vector": vector, "limit": limit}
    if graph is not None:
        found = _by_graph(connection, limit, f"namespace = {namespace} AND {where}", parameters, graph)
        if len(found) == limit:
            return found
    return connection.execute(text(_sorted("embedding", where)), parameters).all()


def _by_graph(connection: Connection, limit: int, where: str, parameters: Parameters, size: int) -> Sequence[Row[Any]]:
    """Namespace and length stand in the statement itself: only so does PostgreSQL see that the index fits."""
    width = min(WIDEST, max(100, 2 * limit))
    connection.execute(text(f"SET LOCAL hnsw.ef_search = {width}"))
    connection.execute(text("SET LOCAL hnsw.iterative_scan = strict_order"))
    return connection.execute(text(_sorted(f"CAST(embedding AS vector({size}))", where)), parameters).all()


def _sorted(embedding: str, where: str) -> str:
    """The inner product is the cosine, as all vectors are of unit length."""
    distance = f"{embedding} <#> CAST(:vector AS vector)"
    return f"SELECT key, -({distance}) AS score FROM embeddings WHERE {where} ORDER BY {distance} LIMIT :limit"


class Graphs:
    """Makes them, and drops those of namespaces that are gone."""

    def __init__(self, engine: Engine, exact_up_to: int = EXACT_UP_TO) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._exact_up_to = exact_up_to

    def tend(self) -> None:
        """Makes what is due, unless another process is at it."""
        with self._engine.connect() as connection:
            if connection.execute(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": LOCK}).scalar_one():
                try:
                    connection.execute(text("SET statement_timeout = 0"))
                    self._made(connection)
                finally:
                    connection.invalidate()  # Its lock and its setting end with it.

    def vacuum(self) -> None:
        """Frees the room of what was deleted.

        A small table is written anew, so that nothing of it is left in its files, in a second or so in which queries
        wait; a large one, or one with a graph, would take too long.
        """
        with self._engine.connect() as connection:
            is_small: bool = connection.execute(text(SMALL), {"most": SMALL_BYTES}).scalar_one()
            connection.execute(text(f"VACUUM {'(FULL)' if is_small else ''} embeddings"))

    def _made(self, connection: Connection) -> None:
        for orphan in connection.execute(text(ORPHANS)).all():
            connection.execute(text(f"DROP INDEX CONCURRENTLY {orphan.index}"))
        large = {"most": MOST_DIMENSIONS, "exact_up_to": self._exact_up_to}
        for namespace, size in connection.execute(text(LARGE), large).all():
            connection.execute(
                text(
                    f"CREATE INDEX CONCURRENTLY embeddings_graph_{namespace} ON embeddings "
                    f"USING hnsw (CAST(embedding AS vector({size})) vector_ip_ops) WHERE namespace = {namespace}"
                )
            )
            connection.execute(text("UPDATE namespaces SET graph = true WHERE id = :id"), {"id": namespace})
