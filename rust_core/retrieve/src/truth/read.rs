//! Reading the truth.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{Error, Graph, Kept, Millis, Parts, SpaceName};

/// A space as the file has it.
#[derive(Debug, Default)]
pub struct SpaceRow {
    pub id: i64,
    pub retention: Option<Millis>,
    pub dimensions: Option<usize>,
    pub bytes: u64,
    pub graph: Option<Graph>,
}

/// A document that is taken into memory.
#[derive(Debug)]
pub struct Loaded {
    pub row: i64,
    pub id: String,
    pub text: String,
    pub metadata: String,
    pub vector: Vec<f32>,
    pub stored: Millis,
    pub expires: Option<Millis>,
}

impl SpaceRow {
    /// The space of this name.
    pub fn find(connection: &Connection, name: SpaceName<'_>) -> rusqlite::Result<Option<Self>> {
        let sql =
            "SELECT id, retention, dimensions, bytes, graph, graph_row FROM spaces WHERE tenant = ?1 AND name = ?2";
        connection.prepare_cached(sql)?.query_row([name.tenant, name.name], Self::read).optional()
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let graph = row.get::<_, Option<String>>(4)?;
        let graph = graph.map(|file| Ok::<_, rusqlite::Error>(Graph { file, row: row.get(5)? })).transpose()?;
        let dimensions = row.get(2)?;
        Ok(Self { id: row.get(0)?, retention: row.get(1)?, dimensions, bytes: row.get(3)?, graph })
    }
}

/// What all documents take.
pub fn bytes(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT IFNULL(SUM(bytes), 0) FROM spaces", [], |row| row.get(0))
}

/// A tenant's spaces, by name.
pub fn names(connection: &Connection, tenant: &str) -> rusqlite::Result<Vec<String>> {
    let mut select = connection.prepare_cached("SELECT name FROM spaces WHERE tenant = ?1 ORDER BY name")?;
    select.query_map([tenant], |row| row.get(0))?.collect()
}

/// All spaces: whose, and their names.
pub fn spaces(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut select = connection.prepare_cached("SELECT tenant, name FROM spaces ORDER BY tenant, name")?;
    select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Every document of a space in the order of rows.
pub fn each(
    connection: &Connection,
    space: i64,
    mut take: impl FnMut(Loaded) -> Result<(), Error>,
) -> Result<(), Error> {
    let sql = "SELECT row, id, text, metadata, vector, stored, expires FROM documents WHERE space = ?1 ORDER BY row";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query([space])?;
    while let Some(row) = rows.next()? {
        take(loaded(row)?)?;
    }
    Ok(())
}

fn loaded(row: &Row<'_>) -> rusqlite::Result<Loaded> {
    Ok(Loaded {
        row: row.get(0)?,
        id: row.get(1)?,
        text: row.get(2)?,
        metadata: row.get(3)?,
        vector: vector(row, 4)?,
        stored: row.get(5)?,
        expires: row.get(6)?,
    })
}

/// The documents of rows that are there, of this space, in their order.
///
/// All of them as one commit left them: one transaction, since each begins by waiting for locks of the file.
pub fn by_rows(
    connection: &Connection,
    name: SpaceName<'_>,
    rows: &[i64],
    parts: Parts,
) -> rusqlite::Result<Vec<Kept>> {
    let sql = "SELECT row, id, metadata, IFNULL(expires, stored + ?3), text, vector FROM documents
               WHERE row = ?1 AND space = ?2";
    let snapshot = connection.unchecked_transaction()?;
    let Some(space) = SpaceRow::find(&snapshot, name)? else { return Ok(Vec::new()) };
    let mut select = snapshot.prepare_cached(sql)?;
    let mut found = |row: &i64| {
        select.query_row(params![row, space.id, space.retention], |it| kept(it, parts)).optional().transpose()
    };
    rows.iter().filter_map(&mut found).collect()
}

/// The documents of ids that are there and have not expired, in their order.
pub fn by_ids(
    connection: &Connection,
    name: SpaceName<'_>,
    ids: &[&str],
    parts: Parts,
    now: Millis,
) -> rusqlite::Result<Vec<Kept>> {
    let sql = "SELECT row, id, metadata, IFNULL(expires, stored + ?3) AS until, text, vector FROM documents
               WHERE id = ?1 AND space = ?2 AND (until IS NULL OR until > ?4)";
    let snapshot = connection.unchecked_transaction()?;
    let Some(space) = SpaceRow::find(&snapshot, name)? else { return Ok(Vec::new()) };
    let mut select = snapshot.prepare_cached(sql)?;
    let mut found = |id: &&str| {
        select.query_row(params![id, space.id, space.retention, now], |it| kept(it, parts)).optional().transpose()
    };
    ids.iter().filter_map(&mut found).collect()
}

fn kept(row: &Row<'_>, parts: Parts) -> rusqlite::Result<Kept> {
    // They are the last of the row, and not read from the disk where nobody looks at them.
    Ok(Kept {
        row: row.get(0)?,
        id: row.get(1)?,
        metadata: row.get(2)?,
        expires: row.get(3)?,
        text: if parts.text { row.get(4)? } else { String::new() },
        vector: if parts.vector { vector(row, 5)? } else { Vec::new() },
    })
}

/// Empty where there is none.
fn vector(row: &Row<'_>, index: usize) -> rusqlite::Result<Vec<f32>> {
    let Some(bytes) = row.get_ref(index)?.as_blob_or_null()? else { return Ok(Vec::new()) };
    Ok(bytes.chunks_exact(4).map(|it| f32::from_le_bytes([it[0], it[1], it[2], it[3]])).collect())
}
