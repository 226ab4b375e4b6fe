//! Reading and writing message headers without panics: single-valued, bounded.

use async_nats::{HeaderMap, HeaderName, HeaderValue};

/// A header that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not there.
    #[error("header {name} is missing")]
    Missing {
        /// The header.
        name: String,
    },
    /// It is there more than once, so two readers could see two values.
    #[error("header {name} is repeated")]
    Repeated {
        /// The header.
        name: String,
    },
    /// Its value is too long.
    #[error("header {name} is longer than {limit_bytes} bytes")]
    TooLong {
        /// The header.
        name: String,
        /// The limit.
        limit_bytes: usize,
    },
    /// Its name or value has characters that no header may have.
    #[error("header {name} has a malformed name or value")]
    Malformed {
        /// The header.
        name: String,
    },
}

/// The one value of `name`, or none. Names are compared as they are, case included, as NATS does.
pub fn optional<'a>(
    headers: Option<&'a HeaderMap>,
    name: &str,
    limit_bytes: usize,
) -> Result<Option<&'a str>, Error> {
    let mut values = headers
        .into_iter()
        .flat_map(HeaderMap::iter)
        .filter(|(found, _)| AsRef::<str>::as_ref(*found) == name)
        .flat_map(|(_, values)| values);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Error::Repeated { name: name.to_owned() });
    }
    let value = value.as_str();
    if value.len() > limit_bytes {
        return Err(Error::TooLong { name: name.to_owned(), limit_bytes });
    }
    Ok(Some(value))
}

/// The one value of `name`, which must be there.
pub fn required<'a>(
    headers: Option<&'a HeaderMap>,
    name: &str,
    limit_bytes: usize,
) -> Result<&'a str, Error> {
    optional(headers, name, limit_bytes)?.ok_or_else(|| Error::Missing { name: name.to_owned() })
}

/// Sets `name` to one value.
pub fn set(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Error> {
    let malformed = || Error::Malformed { name: name.to_owned() };
    if name.is_empty() {
        return Err(malformed());
    }
    let parsed_name: HeaderName = name.parse().map_err(|_| malformed())?;
    let parsed_value: HeaderValue = value.parse().map_err(|_| malformed())?;
    headers.insert(parsed_name, parsed_value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT_BYTES: usize = 8;

    #[test]
    fn a_value_is_read_only_if_it_is_single_and_bounded() {
        let mut headers = HeaderMap::new();
        set(&mut headers, "Nsl-Id", "12345678").unwrap();
        set(&mut headers, "Nsl-Long", "123456789").unwrap();
        headers.append("Nsl-Twice", "a");
        headers.append("Nsl-Twice", "b");
        let read = |name: &str| required(Some(&headers), name, LIMIT_BYTES);

        assert_eq!(read("Nsl-Id"), Ok("12345678"));
        assert_eq!(read("nsl-id"), Err(Error::Missing { name: "nsl-id".to_owned() }));
        assert_eq!(read("Nsl-Twice"), Err(Error::Repeated { name: "Nsl-Twice".to_owned() }));
        assert_eq!(read("Nsl-Long"), Err(Error::TooLong { name: "Nsl-Long".to_owned(), limit_bytes: 8 }));
        assert_eq!(optional(None, "Nsl-Id", LIMIT_BYTES), Ok(None));
    }

    #[test]
    fn what_would_break_the_protocol_is_refused_and_changes_nothing() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("Nsl-Id", "a\r\nEvil: 1"), ("Nsl-Id", "a\nb"), ("Nsl Id", "a"), ("Nsl:Id", "a"), ("", "a")]
        {
            assert!(
                matches!(set(&mut headers, name, value), Err(Error::Malformed { .. })),
                "{name:?} {value:?}"
            );
        }
        assert!(headers.is_empty());
    }
}
