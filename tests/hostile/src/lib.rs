//! A hostile parent: whoever owns the machine around the workers, the bus and the database, and tries to get more than
//! the signed orders, the policies and the operators' acts allow.
//!
//! The attacked workers are real processes behind real sockets; the other judges (`decide`, the clients) are the shipped
//! functions. Every attack says beforehand what stops it and where, and is asserted. `cargo dev hostile` prints the matrix.

mod attacks;
mod ledger;
mod matrix;
mod parent;
mod planted;
mod worker;

use std::path::Path;

use anyhow::Context as _;

pub use attacks::FAMILIES;
pub use matrix::{Attack, Expected, Family, Finding, Matrix, Mode, Row, Verdict};
use parent::Parent;
pub use planted::Planted;

/// Tries every attack on workers that run `program`, a worker with the feature `development`; with a planted weakness,
/// on a worker that has it.
pub async fn run(program: &Path, planted: Option<Planted>) -> anyhow::Result<Matrix> {
    let mut matrix = Matrix::default();
    for family in FAMILIES {
        let parent = Parent::start(program, family.sealing_provider, planted).await?;
        for attack in family.attacks {
            for mode in attack.modes {
                let finding = (attack.attempt)(&parent, *mode).await;
                let finding =
                    finding.with_context(|| format!("{}: {} ({mode})", family.name, attack.name))?;
                matrix.rows.push(Row { family: family.name, attack, mode: *mode, finding });
            }
        }
    }
    Ok(matrix)
}
