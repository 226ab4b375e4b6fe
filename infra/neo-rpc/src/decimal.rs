//! Integers that nodes write as decimal strings, because JSON numbers lose precision.

use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

pub(crate) fn deserialize<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}
