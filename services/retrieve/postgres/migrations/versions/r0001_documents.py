"""Namespaces and what is in them."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NAMESPACES = """
CREATE TABLE namespaces (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant      text COLLATE "C" NOT NULL,
    name        text COLLATE "C" NOT NULL,
    retention   double precision,
    dimensions  integer,
    graph       boolean NOT NULL DEFAULT false,
    UNIQUE (tenant, name)
)
"""
EMBEDDINGS = """
CREATE TABLE embeddings (
    key         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace   bigint NOT NULL REFERENCES namespaces ON DELETE CASCADE,
    document_id text COLLATE "C" NOT NULL,
    content     text NOT NULL,
    metadata    jsonb NOT NULL,
    embedding   vector STORAGE MAIN,
    words       tsvector STORAGE MAIN NOT NULL,
    length      integer NOT NULL,
    stored      double precision NOT NULL,
    expires     double precision,
    UNIQUE (namespace, document_id)
)
"""
"""What searches read stays in the row as long as it fits in its page."""
EVERY_WORD = (
    "CREATE TEXT SEARCH DICTIONARY every_stem (TEMPLATE = snowball, LANGUAGE = english)",
    "CREATE TEXT SEARCH CONFIGURATION every_word (COPY = english)",
    "ALTER TEXT SEARCH CONFIGURATION every_word ALTER MAPPING REPLACE english_stem WITH every_stem",
)
"""English as PostgreSQL has it, but without leaving out frequent words."""
COMMENTS = {
    "COLUMN namespaces.retention": "Seconds after which documents expire that say nothing themselves; null: never.",
    "COLUMN namespaces.dimensions": "Length of the vectors; 0: there are none; null: there were no documents yet.",
    "COLUMN namespaces.graph": "The index embeddings_graph_ID is there, over the vectors of this namespace alone.",
    "COLUMN embeddings.key": "Another one whenever the document is replaced.",
    "COLUMN embeddings.embedding": "Of unit length; null: the namespace has no vectors.",
    "COLUMN embeddings.words": "Lexemes of the content.",
    "COLUMN embeddings.length": "How many words the content has.",
    "COLUMN embeddings.stored": "Seconds since 1970.",
    "COLUMN embeddings.expires": "Seconds since 1970; null: the retention of the namespace counts.",
}


def upgrade() -> None:
    """Makes the tables."""
    op.execute("CREATE EXTENSION IF NOT EXISTS vector")
    for statement in EVERY_WORD:
        op.execute(statement)
    op.execute(NAMESPACES)
    op.execute(EMBEDDINGS)
    op.execute("CREATE INDEX embeddings_stored ON embeddings (namespace, stored) INCLUDE (length, expires)")
    op.execute("CREATE INDEX embeddings_expires ON embeddings (expires) WHERE expires IS NOT NULL")
    op.execute("CREATE INDEX embeddings_words ON embeddings USING gin (words)")
    op.execute("CREATE INDEX embeddings_metadata ON embeddings USING gin (metadata jsonb_path_ops)")
    for what, comment in COMMENTS.items():
        op.execute(f"COMMENT ON {what} IS '{comment}'")


def downgrade() -> None:
    """Drops them; the extension may be somebody else's, too."""
    op.execute("DROP TABLE embeddings")
    op.execute("DROP TABLE namespaces")
    op.execute("DROP TEXT SEARCH CONFIGURATION every_word")
    op.execute("DROP TEXT SEARCH DICTIONARY every_stem")
