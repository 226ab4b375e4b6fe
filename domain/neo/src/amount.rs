//! Token amounts between people's decimals and the chain's integers, without floating point.

/// Most decimal places of a token: more do not fit into the integer.
pub const DECIMALS_LIMIT: u8 = 38;

/// Longest text taken: 39 digits and a point need 40 characters, and leading zeros some more.
pub const TEXT_CHARS_LIMIT: usize = 80;

/// Why text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is empty or too long.
    #[error("an amount has 1 to 80 characters")]
    Length,
    /// The text is not digits with at most one point between them.
    #[error("an amount is digits, with a point and more digits if needed")]
    Syntax,
    /// The amount is finer than the token's smallest unit.
    #[error("{found} decimal places, but the token has {decimals}")]
    TooPrecise {
        /// Places in the text.
        found: usize,
        /// Places of the token.
        decimals: u8,
    },
    /// The amount is over what 128 bits hold.
    #[error("the amount is too large")]
    TooLarge,
    /// The token has more places than are supported.
    #[error("at most 38 decimal places are supported, not {0}")]
    Decimals(u8),
}

/// Reads an amount in whole tokens as the number of smallest units.
pub fn parse(text: &str, decimals: u8) -> Result<u128, Error> {
    check_decimals(decimals)?;
    if text.is_empty() || text.len() > TEXT_CHARS_LIMIT {
        return Err(Error::Length);
    }
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return Err(Error::Syntax),
        None => (text, ""),
    };
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return Err(Error::Syntax);
    }
    let missing = usize::from(decimals)
        .checked_sub(fraction.len())
        .ok_or(Error::TooPrecise { found: fraction.len(), decimals })?;
    whole
        .bytes()
        .chain(fraction.bytes())
        .chain(std::iter::repeat_n(b'0', missing))
        .try_fold(0_u128, |sum, digit| sum.checked_mul(10)?.checked_add(u128::from(digit - b'0')))
        .ok_or(Error::TooLarge)
}

/// Writes a number of smallest units in whole tokens, without trailing zeros.
pub fn format(units: u128, decimals: u8) -> Result<String, Error> {
    check_decimals(decimals)?;
    let scale = 10_u128.pow(u32::from(decimals));
    let (whole, fraction) = (units / scale, units % scale);
    if fraction == 0 {
        return Ok(whole.to_string());
    }
    let digits = format!("{fraction:0width$}", width = usize::from(decimals));
    Ok(format!("{whole}.{}", digits.trim_end_matches('0')))
}

/// 10³⁸ is the highest power of ten below 2¹²⁸.
fn check_decimals(decimals: u8) -> Result<(), Error> {
    if decimals > DECIMALS_LIMIT { Err(Error::Decimals(decimals)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_read_as_smallest_units() {
        for (text, decimals, expected) in [
            ("1", 8, Ok(100_000_000)),
            ("0.00000001", 8, Ok(1)),
            ("0001.50", 8, Ok(150_000_000)),
            ("12", 0, Ok(12)),
            ("340282366920938463463374607431768211455", 0, Ok(u128::MAX)),
            ("340282366920938463463374607431768211456", 0, Err(Error::TooLarge)),
            ("0.000000001", 8, Err(Error::TooPrecise { found: 9, decimals: 8 })),
            ("1.0", 0, Err(Error::TooPrecise { found: 1, decimals: 0 })),
            ("", 8, Err(Error::Length)),
            (".5", 8, Err(Error::Syntax)),
            ("5.", 8, Err(Error::Syntax)),
            ("1.2.3", 8, Err(Error::Syntax)),
            ("-1", 8, Err(Error::Syntax)),
            ("+1", 8, Err(Error::Syntax)),
            ("1e3", 8, Err(Error::Syntax)),
            ("1,5", 8, Err(Error::Syntax)),
            ("١", 8, Err(Error::Syntax)),
            ("1", 39, Err(Error::Decimals(39))),
        ] {
            assert_eq!(parse(text, decimals), expected, "{text}");
        }
        assert_eq!(parse(&"0".repeat(81), 8), Err(Error::Length));
    }

    proptest! {
        #[test]
        fn written_amounts_read_back(units in any::<u128>(), decimals in 0_u8..=38) {
            let text = format(units, decimals).unwrap();
            prop_assert_eq!(parse(&text, decimals), Ok(units));
        }

        #[test]
        fn any_text_is_answered(text in ".{0,100}", decimals in any::<u8>()) {
            let _ = parse(&text, decimals);
        }
    }
}
