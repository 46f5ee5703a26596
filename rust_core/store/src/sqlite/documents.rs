//! Small documents.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{Document, PutError};

pub fn get(connection: &Connection, key: &str) -> rusqlite::Result<Option<Document>> {
    let sql = "SELECT key, revision, text FROM documents WHERE key = ?1";
    connection.prepare_cached(sql)?.query_row([key], |row| Ok(read(row)?.1)).optional()
}

/// Those whose keys begin so, by key.
pub fn list(connection: &Connection, prefix: &str) -> rusqlite::Result<Vec<(String, Document)>> {
    let sql = "SELECT key, revision, text FROM documents WHERE substr(key, 1, length(?1)) = ?1 ORDER BY key";
    connection.prepare_cached(sql)?.query_map([prefix], read)?.collect()
}

/// Compares and sets; the new revision.
pub fn put(connection: &Connection, key: &str, expected: u64, text: &str) -> rusqlite::Result<Result<u64, PutError>> {
    let actual = get(connection, key)?.map_or(0, |document| document.revision);
    if actual != expected {
        return Ok(Err(PutError::Conflict { actual }));
    }
    let sql = "INSERT INTO documents (key, revision, text) VALUES (?1, ?2, ?3)
               ON CONFLICT DO UPDATE SET revision = excluded.revision, text = excluded.text";
    connection.prepare_cached(sql)?.execute(params![key, actual + 1, text])?;
    Ok(Ok(actual + 1))
}

fn read(row: &Row<'_>) -> rusqlite::Result<(String, Document)> {
    Ok((row.get(0)?, Document { revision: row.get(1)?, text: row.get(2)? }))
}
