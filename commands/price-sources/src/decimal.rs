//! Decimal text to a price in units of 10^-8, digit by digit: no price ever passes through a float.
//!
//! Accepts the numbers of JSON (RFC 8259). What lies beyond the eighth decimal is rounded half to even,
//! because an aggregating venue sends all the digits of its own float; a price that rounds to zero is no
//! price.

use nsl_schemas::number::PriceE8;

/// Decimals of a [`PriceE8`].
const SCALE: i32 = 8;

/// Longest accepted text: a double needs 24 characters, the longest seen from a venue has 22; 64 leaves room.
const TEXT_BYTES_MAX: usize = 64;

/// Largest accepted exponent, up or down: a u64 of 10^-8 spans 20 digits, so anything beyond is no price, and
/// the bound keeps the number of appended zeros small.
const EXPONENT_MAX: i32 = 99;

/// Why a text is not a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a JSON number.
    #[error("not a decimal number")]
    Malformed,
    /// Longer than any honest number.
    #[error("longer than {TEXT_BYTES_MAX} characters")]
    TooLong,
    /// Below zero.
    #[error("negative")]
    Negative,
    /// Zero, or less than half of 10^-8.
    #[error("zero to eight decimals")]
    Zero,
    /// More than a [`PriceE8`] holds.
    #[error("greater than 184467440737.09551615")]
    TooLarge,
}

/// Reads a positive price.
pub fn parse(text: &str) -> Result<PriceE8, Error> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Error::TooLong);
    }
    let (negative, unsigned) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (digits, exponent) = split(unsigned).ok_or(Error::Malformed)?;
    if negative {
        return Err(Error::Negative);
    }
    if digits.is_empty() {
        return Err(Error::Zero);
    }
    match scaled(&digits, exponent.ok_or(Error::TooLarge)? + SCALE)? {
        0 => Err(Error::Zero),
        price => Ok(PriceE8(price)),
    }
}

/// The significant digits without leading zeros, and the power of ten of the last one; the power is `None`
/// when it is beyond [`EXPONENT_MAX`] upwards. `None` in whole when the text is not a JSON number.
fn split(unsigned: &str) -> Option<(String, Option<i32>)> {
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (mantissa, ""),
    };
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = whole.len() > 1 && whole.starts_with('0');
    if whole.is_empty() || leading_zero || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let digits = format!("{whole}{fraction}").trim_start_matches('0').to_owned();
    let decimals = i32::try_from(fraction.len()).ok()?;
    Some((digits, (exponent <= EXPONENT_MAX).then_some(exponent - decimals)))
}

/// An exponent beyond the bound reads as just beyond it: what it means (too large, or zero) no longer depends
/// on it.
fn parse_exponent(text: &str) -> Option<i32> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let size = digits.parse().unwrap_or(EXPONENT_MAX + 1).min(EXPONENT_MAX + 1);
    Some(if negative { -size } else { size })
}

/// `digits` × 10^`shift` as an integer, rounded half to even.
fn scaled(digits: &str, shift: i32) -> Result<u64, Error> {
    let places = usize::try_from(shift.unsigned_abs()).map_err(|_| Error::TooLarge)?;
    if shift >= 0 {
        return format!("{digits}{}", "0".repeat(places)).parse().map_err(|_| Error::TooLarge);
    }
    // With fewer digits than places to drop, the value is below a tenth.
    let Some(kept_length) = digits.len().checked_sub(places) else { return Ok(0) };
    let (kept, dropped) = digits.split_at(kept_length);
    let kept: u64 = if kept.is_empty() { 0 } else { kept.parse().map_err(|_| Error::TooLarge)? };
    let half = dropped.starts_with('5') && dropped.bytes().skip(1).all(|digit| digit == b'0');
    let up = if half { kept % 2 == 1 } else { dropped.as_bytes().first() >= Some(&b'5') };
    kept.checked_add(u64::from(up)).ok_or(Error::TooLarge)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_exactly_and_rounds_half_to_even() {
        for (text, expected) in [
            ("2.56", Ok(256_000_000)),
            ("0.00000001", Ok(1)),
            ("12", Ok(1_200_000_000)),
            ("12.0", Ok(1_200_000_000)),
            ("1e2", Ok(10_000_000_000)),
            ("1.5E-3", Ok(150_000)),
            ("2.5e+0", Ok(250_000_000)),
            ("0.1", Ok(10_000_000)),
            // 0.1 + 0.2 as a float prints so; exact here.
            ("0.30000000000000004", Ok(30_000_000)),
            ("0.000000015", Ok(2)),
            ("0.000000025", Ok(2)),
            ("0.0000000250000001", Ok(3)),
            ("0.000000005", Err(Error::Zero)),
            ("0.0000000051", Ok(1)),
            ("184467440737.09551615", Ok(u64::MAX)),
            ("184467440737.095516154", Ok(u64::MAX)),
            ("184467440737.095516155", Err(Error::TooLarge)),
            ("184467440737.09551616", Err(Error::TooLarge)),
            ("1e30", Err(Error::TooLarge)),
            ("1e99999999999999999999", Err(Error::TooLarge)),
            ("1e-99999999999999999999", Err(Error::Zero)),
            ("0e99999999999999999999", Err(Error::Zero)),
            ("0", Err(Error::Zero)),
            ("0.00", Err(Error::Zero)),
            ("-1", Err(Error::Negative)),
            ("-0.0", Err(Error::Negative)),
        ] {
            assert_eq!(parse(text).map(|price| price.0), expected, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_a_json_number() {
        for text in [
            "",
            "-",
            "NaN",
            "Infinity",
            "-Infinity",
            "null",
            "true",
            "\"2.5\"",
            " 2.5",
            "2.5 ",
            "+2.5",
            ".5",
            "5.",
            "02.5",
            "2,5",
            "2.5.1",
            "1e",
            "1e+",
            "1e1.5",
            "e5",
            "0x10",
            "1_000",
            "٣",
            "2.5\0",
            "--1",
        ] {
            assert_eq!(parse(text), Err(Error::Malformed), "{text:?}");
        }
        assert_eq!(parse(&"1".repeat(TEXT_BYTES_MAX + 1)), Err(Error::TooLong));
    }

    /// The same by integer arithmetic: mantissa × 10^shift with the remainder compared to half of the
    /// divisor.
    fn by_arithmetic(mantissa: u128, shift: i32) -> Option<u64> {
        let power = 10_u128.pow(shift.unsigned_abs());
        let value = if shift >= 0 {
            mantissa.checked_mul(power)?
        } else {
            let (quotient, remainder) = (mantissa / power, mantissa % power);
            let up = remainder * 2 > power || (remainder * 2 == power && quotient % 2 == 1);
            quotient + u128::from(up)
        };
        u64::try_from(value).ok()
    }

    proptest! {
        #[test]
        fn agrees_with_integer_arithmetic(
            mantissa in prop_oneof![0..10_u128.pow(6), 0..10_u128.pow(28)],
            decimals in 0_usize..=28,
            exponent in -8_i32..=12,
        ) {
            let digits = format!("{mantissa:0width$}", width = decimals + 1);
            let (whole, fraction) = digits.split_at(digits.len() - decimals);
            let point = if fraction.is_empty() { "" } else { "." };
            let text = format!("{whole}{point}{fraction}e{exponent}");
            let shift = exponent + SCALE - i32::try_from(decimals).unwrap();
            let expected = match by_arithmetic(mantissa, shift) {
                Some(0) => Err(Error::Zero),
                Some(price) => Ok(PriceE8(price)),
                None => Err(Error::TooLarge),
            };
            prop_assert_eq!(parse(&text), expected, "{}", text);
        }

        #[test]
        fn reads_back_every_price_written_with_eight_decimals(price in 1_u64..) {
            let text = format!("{}.{:08}", price / 100_000_000, price % 100_000_000);
            prop_assert_eq!(parse(&text), Ok(PriceE8(price)));
        }

        #[test]
        fn never_panics(text in ".{0,70}") {
            let _ = parse(&text);
        }
    }
}
