//! Changing the truth.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::{Writer, read::SpaceRow};
use crate::{Batch, Entry, Error, Graph, InputError, Millis, SpaceName};

/// Of a document beside what it says: its row, its places in indexes and in memory.
const OVERHEAD: usize = 300;
/// Rows that one transaction of a sweep removes: others wait for it.
const CHUNK: usize = 500;

/// What became of an upsert.
#[derive(Debug)]
pub struct Change {
    pub space: SpaceRow,
    /// Of the entries, in their order; none where a later one has the same id.
    pub rows: Vec<Option<i64>>,
    /// The documents that are no more.
    pub gone: Vec<Gone>,
}

/// A document that was removed.
#[derive(Debug)]
pub struct Gone {
    pub row: i64,
    pub space: i64,
    pub id: String,
    /// It had not expired.
    pub live: bool,
    bytes: u64,
}

impl Writer {
    /// Stores batches of documents, each all or none, in spaces that are made where there are none.
    ///
    /// All are one commit, since what a commit costs is waiting for the disk; where that fails, none is stored.
    pub fn upsert_each(
        &mut self,
        batches: &[Batch<'_>],
        limit: u64,
        now: Millis,
    ) -> Result<Vec<Result<Change, Error>>, Error> {
        let mut together = begin(&mut self.connection)?;
        let mut bytes = self.bytes;
        let mut changes = Vec::with_capacity(batches.len());
        for batch in batches {
            // What is refused is rolled back when this is dropped.
            let alone = together.savepoint()?;
            let change = upsert(&alone, batch, bytes, limit, now);
            if let Ok((_, needed)) = &change {
                bytes = *needed;
                alone.commit()?;
            }
            changes.push(change.map(|(change, _)| change));
        }
        together.commit()?;
        self.bytes = bytes;
        self.traces |= changes.iter().flatten().any(|it| !it.gone.is_empty());
        Ok(changes)
    }

    /// Removes documents of a space by id.
    pub fn delete(&mut self, space: i64, ids: &[&str], now: Millis) -> rusqlite::Result<Vec<Gone>> {
        self.removing(|change| {
            let found = ids.iter().map(|id| remove(change, space, id, now));
            found.filter_map(Result::transpose).collect()
        })
    }

    /// Removes documents by row.
    pub fn delete_rows(&mut self, rows: &[i64], now: Millis) -> rusqlite::Result<Vec<Gone>> {
        self.removing(|change| {
            let found = rows.iter().map(|row| remove_row(change, *row, now));
            found.filter_map(Result::transpose).collect()
        })
    }

    /// Removes a space with all that is in it; how many had not expired.
    pub fn delete_space(&mut self, space: i64, now: Millis) -> rusqlite::Result<u64> {
        let change = begin(&mut self.connection)?;
        let sql = "SELECT COUNT(*) FROM documents d JOIN spaces s ON s.id = d.space
                   WHERE d.space = ?1 AND IFNULL(d.expires, IFNULL(d.stored + s.retention, ?2 + 1)) > ?2";
        let live = change.query_row(sql, params![space, now], |row| row.get(0))?;
        let bytes: u64 = change.query_row("SELECT bytes FROM spaces WHERE id = ?1", [space], |row| row.get(0))?;
        change.execute("DELETE FROM documents WHERE space = ?1", [space])?;
        change.execute("DELETE FROM spaces WHERE id = ?1", [space])?;
        change.commit()?;
        self.bytes -= bytes;
        self.traces = true;
        Ok(live)
    }

    /// Removes some documents whose time has come; nothing where there are no more.
    pub fn expire(&mut self, now: Millis) -> rusqlite::Result<Vec<Gone>> {
        let sql = "SELECT row FROM documents WHERE expires <= ?1
                   UNION ALL
                   SELECT d.row FROM spaces s JOIN documents d ON d.space = s.id
                   WHERE d.expires IS NULL AND d.stored <= ?1 - s.retention
                   LIMIT ?2";
        let mut select = self.connection.prepare_cached(sql)?;
        let rows: Vec<i64> =
            select.query_map(params![now, CHUNK as i64], |row| row.get(0))?.collect::<Result<_, _>>()?;
        drop(select);
        self.delete_rows(&rows, now)
    }

    /// Makes a space or changes how long it keeps what is not dated.
    pub fn set_retention(&mut self, name: SpaceName<'_>, retention: Option<Millis>) -> rusqlite::Result<SpaceRow> {
        let change = begin(&mut self.connection)?;
        let space = SpaceRow { retention, ..make(&change, name)? };
        change.execute("UPDATE spaces SET retention = ?2 WHERE id = ?1", params![space.id, retention])?;
        change.commit()?;
        Ok(space)
    }

    /// Notes which file indexes which rows.
    pub fn set_graph(&mut self, space: i64, graph: Option<&Graph>) -> rusqlite::Result<()> {
        let sql = "UPDATE spaces SET graph = ?2, graph_row = ?3 WHERE id = ?1";
        let values = params![space, graph.map(|it| &it.file), graph.map(|it| it.row)];
        self.connection.execute(sql, values).map(drop)
    }

    /// Makes sure that nothing that was removed is left in any file.
    ///
    /// Pages of the file are overwritten with zeros when their content goes (`secure_delete`), but the log has them as
    /// they were before: it is moved into the file and cut to nothing, for which no reader may look at it.  Whether it
    /// could be; otherwise the next time.
    pub fn erase_traces(&mut self) -> rusqlite::Result<bool> {
        if self.traces {
            self.connection.execute_batch("PRAGMA incremental_vacuum")?;
            let busy: bool = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
            self.traces = busy;
        }
        Ok(!self.traces)
    }

    fn removing(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<Vec<Gone>>,
    ) -> rusqlite::Result<Vec<Gone>> {
        let change = begin(&mut self.connection)?;
        let gone = work(&change)?;
        for it in &gone {
            count_bytes(&change, it.space, -(it.bytes as i64))?;
        }
        change.commit()?;
        self.bytes -= gone.iter().map(|it| it.bytes).sum::<u64>();
        self.traces |= !gone.is_empty();
        Ok(gone)
    }
}

/// What became of it, and what all documents take then.
fn upsert(
    change: &Connection,
    Batch { name, entries }: &Batch<'_>,
    bytes: u64,
    limit: u64,
    now: Millis,
) -> Result<(Change, u64), Error> {
    let mut space = make(change, *name)?;
    settle_dimensions(change, &mut space, entries)?;
    let (rows, gone, added) = replace(change, &space, entries, now)?;
    let removed: u64 = gone.iter().map(|it| it.bytes).sum();
    let needed = bytes + added - removed;
    if needed > limit && added > removed {
        return Err(Error::Full { needed, limit });
    }
    count_bytes(change, space.id, added as i64 - removed as i64)?;
    Ok((Change { space, rows, gone }, needed))
}

fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    Transaction::new(connection, TransactionBehavior::Immediate)
}

fn make(change: &Connection, name: SpaceName<'_>) -> rusqlite::Result<SpaceRow> {
    if let Some(space) = SpaceRow::find(change, name)? {
        return Ok(space);
    }
    change.execute("INSERT INTO spaces (tenant, name) VALUES (?1, ?2)", [name.tenant, name.name])?;
    Ok(SpaceRow { id: change.last_insert_rowid(), ..SpaceRow::default() })
}

/// The first documents decide how long vectors are, or that there are none.
fn settle_dimensions(change: &Connection, space: &mut SpaceRow, entries: &[Entry<'_>]) -> Result<(), Error> {
    for entry in entries {
        let got = entry.vector.len();
        if *space.dimensions.get_or_insert(got) != got {
            return Err(InputError::Dimensions { expected: space.dimensions.unwrap_or(0), got }.into());
        }
    }
    change.execute("UPDATE spaces SET dimensions = ?2 WHERE id = ?1", params![space.id, space.dimensions])?;
    Ok(())
}

type Replaced = (Vec<Option<i64>>, Vec<Gone>, u64);

fn replace(change: &Connection, space: &SpaceRow, entries: &[Entry<'_>], now: Millis) -> rusqlite::Result<Replaced> {
    let last: std::collections::HashMap<&str, usize> = entries.iter().enumerate().map(|(at, it)| (it.id, at)).collect();
    let (mut rows, mut gone, mut added) = (vec![None; entries.len()], Vec::new(), 0);
    for (at, entry) in entries.iter().enumerate().filter(|(at, entry)| last[entry.id] == *at) {
        gone.extend(remove(change, space.id, entry.id, now)?);
        rows[at] = Some(insert(change, space.id, entry, now)?);
        added += bytes(entry);
    }
    Ok((rows, gone, added))
}

fn insert(change: &Connection, space: i64, entry: &Entry<'_>, now: Millis) -> rusqlite::Result<i64> {
    let sql = "INSERT INTO documents (space, id, text, metadata, vector, stored, expires, bytes)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let vector: Option<Vec<u8>> =
        (!entry.vector.is_empty()).then(|| entry.vector.iter().flat_map(|it| it.to_le_bytes()).collect());
    let Entry { id, text, metadata, expires, .. } = entry;
    change.prepare_cached(sql)?.insert(params![space, id, text, metadata, vector, now, expires, bytes(entry) as i64])
}

fn remove(change: &Connection, space: i64, id: &str, now: Millis) -> rusqlite::Result<Option<Gone>> {
    let sql = "DELETE FROM documents WHERE space = ?2 AND id = ?3 RETURNING row, space, id, bytes,
               IFNULL(expires, IFNULL(stored + (SELECT retention FROM spaces WHERE spaces.id = space), ?1 + 1)) > ?1";
    change.prepare_cached(sql)?.query_row(params![now, space, id], gone).optional()
}

fn remove_row(change: &Connection, row: i64, now: Millis) -> rusqlite::Result<Option<Gone>> {
    let sql = "DELETE FROM documents WHERE row = ?2 RETURNING row, space, id, bytes,
               IFNULL(expires, IFNULL(stored + (SELECT retention FROM spaces WHERE spaces.id = space), ?1 + 1)) > ?1";
    change.prepare_cached(sql)?.query_row(params![now, row], gone).optional()
}

fn gone(row: &Row<'_>) -> rusqlite::Result<Gone> {
    let (id, live) = (row.get(2)?, row.get(4)?);
    Ok(Gone { row: row.get(0)?, space: row.get(1)?, id, bytes: row.get(3)?, live })
}

fn count_bytes(change: &Connection, space: i64, more: i64) -> rusqlite::Result<()> {
    let mut update = change.prepare_cached("UPDATE spaces SET bytes = bytes + ?2 WHERE id = ?1")?;
    update.execute([space, more]).map(drop)
}

/// What a document takes, on disk and in memory alike: its words are in an index, its metadata in postings.
fn bytes(entry: &Entry<'_>) -> u64 {
    let said = entry.id.len() + entry.text.len() + entry.metadata.len();
    (said + size_of_val(entry.vector) + OVERHEAD) as u64
}
