-- Money in nano-dollars, times in milliseconds since 1970, months as 202611.  Run in the schema of the store.

-- What a month costs, by kind: 0 all tenants together, 1 a tenant, 2 a model of a tenant; names that a kind has not
-- are empty.  Its rows change all the time: pages are left room, so that no index need change with them.
CREATE TABLE totals (
    month INTEGER NOT NULL,
    kind SMALLINT NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    model TEXT COLLATE "C" NOT NULL,
    calls BIGINT NOT NULL,
    spent BIGINT NOT NULL,
    reserved BIGINT NOT NULL,
    PRIMARY KEY (month, kind, tenant, model)
) WITH (fillfactor = 50);

-- One line per priced call; outcome 0: under way.
CREATE TABLE calls (
    id BYTEA PRIMARY KEY,
    request_id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    model TEXT NOT NULL,
    month INTEGER NOT NULL,
    router TEXT NOT NULL,
    reserved BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    outcome SMALLINT NOT NULL,
    expires BIGINT NOT NULL,
    ended BIGINT NOT NULL
);

CREATE INDEX calls_under_way ON calls (expires) WHERE outcome = 0;

CREATE TABLE documents (
    key TEXT COLLATE "C" PRIMARY KEY,
    revision BIGINT NOT NULL,
    text TEXT NOT NULL
);

-- One row: raised with each change that old versions cannot work with.
CREATE TABLE version (number INTEGER NOT NULL);
