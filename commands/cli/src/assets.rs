//! Assets and amounts as people write them: `1.5 GAS`, `3 NEO`, or a contract's hash with its smallest units.

use nsl_neo::{Hash160, amount, native};
use nsl_schemas::number::{Amount, Datoshi};

use crate::error::Error;

/// Places of a price.
pub(crate) const PRICE_DECIMALS: u8 = 8;

/// A NEP-17 asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asset {
    hash: Hash160,
    name: Option<&'static str>,
    decimals: u8,
}

impl Asset {
    /// Reads `NEO`, `GAS` or `0x…`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "NEO" => Ok(Self { hash: native::NEO, name: Some("NEO"), decimals: native::NEO_DECIMALS }),
            "GAS" => Ok(Self { hash: native::GAS, name: Some("GAS"), decimals: native::GAS_DECIMALS }),
            _ => {
                let hash: Hash160 =
                    text.parse().map_err(|_| "expected NEO, GAS or a contract's hash (0x…)".to_owned())?;
                let known = [("NEO", native::NEO), ("GAS", native::GAS)];
                match known.iter().find(|(_, known)| *known == hash) {
                    Some((name, _)) => Self::parse(name),
                    // The decimals of other contracts are not known here: amounts are in smallest units.
                    None => Ok(Self { hash, name: None, decimals: 0 }),
                }
            }
        }
    }

    /// The contract's hash, `0x…`.
    pub(crate) fn hash(&self) -> String {
        self.hash.to_string()
    }

    /// Reads an amount of this asset.
    pub(crate) fn parse_amount(&self, text: &str) -> Result<Amount, Error> {
        let units = amount::parse(text, self.decimals);
        units.map(Amount).map_err(|error| Error::Input(format!("amount {text:?}: {error}")))
    }

    /// `1.5 GAS`, or the smallest units and the hash of a contract that is not known here.
    pub(crate) fn show(&self, units: Amount) -> String {
        let name = self.name.map_or_else(|| self.hash(), str::to_owned);
        format!("{} {name}", show_units(units.0, self.decimals))
    }
}

/// `1.5 GAS` for the hash that a service names, or the raw value for what is no asset.
pub(crate) fn show_amount(asset: &str, units: Amount) -> String {
    Asset::parse(asset).map_or_else(|_| format!("{units} {asset}"), |known| known.show(units))
}

/// A GAS amount.
pub(crate) fn show_gas(datoshi: Datoshi) -> String {
    format!("{} GAS", show_units(u128::from(datoshi.0), native::GAS_DECIMALS))
}

/// An integer with `decimals` places, or the plain integer when no token has so many.
pub(crate) fn show_units(units: u128, decimals: u8) -> String {
    amount::format(units, decimals).unwrap_or_else(|_| units.to_string())
}

/// Reads `ASSET=AMOUNT`.
pub(crate) fn parse_bound(text: &str) -> Result<(Asset, String), String> {
    let (asset, amount) = text.split_once('=').ok_or("expected ASSET=AMOUNT, as GAS=10")?;
    let asset = Asset::parse(asset)?;
    asset.parse_amount(amount).map_err(|error| error.to_string())?;
    Ok((asset, amount.to_owned()))
}

/// Reads a GAS amount as datoshi.
pub(crate) fn parse_gas(text: &str) -> Result<Datoshi, String> {
    let units = amount::parse(text, native::GAS_DECIMALS).map_err(|error| error.to_string())?;
    u64::try_from(units).map(Datoshi).map_err(|_| "more GAS than there can be".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_in_the_unit_of_their_asset() {
        let other = "0x1234567890123456789012345678901234567890";
        for (asset, text, units) in [
            ("GAS", "1.5", Some(150_000_000)),
            ("GAS", "0.00000001", Some(1)),
            ("GAS", "0.000000001", None),
            ("GAS", "-1", None),
            ("GAS", "1e3", None),
            ("NEO", "3", Some(3)),
            ("NEO", "1.5", None),
            (other, "42", Some(42)),
            (other, "4.2", None),
        ] {
            let read = Asset::parse(asset).unwrap().parse_amount(text);
            assert_eq!(read.ok().map(|amount| amount.0), units, "{text} {asset}");
        }
    }

    #[test]
    fn natives_are_known_by_name_and_by_hash() {
        let gas = Asset::parse("GAS").unwrap();
        assert_eq!(gas.hash(), "0xd2a4cff31913016155e38e474a2c06d08be276cf");
        assert_eq!(Asset::parse(&gas.hash()).unwrap(), gas);
        assert_eq!(gas.show(Amount(150_000_000)), "1.5 GAS");
        for text in ["gas", "BTC", "0x12", ""] {
            assert!(Asset::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bounds_name_an_asset_and_an_amount() {
        assert_eq!(parse_bound("GAS=1.5").unwrap().0, Asset::parse("GAS").unwrap());
        for text in ["GAS", "GAS=", "=1", "GAS=x", "NEO=0.5"] {
            assert!(parse_bound(text).is_err(), "{text}");
        }
        assert_eq!(parse_gas("0.1"), Ok(Datoshi(10_000_000)));
        assert!(parse_gas("999999999999").is_err());
    }
}
