//! Small documents.

use tokio_postgres::{Error, Row};

use crate::Document;

pub const GET: &str = "SELECT revision, text FROM documents WHERE key = $1";

/// By key, in the order of bytes: so the column is collated.
pub const LIST: &str = "SELECT revision, text, key FROM documents WHERE starts_with(key, $1) ORDER BY key";

/// Where there is none.
pub const MAKE: &str = "INSERT INTO documents (key, revision, text) VALUES ($1, $2::bigint + 1, $3) ON CONFLICT DO NOTHING RETURNING revision";

/// Where it is at the revision that is expected.
pub const REPLACE: &str =
    "UPDATE documents SET revision = revision + 1, text = $3 WHERE key = $1 AND revision = $2 RETURNING revision";

pub fn read(row: &Row) -> Result<Document, Error> {
    Ok(Document { revision: revision(row)?, text: row.try_get(1)? })
}

/// Of a row that begins with it.
pub fn revision(row: &Row) -> Result<u64, Error> {
    row.try_get::<_, i64>(0).map(|revision| revision.max(0) as u64)
}
