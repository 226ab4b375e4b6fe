//! Writes rows by COPY, many at once: columns are the fields of the row's type, in Postgres' text format.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};
use sqlx::postgres::PgConnection;

/// Text sent at once: far above what a packet holds, far below what matters in memory.
const MESSAGE_BYTES: usize = 256 * 1024;

/// Copies rows into a table; all or none within the transaction.
pub(crate) async fn rows<'a, R: Serialize + 'a>(
    transaction: &mut PgConnection,
    table: &str,
    rows: impl Iterator<Item = &'a R>,
) -> Result<(), sqlx::Error> {
    let rows = rows.map(fields).collect::<Result<Vec<_>, _>>()?;
    let columns: BTreeSet<&str> = rows.iter().flat_map(Map::keys).map(String::as_str).collect();
    let names: Vec<String> = columns.iter().map(|column| format!("\"{column}\"")).collect();
    let statement = format!("COPY {table} ({}) FROM STDIN", names.join(","));
    let mut copy = transaction.copy_in_raw(&statement).await?;
    let mut text = String::new();
    for row in &rows {
        write_row(&mut text, row, &columns);
        if text.len() >= MESSAGE_BYTES {
            copy.send(text.as_bytes()).await?;
            text.clear();
        }
    }
    if !text.is_empty() {
        copy.send(text.as_bytes()).await?;
    }
    copy.finish().await?;
    Ok(())
}

fn fields<R: Serialize>(row: &R) -> Result<Map<String, Value>, sqlx::Error> {
    match serde_json::to_value(row) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => Err(sqlx::Error::Encode(format!("a row is an object, not {other}").into())),
        Err(error) => Err(sqlx::Error::Encode(error.into())),
    }
}

fn write_row(text: &mut String, row: &Map<String, Value>, columns: &BTreeSet<&str>) {
    for (index, column) in columns.iter().enumerate() {
        if index > 0 {
            text.push('\t');
        }
        match row.get(*column) {
            None | Some(Value::Null) => text.push_str("\\N"),
            Some(Value::String(value)) => escape(text, value),
            Some(value) => escape(text, &value.to_string()),
        }
    }
    text.push('\n');
}

/// The characters that mean something to COPY; the rest is itself.
fn escape(text: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_is_a_line_whatever_its_values_hold() {
        let row = json!({"a": "tab\tline\nback\\slash\r", "b": null, "c": 7, "d": {"x": "\n"}, "e": "\\N"});
        let Value::Object(row) = row else { unreachable!() };
        let columns = BTreeSet::from(["a", "b", "c", "d", "e", "f"]);
        let mut text = String::new();
        write_row(&mut text, &row, &columns);
        assert_eq!(text, "tab\\tline\\nback\\\\slash\\r\t\\N\t7\t{\"x\":\"\\\\n\"}\t\\\\N\t\\N\n");
    }
}
