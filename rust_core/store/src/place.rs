//! Where a store is: `sqlite:/path`, `redis://host:port/db`, `postgresql://user@host:port/database`, or `memory:`.

use std::{fmt, path::PathBuf, str::FromStr};

use tokio_postgres::config::{Config, SslMode};

/// Where money and documents are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file, for the routers of one machine.
    Sqlite(PathBuf),
    /// A server, for the routers of many machines.
    Redis(String),
    /// A server whose disk has each call before it is made.
    Postgres(String),
    /// This process only, and only while it lives: for tests and trials.
    Memory,
}

/// Raised by [`Place::parse`]; no password is shown.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlace {
    /// It is no place at all.
    #[error(
        "{0:?} is no place for a store: write \"sqlite:/path\", \"redis://host:port/db\", \
         \"postgresql://user@host:port/database\" or \"memory:\""
    )]
    Unknown(String),
    /// It asks for what this program cannot do with PostgreSQL.
    #[error(
        "{0:?} asks for TLS, which is not spoken with PostgreSQL: use a trusted network or a tunnel, and no sslmode"
    )]
    Tls(String),
}

impl Place {
    /// Reads what a configuration names.
    pub fn parse(text: &str) -> Result<Self, InvalidPlace> {
        let invalid = || InvalidPlace::Unknown(without_secret(text));
        match text.split_once(':').ok_or_else(invalid)? {
            ("memory", "") => Ok(Self::Memory),
            ("sqlite", path) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            ("redis" | "redis+unix" | "unix", rest) if rest.starts_with('/') => Ok(Self::Redis(text.into())),
            ("postgres" | "postgresql", rest) if rest.starts_with("//") => postgres(text),
            _ => Err(invalid()),
        }
    }
}

fn postgres(url: &str) -> Result<Place, InvalidPlace> {
    if asks_for_tls(url) {
        return Err(InvalidPlace::Tls(without_secret(url)));
    }
    let named = url.parse::<Config>().is_ok_and(|config| !config.get_hosts().is_empty());
    if named { Ok(Place::Postgres(url.into())) } else { Err(InvalidPlace::Unknown(without_secret(url))) }
}

/// Also in ways that the client library cannot even read: verify-ca and verify-full.
fn asks_for_tls(url: &str) -> bool {
    let requires = url.parse::<Config>().is_ok_and(|config| config.get_ssl_mode() == SslMode::Require);
    let parameters = url.rsplit_once('?').map_or("", |(_, parameters)| parameters).split('&');
    requires || parameters.into_iter().any(|each| each.starts_with("sslmode=verify-"))
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
            Self::Redis(url) | Self::Postgres(url) => f.write_str(&without_secret(url)),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

/// The address without user, password and parameters, which logs must not show.
fn without_secret(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.into() };
    let (login, host) = rest.rsplit_once('@').unwrap_or(("", rest));
    // Where the last `@` is in a parameter, what is behind it may be the end of a password.
    if login.contains('?') {
        return format!("{scheme}://…");
    }
    format!("{scheme}://{}", host.split_once('?').map_or(host, |(host, _)| host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_are_read_and_written() {
        for text in
            ["sqlite:/var/lib/waypost/store.db", "redis://127.0.0.1:6379/0", "postgresql://db:5432/w", "memory:"]
        {
            assert_eq!(Place::parse(text).map(|place| place.to_string()), Ok(text.into()));
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_to_write() {
        let all = ["", "file", "sqlite:", "memory:x", "redis:6379", "postgres:host/db", "postgresql://", "mysql://a/b"];
        for text in all {
            assert_eq!(Place::parse(text), Err(InvalidPlace::Unknown(text.into())));
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        for (text, shown) in [
            ("redis://user:p@ss@host:6379/1", "redis://host:6379/1"),
            ("postgres://user:p%40ss@host/db", "postgres://host/db"),
            ("postgresql://host/db?user=a&password=b", "postgresql://host/db"),
            ("postgresql://host/db?password=a@b", "postgresql://…"),
        ] {
            assert_eq!(Place::parse(text).expect("it is an address").to_string(), shown);
        }
        let refused = Place::parse("postgresql://user:secret@host:none/db").expect_err("a port is a number");
        assert_eq!(refused, InvalidPlace::Unknown("postgresql://host:none/db".into()));
    }

    #[test]
    fn encryption_that_cannot_be_had_is_refused_and_not_left_out() {
        for mode in ["require", "verify-ca", "verify-full"] {
            let place = format!("postgresql://user:secret@host/db?sslmode={mode}");
            assert_eq!(Place::parse(&place), Err(InvalidPlace::Tls("postgresql://host/db".into())));
        }
        assert!(Place::parse("postgresql://host/db?sslmode=disable").is_ok());
    }
}
