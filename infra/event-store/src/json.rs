//! Refuses JSON text that a later reader could not read: what is appended is there for ever, and one unreadable event
//! would make its whole stream unloadable.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Checks the text with the very parser that reads it back, its nesting bound (128) included, and keeps nothing.
pub(crate) fn check(text: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str::<Readable>(text).map(|Readable| ())
}

/// Any JSON value, read to its end and forgotten. `serde::de::IgnoredAny` would skip nesting bound and escapes.
struct Readable;

impl<'de> Deserialize<'de> for Readable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReadableVisitor)
    }
}

struct ReadableVisitor;

impl<'de> Visitor<'de> for ReadableVisitor {
    type Value = Readable;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_str<E>(self, _: &str) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Readable, A::Error> {
        while elements.next_element::<Readable>()?.is_some() {}
        Ok(Readable)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Readable, A::Error> {
        while members.next_entry::<Readable, Readable>()?.is_some() {}
        Ok(Readable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_exactly_what_is_read_back() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let table = [
            (r#"{"a":[1,-2,3.5,"\u00e9",null,true,{}]}"#.to_owned(), true),
            (" 1 ".to_owned(), true),
            (deep(127), true),
            (deep(128), false),
            (deep(100_000), false),
            (String::new(), false),
            ("{".to_owned(), false),
            ("{}{}".to_owned(), false),
            (r#"{"a":01}"#.to_owned(), false),
            (r#""\ud800""#.to_owned(), false),
            ("\"\u{1}\"".to_owned(), false),
            ("1e400".to_owned(), false),
            ("NaN".to_owned(), false),
        ];
        for (text, readable) in table {
            let shown: String = text.chars().take(40).collect();
            assert_eq!(check(&text).is_ok(), readable, "{shown}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), readable, "{shown}");
        }
    }
}
