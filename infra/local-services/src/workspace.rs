//! Where the checked-out workspace is.

use std::path::{Path, PathBuf};

/// The folder of the nearest manifest at or above `start` that declares a workspace.
pub fn workspace_root(start: &Path) -> Option<PathBuf> {
    let declares = |folder: &&Path| {
        std::fs::read_to_string(folder.join("Cargo.toml"))
            .is_ok_and(|manifest| manifest.lines().any(|line| line.trim() == "[workspace]"))
    };
    start.ancestors().find(declares).map(Path::to_owned)
}
