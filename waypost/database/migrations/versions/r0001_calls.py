"""The log of calls, feedback, audit, rollouts, models; journals and cold files."""

import sqlalchemy as sa
from alembic import op

from waypost.database.tables import Moment, json_type

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the tables."""
    _model_inferences()
    _feedback()
    _audit()
    _rollouts()
    op.create_table(
        "models",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, primary_key=True),
        sa.Column("created", Moment, nullable=False),
        sa.Column("parent", sa.Text, comment="name@version it was made from."),
        sa.Column("dataset_hash", sa.Text),
        sa.Column("hyperparameters", json_type()),
        sa.Column("card", json_type(), comment="The whole model card."),
    )
    op.create_table(
        "journals",
        sa.Column("journal", sa.Text, primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False, comment="Bytes; what is before is in the tables."),
    )
    _cold_files()


def _id() -> "sa.Column[str]":
    return sa.Column("id", sa.Uuid(as_uuid=False), primary_key=True)


def _model_inferences() -> None:
    op.create_table(
        "model_inferences",
        _id(),
        sa.Column("time", Moment, nullable=False, comment="When the call came in."),
        sa.Column("request_id", sa.Text, comment="The caller's name for it, or the router's."),
        sa.Column("trace_id", sa.Text),
        sa.Column(
            "tenant", sa.Text, comment="For whom; a hash where the log is anonymised; null: nobody in particular."
        ),
        sa.Column("task", sa.Text, nullable=False, comment="generate, embed, classify, rerank, retrieve."),
        sa.Column("method", sa.Text, nullable=False, comment="Path of the rpc."),
        sa.Column("model", sa.Text, comment="The model asked last; null: the call did not come so far."),
        sa.Column("version", sa.Text, comment="Of that model, where the answer is kept: it says so."),
        sa.Column("instance", sa.Text, comment="Whose answer was passed on."),
        sa.Column("tier", sa.Text, comment="How much model the prompt was given."),
        sa.Column("reason", sa.Text, comment='Why that model and that replica: "named/only".'),
        sa.Column("status", sa.Text, nullable=False, comment="gRPC status code."),
        sa.Column("error", sa.Text),
        sa.Column("latency_ms", sa.Float),
        sa.Column("queue_ms", sa.Float, comment="Wait at the worker, where the answer is kept."),
        sa.Column("prompt_tokens", sa.Integer, comment="Tokens: where the answer is kept."),
        sa.Column("cached_tokens", sa.Integer),
        sa.Column("completion_tokens", sa.Integer),
        sa.Column("cost_usd", sa.Float),
        sa.Column("cached", sa.Text, comment="hit, near, miss; null: may not be kept."),
        sa.Column("quality", sa.Float, comment="How good the validator found the last answer."),
        sa.Column("payload_mode", sa.Text, comment="hash, redacted, full; null: no texts."),
        sa.Column("prompt", json_type(), comment="The request, as the tenant has it kept."),
        sa.Column("answer", json_type(), comment="The reply."),
        sa.Column("decision", json_type(), comment="The whole line: waypost/decision.schema.json."),
    )
    op.create_index("model_inferences_time", "model_inferences", ["time"])
    op.create_index("model_inferences_request", "model_inferences", ["request_id"])
    op.create_index("model_inferences_tenant", "model_inferences", ["tenant", "time"])


def _feedback() -> None:
    op.create_table(
        "feedback",
        _id(),
        sa.Column("time", Moment, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False, comment="Of the answer."),
        sa.Column("tenant", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("score", sa.Float, nullable=False, comment="From 0, useless, to 1, perfect."),
    )
    op.create_index("feedback_time", "feedback", ["time"])
    op.create_index("feedback_request", "feedback", ["request_id"])


def _audit() -> None:
    op.create_table(
        "audit",
        _id(),
        sa.Column("time", Moment, nullable=False),
        sa.Column("tenant", sa.Text),
        sa.Column("role", sa.Text),
        sa.Column("token", sa.Text, comment="Public part."),
        sa.Column("origin", sa.Text, comment="Where the call came from."),
        sa.Column("door", sa.Text),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("detail", sa.Text),
    )
    op.create_index("audit_time", "audit", ["time"])


def _rollouts() -> None:
    op.create_table(
        "rollouts",
        _id(),
        sa.Column("time", Moment, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("rollout", json_type(), nullable=False),
    )
    op.create_index("rollouts_revision", "rollouts", ["name", "revision"], unique=True)
    op.create_index("rollouts_time", "rollouts", ["time"])


def _cold_files() -> None:
    op.create_table(
        "cold_files",
        sa.Column("file", sa.Text, primary_key=True, comment="Below the folder of cold rows."),
        sa.Column("first", Moment, nullable=False, comment="Time of its oldest row."),
        sa.Column("last", Moment, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("was_bytes", sa.BigInteger, nullable=False, comment="Bytes of the same rows as lines of JSON."),
    )
    op.create_index("cold_files_last", "cold_files", ["last"])


def downgrade() -> None:
    """Drops all of it."""
    for name in ("cold_files", "journals", "models", "rollouts", "audit", "feedback", "model_inferences"):
        op.drop_table(name)
