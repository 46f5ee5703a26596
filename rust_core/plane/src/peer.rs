//! Who is at the other end of a connection, as far as the connection itself tells.

use crate::tls::Admission;

/// Which door a connection came through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Door {
    /// The one for callers.
    #[default]
    Front,
    /// The HTTP gateway's: a Unix socket, whose user tells for whom it calls.
    Gateway,
    /// The operator's: a Unix socket that only this user of the machine can open.
    Operator,
}

impl Door {
    /// As it is logged.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Front => "front",
            Self::Gateway => "gateway",
            Self::Operator => "operator",
        }
    }
}

/// One end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// `ip:port`, or "unix".
    pub name: String,
    /// The door.
    pub door: Door,
    /// Whether it is served, or why not.
    pub admission: Admission,
}

impl Default for Peer {
    fn default() -> Self {
        Self { name: "unix".into(), door: Door::Front, admission: Ok(()) }
    }
}
