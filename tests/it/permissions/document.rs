//! The expected matrix, as people read it: Markdown tables, a column a role.

use std::path::Path;

/// One cell: what `role` may do with `object`.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) role: String,
    pub(super) object: String,
    pub(super) allowed: String,
}

/// `infra/docs/permissions.md`.
pub(super) struct Document(String);

impl Document {
    pub(super) fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        Self(std::fs::read_to_string(root.join("infra/docs/permissions.md")).unwrap())
    }

    /// The cells of the table under a heading.
    pub(super) fn cells(&self, heading: &str) -> Vec<Cell> {
        let section = self.0.split("\n## ").find(|section| section.lines().next() == Some(heading));
        let section = section.unwrap_or_else(|| panic!("the document has no heading {heading}"));
        let mut rows = section.lines().filter(|line| line.starts_with('|')).map(columns);
        let roles = rows.next().unwrap();
        let mut cells = Vec::new();
        for row in rows.skip(1) {
            assert_eq!(row.len(), roles.len(), "{row:?}");
            let named = roles.iter().zip(&row).skip(1);
            cells.extend(named.map(|(role, allowed)| Cell {
                role: role.clone(),
                object: row[0].clone(),
                allowed: allowed.clone(),
            }));
        }
        assert!(!cells.is_empty(), "{heading}");
        cells
    }
}

fn columns(line: &str) -> Vec<String> {
    line.trim_matches('|').split('|').map(|column| column.trim().trim_matches('`').to_owned()).collect()
}

/// What was tried.
#[derive(Default)]
pub(super) struct Tried {
    pub(super) cells: usize,
    pub(super) allowed: usize,
    pub(super) mismatches: Vec<String>,
}

impl Tried {
    pub(super) fn add(&mut self, cell: &Cell, what: &str, expected: bool, found: bool) {
        self.cells += 1;
        self.allowed += usize::from(found);
        if expected != found {
            let Cell { role, object, .. } = cell;
            self.mismatches.push(format!("{role} {what} {object}: expected {expected}, found {found}"));
        }
    }
}
