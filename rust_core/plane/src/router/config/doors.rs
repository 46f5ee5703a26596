//! Where the router listens, and what those who come must bring.

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::address::Address;

/// Whether callers are to be known.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// Also where there is neither key nor token yet.
    pub required: bool,
}

/// Unix sockets beside the address for callers.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Local {
    /// Of the HTTP gateway, which passes on what its callers bring.
    #[serde(deserialize_with = "some_address")]
    pub gateway: Option<Address>,
    /// Of whoever runs the router: no key is asked for.
    #[serde(deserialize_with = "some_address")]
    pub operator: Option<Address>,
}

fn some_address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Address>, D::Error> {
    Option::<String>::deserialize(from)?.map(|text| text.parse()).transpose().map_err(D::Error::custom)
}
