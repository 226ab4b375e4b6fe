//! No file grows beyond what a reader can hold: the tests in it do not count.

use std::path::{Path, PathBuf};

use super::{Error, read};

/// The wall; 200 is the aim.
const LINES_MAX: usize = 500;
/// Folders without source of ours, or with tests only.
const SKIPPED: [&str; 4] = ["target", "tests", "node_modules", ".nsl"];
/// Deeper than any module is; stops at a cycle of links.
const DEPTH_MAX: usize = 16;

/// Every file above the wall.
pub(super) fn violations(root: &Path) -> Result<Vec<String>, Error> {
    let mut files = Vec::new();
    collect(root, DEPTH_MAX, &mut files)?;
    files.sort();
    let mut found = Vec::new();
    for path in files {
        let lines = counted_lines(&read(&path)?);
        if lines > LINES_MAX {
            let name = path.strip_prefix(root).unwrap_or(&path).display();
            found.push(format!("{name} has {lines} lines without its tests, {LINES_MAX} are allowed"));
        }
    }
    Ok(found)
}

fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let failed = |source| Error::Read { path: folder.to_owned(), source };
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if entry.file_type().map_err(failed)?.is_dir() {
            if depth > 0 && !name.starts_with('.') && !SKIPPED.contains(&name.as_ref()) {
                collect(&path, depth - 1, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") && name != "tests.rs" {
            files.push(path);
        }
    }
    Ok(())
}

/// Lines up to the tests, which stand at the end of a file.
fn counted_lines(source: &str) -> usize {
    let lines: Vec<&str> = source.lines().collect();
    let is_tests = |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ");
    lines.windows(2).position(is_tests).unwrap_or(lines.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_do_not_count_but_code_does() {
        let code = "let a = 1;\n".repeat(LINES_MAX);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "a();\n".repeat(LINES_MAX));
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("a/src")).unwrap();
        std::fs::create_dir_all(folder.path().join("a/tests")).unwrap();
        let write = |name: &str, content: &str| std::fs::write(folder.path().join(name), content).unwrap();
        write("a/src/fits.rs", &format!("{code}{tests}"));
        write("a/tests/it.rs", &code.repeat(2));
        assert_eq!(violations(folder.path()).unwrap(), [""; 0]);
        write("a/src/long.rs", &format!("{code}// one more\n{tests}"));
        let found = violations(folder.path()).unwrap();
        assert_eq!(found, ["a/src/long.rs has 501 lines without its tests, 500 are allowed"]);
    }
}
