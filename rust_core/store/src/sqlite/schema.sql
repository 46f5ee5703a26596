-- Money in nano-dollars, times in milliseconds since 1970, months as 202611.

-- What a month costs, by kind: 0 all tenants together, 1 a tenant, 2 a model of a tenant; names that a kind has not
-- are empty.  One table, because a transaction costs as much as the pages it changes.
CREATE TABLE IF NOT EXISTS totals (
    month INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    model TEXT NOT NULL,
    calls INTEGER NOT NULL,
    spent INTEGER NOT NULL,
    reserved INTEGER NOT NULL,
    PRIMARY KEY (month, kind, tenant, model)
) STRICT, WITHOUT ROWID;

-- One line per priced call; outcome 0: under way.
CREATE TABLE IF NOT EXISTS calls (
    id BLOB PRIMARY KEY,
    request_id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    model TEXT NOT NULL,
    month INTEGER NOT NULL,
    router TEXT NOT NULL,
    reserved INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    ended INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS calls_under_way ON calls (expires) WHERE outcome = 0;

CREATE TABLE IF NOT EXISTS documents (
    key TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT, WITHOUT ROWID;
