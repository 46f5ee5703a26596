"""Words in PostgreSQL: lexemes in a `tsvector`, found by its index and weighed by BM25 (k1 1.2, b 0.75).

PostgreSQL's own `ts_rank_cd` knows nothing of how rare a word is; so the query counts: how often each lexeme is in each
document that has one, in how many of them it is, and how long they are.  Statistics are those of the documents that
pass the filter.  It costs some microseconds for each document that shares a word; so words that almost every text has
("the", "how") are only looked for where a query has no others.

Texts are cut into words here, as PostgreSQL's own parser makes addresses of hosts and paths of files whole, and knows
capitals only by the locale of the database.
"""

from __future__ import annotations

import re

MOST_CHARACTERS = 250_000
"""Of a text that are found by words: a `tsvector` has 1 MiB at most."""

SEARCH = """
WITH asked AS (
    SELECT lexeme FROM unnest(coalesce(nullif(to_tsvector('english', :text), ''), to_tsvector('every_word', :text)))
),
question AS (
    SELECT array_agg(lexeme) AS each, CAST(string_agg(quote_literal(lexeme), ' | ') AS tsquery) AS any_of FROM asked
),
passing AS NOT MATERIALIZED (SELECT * FROM embeddings WHERE {where}),
statistics AS (
    SELECT CAST(count(*) AS float8) AS documents, greatest(CAST(avg(length) AS float8), 1) AS mean FROM passing
),
matching AS (SELECT key, length, unnest(words) AS found FROM passing, question WHERE words @@ any_of),
occurrences AS (
    SELECT key, CAST(length AS float8) AS length, CAST(cardinality((found).positions) AS float8) AS times,
        CAST(count(*) OVER (PARTITION BY (found).lexeme) AS float8) AS documents_with
    FROM matching, question
    WHERE (found).lexeme = ANY(each)
)
SELECT key, sum(
    ln(1 + (documents - documents_with + 0.5) / (documents_with + 0.5))
    * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * length / mean))
) AS score
FROM occurrences, statistics
GROUP BY key
ORDER BY score DESC, key
LIMIT :limit
"""


def plain(text: str) -> str:
    """Nothing but words with spaces between them, in lower case."""
    return " ".join(re.findall(r"\w+", text.casefold()))[:MOST_CHARACTERS]
