CREATE TABLE IF NOT EXISTS spaces (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant     TEXT NOT NULL,
    name       TEXT NOT NULL,
    retention  INTEGER,                     -- milliseconds; none: for good
    dimensions INTEGER,                     -- of its vectors, 0: it has none; none: nothing was stored yet
    bytes      INTEGER NOT NULL DEFAULT 0,  -- of its documents, as `documents.bytes`
    graph      TEXT,                        -- the file of an index over the rows up to `graph_row`
    graph_row  INTEGER,
    UNIQUE (tenant, name)
) STRICT;

CREATE TABLE IF NOT EXISTS documents (
    row      INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: what searches return
    space    INTEGER NOT NULL,
    id       TEXT NOT NULL,
    text     TEXT NOT NULL,
    metadata TEXT NOT NULL,                     -- an object, as JSON
    vector   BLOB,                              -- f32, little end first
    stored   INTEGER NOT NULL,                  -- milliseconds since 1970
    expires  INTEGER,                           -- none: the space's retention counts
    bytes    INTEGER NOT NULL,                  -- what it takes, about
    UNIQUE (space, id)
) STRICT;

-- Within a space by row.
CREATE INDEX IF NOT EXISTS documents_by_space ON documents (space);
CREATE INDEX IF NOT EXISTS documents_by_expiry ON documents (expires) WHERE expires IS NOT NULL;
CREATE INDEX IF NOT EXISTS documents_by_age ON documents (space, stored) WHERE expires IS NULL;
