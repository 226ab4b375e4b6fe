//! The rules that look at one transaction, each with what makes it unsound and the one denial that it may answer.

pub(crate) mod asset;
pub(crate) mod contract;
pub(crate) mod fee;
pub(crate) mod last_block;
pub(crate) mod network;
pub(crate) mod recipient;
pub(crate) mod scope;

/// Whether `text` is the one text that names its value: rules compare texts.
pub(crate) fn is_canonical<T: std::str::FromStr + std::fmt::Display>(text: &str) -> bool {
    text.parse::<T>().is_ok_and(|value| value.to_string() == text)
}
