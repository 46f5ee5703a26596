//! Where a store is: `sqlite:/path`, `redis://host:port/db`, or `memory:`.

use std::{fmt, path::PathBuf, str::FromStr};

/// Where money and documents are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file, for the routers of one machine.
    Sqlite(PathBuf),
    /// A server, for the routers of many machines.
    Redis(String),
    /// This process only, and only while it lives: for tests and trials.
    Memory,
}

/// Raised by [`Place::parse`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no place for a store: write \"sqlite:/path\", \"redis://host:port/db\" or \"memory:\"")]
pub struct InvalidPlace(String);

impl Place {
    /// Reads what a configuration names.
    pub fn parse(text: &str) -> Result<Self, InvalidPlace> {
        let invalid = || InvalidPlace(without_secret(text));
        match text.split_once(':').ok_or_else(invalid)? {
            ("memory", "") => Ok(Self::Memory),
            ("sqlite", path) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            ("redis" | "redis+unix" | "unix", rest) if rest.starts_with('/') => Ok(Self::Redis(text.into())),
            _ => Err(invalid()),
        }
    }
}

impl FromStr for Place {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Redis(url) => f.write_str(&without_secret(url)),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

/// The address without user and password, which logs must not show.
fn without_secret(url: &str) -> String {
    match url.split_once("://").zip(url.rsplit_once('@')) {
        Some(((scheme, _), (_, host))) => format!("{scheme}://{host}"),
        None => url.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_kinds_are_read_and_written() {
        for text in ["sqlite:/var/lib/waypost/store.db", "redis://127.0.0.1:6379/0", "memory:"] {
            assert_eq!(Place::parse(text).map(|place| place.to_string()), Ok(text.into()));
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_to_write() {
        for text in ["", "file", "sqlite:", "memory:x", "redis:6379", "postgres://host/db"] {
            assert_eq!(Place::parse(text), Err(InvalidPlace(text.into())));
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let place = Place::parse("redis://user:p@ss@host:6379/1").expect("it is an address");
        assert_eq!(place.to_string(), "redis://host:6379/1");
    }
}
