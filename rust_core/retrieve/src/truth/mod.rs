//! The truth: one SQLite file, from which everything in memory can be made again.
//!
//! A commit waits for the disk (`synchronous=FULL`), so what is answered survives the loss of power.  One connection
//! writes; those that read see the last commit and wait for nobody.

mod change;
mod connect;
pub mod read;

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use parking_lot::{Mutex, MutexGuard};
use rusqlite::Connection;

use crate::{Error, OpenError};
pub use change::{Change, Gone};
pub use read::{Loaded, SpaceRow};

/// The file, opened.
#[derive(Debug)]
pub struct Truth {
    path: PathBuf,
    writer: Mutex<Writer>,
    readers: Mutex<Vec<Connection>>,
    _lock: File,
}

/// The one connection that writes.
#[derive(Debug)]
pub struct Writer {
    connection: Connection,
    /// What all documents take, as `documents.bytes`.
    bytes: u64,
    /// Something was removed and may still be in the log.
    traces: bool,
}

impl Truth {
    /// Opens the file, or makes it; nobody else may have it open.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let lock = connect::lock(path)?;
        let connection = connect::writer(path)?;
        let bytes = read::bytes(&connection)?;
        // Whoever was killed may have removed something.
        let mut writer = Writer { connection, bytes, traces: true };
        writer.erase_traces()?;
        Ok(Self { path: path.into(), writer: Mutex::new(writer), readers: Mutex::default(), _lock: lock })
    }

    /// Waits for the change under way, and keeps others out.
    pub fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock()
    }

    /// Reads what was committed.
    pub fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let idle = self.readers.lock().pop();
        let connection = idle.map_or_else(|| connect::reader(&self.path), Ok)?;
        let done = work(&connection);
        self.readers.lock().push(connection);
        done
    }
}
