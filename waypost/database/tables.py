"""The tables, as they are after the last revision; `tests/test_database.py` compares them with what the revisions make.

| table | a row is |
|---|---|
| `model_inferences` | a call: what was decided, how it came out, and of its texts what its tenant has kept |
| `feedback` | what somebody thought of an answer |
| `audit` | who changed what, and who was refused |
| `rollouts` | a state that a rollout came to |
| `models` | a version of a model: its card and its lineage |
| `journals` | up to where a router's journal is in these tables |
| `cold_files` | a Parquet file of rows that were moved out of `model_inferences` |
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()


class Moment(TypeDecorator[datetime]):
    """A moment, always in UTC: SQLite knows no time zones and would give back what has none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))


def json_type() -> Any:
    """JSON that can be searched where the database can."""
    return JSON().with_variant(JSONB(), "postgresql")


def _id() -> Column[str]:
    """32 hexadecimal digits: of the journal, and the place in it.

    A line that is read twice has the same, and those that are written together stand together in the index.
    """
    return Column("id", Uuid(as_uuid=False), primary_key=True)


model_inferences = Table(
    "model_inferences",
    metadata,
    _id(),
    Column("time", Moment, nullable=False, comment="When the call came in."),
    Column("request_id", Text, comment="The caller's name for it, or the router's."),
    Column("trace_id", Text),
    Column("tenant", Text, comment="For whom; a hash where the log is anonymised; null: nobody in particular."),
    Column("task", Text, nullable=False, comment="generate, embed, classify, rerank, retrieve."),
    Column("method", Text, nullable=False, comment="Path of the rpc."),
    Column("model", Text, comment="The model asked last; null: the call did not come so far."),
    Column("version", Text, comment="Of that model, where the answer is kept: it says so."),
    Column("instance", Text, comment="Whose answer was passed on."),
    Column("tier", Text, comment="How much model the prompt was given."),
    Column("reason", Text, comment='Why that model and that replica: "named/only".'),
    Column("status", Text, nullable=False, comment="gRPC status code."),
    Column("error", Text),
    Column("latency_ms", Float),
    Column("queue_ms", Float, comment="Wait at the worker, where the answer is kept."),
    Column("prompt_tokens", Integer, comment="Tokens: where the answer is kept."),
    Column("cached_tokens", Integer),
    Column("completion_tokens", Integer),
    Column("cost_usd", Float),
    Column("cached", Text, comment="hit, near, miss; null: may not be kept."),
    Column("quality", Float, comment="How good the validator found the last answer."),
    Column("payload_mode", Text, comment="hash, redacted, full; null: no texts."),
    Column("prompt", json_type(), comment="The request, as the tenant has it kept."),
    Column("answer", json_type(), comment="The reply."),
    Column("decision", json_type(), comment="The whole line: waypost/decision.schema.json."),
    Index("model_inferences_time", "time"),
    Index("model_inferences_request", "request_id"),
    Index("model_inferences_tenant", "tenant", "time"),
)

feedback = Table(
    "feedback",
    metadata,
    _id(),
    Column("time", Moment, nullable=False),
    Column("request_id", Text, nullable=False, comment="Of the answer."),
    Column("tenant", Text),
    Column("model", Text),
    Column("score", Float, nullable=False, comment="From 0, useless, to 1, perfect."),
    Index("feedback_time", "time"),
    Index("feedback_request", "request_id"),
)

audit = Table(
    "audit",
    metadata,
    _id(),
    Column("time", Moment, nullable=False),
    Column("tenant", Text),
    Column("role", Text),
    Column("token", Text, comment="Public part."),
    Column("origin", Text, comment="Where the call came from."),
    Column("door", Text),
    Column("method", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("detail", Text),
    Index("audit_time", "time"),
)

rollouts = Table(
    "rollouts",
    metadata,
    _id(),
    Column("time", Moment, nullable=False),
    Column("name", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("step", Integer, nullable=False),
    Column("reason", Text),
    Column("rollout", json_type(), nullable=False),
    # Every router sees the same change.
    Index("rollouts_revision", "name", "revision", unique=True),
    Index("rollouts_time", "time"),
)

models = Table(
    "models",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("created", Moment, nullable=False),
    Column("parent", Text, comment="name@version it was made from."),
    Column("dataset_hash", Text),
    Column("hyperparameters", json_type()),
    Column("card", json_type(), comment="The whole model card."),
)

journals = Table(
    "journals",
    metadata,
    Column("journal", Text, primary_key=True),
    Column("position", BigInteger, nullable=False, comment="Bytes; what is before is in the tables."),
)

cold_files = Table(
    "cold_files",
    metadata,
    Column("file", Text, primary_key=True, comment="Below the folder of cold rows."),
    Column("first", Moment, nullable=False, comment="Time of its oldest row."),
    Column("last", Moment, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("was_bytes", BigInteger, nullable=False, comment="Bytes of the same rows as lines of JSON."),
    Index("cold_files_last", "last"),
)
