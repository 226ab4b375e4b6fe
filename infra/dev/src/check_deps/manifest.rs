//! What every manifest of a member says the same way: one lint set, versions in the root alone.

use toml::{Table, Value};

const DEPENDENCY_TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
const INHERITED: [&str; 5] = ["version", "edition", "rust-version", "license", "publish"];

/// Everything in one manifest that should stand in the root.
pub(super) fn violations(package: &str, manifest: &Table) -> Vec<String> {
    let mut found = Vec::new();
    if !inherits(manifest.get("lints")) {
        found.push(format!("{package} lacks `[lints] workspace = true`"));
    }
    for key in INHERITED {
        if !inherits(manifest.get("package").and_then(|table| table.get(key))) {
            found.push(format!("{package} lacks `{key}.workspace = true`"));
        }
    }
    for (name, dependency) in dependency_tables(manifest).into_iter().flatten() {
        if !inherits(Some(dependency)) {
            found.push(format!("{package} gives {name} a version of its own: say `workspace = true`"));
        }
    }
    found
}

fn inherits(value: Option<&Value>) -> bool {
    value.and_then(|value| value.get("workspace")).and_then(Value::as_bool) == Some(true)
}

/// The tables of the crate and those of its targets.
fn dependency_tables(manifest: &Table) -> Vec<&Table> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let of_targets = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
    let holders = std::iter::once(manifest).chain(of_targets);
    holders
        .flat_map(|holder| DEPENDENCY_TABLES.iter().filter_map(|name| holder.get(*name)?.as_table()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
        package = { name = 'a', version.workspace = true, edition.workspace = true, \
        rust-version.workspace = true, license.workspace = true, publish.workspace = true }
        lints.workspace = true
        ";

    #[test]
    fn only_the_root_has_versions_and_lints() {
        for (addition, expected) in [
            ("dependencies.serde = { workspace = true, features = ['rc'] }", 0),
            ("dependencies.serde = '1'", 1),
            ("dev-dependencies.serde = { version = '1' }", 1),
            ("build-dependencies.serde = { path = '../serde' }", 1),
            ("target.'cfg(unix)'.dependencies.serde = '1'", 1),
        ] {
            let manifest = format!("{GOOD}{addition}").parse().unwrap();
            assert_eq!(violations("a", &manifest).len(), expected, "{addition}");
        }
        let bare = "package = { name = 'a', version = '1.0.0' }".parse().unwrap();
        assert_eq!(violations("a", &bare).len(), 1 + INHERITED.len());
    }
}
