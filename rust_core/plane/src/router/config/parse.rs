//! Defaults and units that several sections share.

use std::{str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::address::Address;

pub fn one() -> usize {
    1
}

pub fn two() -> usize {
    2
}

pub fn second() -> Duration {
    Duration::from_secs(1)
}

pub fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

pub fn minute() -> Duration {
    Duration::from_secs(60)
}

pub fn address<'de, D: Deserializer<'de>>(from: D) -> Result<Address, D::Error> {
    Address::from_str(&String::deserialize(from)?).map_err(D::Error::custom)
}

pub fn addresses<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Address>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    texts.iter().map(|text| Address::from_str(text).map_err(D::Error::custom)).collect()
}

pub fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(D::Error::custom)
}

pub fn some_seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let seconds = Option::<f64>::deserialize(from)?;
    seconds.map(Duration::try_from_secs_f64).transpose().map_err(D::Error::custom)
}
