//! Opening the file, also while others do.

use std::{path::Path, thread, time::Duration};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

/// Raised with each change of `schema.sql` that old versions cannot work with.
const SCHEMA: u32 = 1;

/// Pages in the log before they are moved into the file, which waits for the disk: 16 MiB, four times the usual, because
/// here the same few pages change again and again and are moved once.
const LOG_PAGES: u32 = 4_000;

/// A wait for another process: transactions take some 50 us, so SQLite's own steps of up to 100 ms are too long.
const STEP: Duration = Duration::from_micros(100);
/// Steps grow to this many.
const LONGEST: i32 = 20;
/// Gives up after some 5 s.
const ATTEMPTS: i32 = 2_500;

/// Raised by [`open`].
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("the file has schema {0}, of a newer version of Waypost; this one knows {SCHEMA}")]
    Newer(u32),
}

/// A connection that is ready for use, to a file or to memory.
pub fn open(path: Option<&Path>) -> Result<Connection, OpenError> {
    let mut connection = match path {
        Some(path) => Connection::open(path)?,
        None => Connection::open_in_memory()?,
    };
    connection.busy_handler(Some(wait))?;
    connection.set_prepared_statement_cache_capacity(64);
    write_ahead(&connection)?;
    migrate(&mut connection)?;
    Ok(connection)
}

fn wait(attempt: i32) -> bool {
    thread::sleep(STEP * (attempt + 1).clamp(1, LONGEST) as u32);
    attempt < ATTEMPTS
}

/// Changes to a write-ahead log: a commit is then one write without a wait for the disk.
///
/// SQLite does not call the busy handler here, because two that change it at once would wait for each other.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    for attempt in 0.. {
        match connection.pragma_update(None, "journal_mode", "wal") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && wait(attempt) => {}
            changed => {
                changed?;
                break;
            }
        }
    }
    connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
    connection.pragma_update(None, "synchronous", "normal")
}

fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    let change = Transaction::new(connection, TransactionBehavior::Immediate)?;
    let found: u32 = change.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > SCHEMA {
        return Err(OpenError::Newer(found));
    }
    change.execute_batch(include_str!("schema.sql"))?;
    change.pragma_update(None, "user_version", SCHEMA)?;
    Ok(change.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_newer_version_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("store.db");
        let file = Connection::open(&path).expect("it opens");
        file.pragma_update(None, "user_version", SCHEMA + 1).expect("it is written");
        assert!(matches!(open(Some(&path)), Err(OpenError::Newer(version)) if version == SCHEMA + 1));
    }

    #[test]
    fn many_may_open_a_new_file_at_once() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("store.db");
        thread::scope(|scope| {
            let all: Vec<_> = (0..16).map(|_| scope.spawn(|| open(Some(&path)).map(drop))).collect();
            all.into_iter().for_each(|one| one.join().expect("no panic").expect("it opens"));
        });
    }
}
