//! Opening the file, for this process alone.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::OpenError;

/// Raised with each change of `schema.sql` that old versions cannot work with.
const SCHEMA: u32 = 1;

/// Pages in the log before they are moved into the file, which waits for the disk: 16 MiB, four times the usual.
const LOG_PAGES: u32 = 4_000;

/// How long a connection waits for another one of this process.
const PATIENCE: Duration = Duration::from_secs(10);

/// Locks the store for as long as the file is kept.
///
/// Another process would change the truth behind the back of what is kept in memory.  The lock is on a file of its own,
/// because closing the database's file elsewhere in this process would lift SQLite's locks; it ends with the process.
pub fn lock(path: &Path) -> Result<File, OpenError> {
    let file = File::create(beside(path, ".lock"))?;
    match fs4::FileExt::try_lock(&file) {
        Ok(()) => Ok(file),
        Err(fs4::TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
        Err(fs4::TryLockError::Error(error)) => Err(error.into()),
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The connection that writes; what an earlier process left in the log is moved into the file.
pub fn writer(path: &Path) -> Result<Connection, OpenError> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Pages that were freed can be given back to the system; only said before the first table is made.
    connection.pragma_update(None, "auto_vacuum", "incremental")?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    migrate(&mut connection)?;
    Ok(connection)
}

/// A connection that only reads; it sees what was committed when each statement begins.
pub fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    Ok(connection)
}

fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    let change = Transaction::new(connection, TransactionBehavior::Immediate)?;
    let found: u32 = change.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > SCHEMA {
        return Err(OpenError::Newer { found, known: SCHEMA });
    }
    change.execute_batch(include_str!("schema.sql"))?;
    change.pragma_update(None, "user_version", SCHEMA)?;
    Ok(change.commit()?)
}
