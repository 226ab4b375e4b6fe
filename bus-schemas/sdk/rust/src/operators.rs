//! What the operators decided, asked of the service and proven by the manifest that the asker trusts.
//!
//! Acts carry signatures and the hash of the one before, so the service can withhold the newest and nothing else. Who wants
//! to be sure of the newest compares the head with the operators'.

use nsl_schemas::authority::{ActError, GenesisManifest, OperatorStatement, Operators, Signed};
use nsl_schemas::query::{Page, PageRequest, name};

use crate::{Client, QueryError};

/// Acts of one question. An answer holds at most a megabyte, an act with all keys and signatures there may be 10 KiB.
const ACTS_PER_PAGE: u32 = 64;

/// Why it is not known what the operators decided.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The service did not tell.
    #[error("operators' acts are not told")]
    Query(#[from] QueryError),
    /// What it told does not follow from the manifest.
    #[error("act {sequence} of the operators does not hold")]
    Act {
        /// The number that it claims.
        sequence: u32,
        /// Why.
        #[source]
        source: ActError,
    },
}

impl Client {
    /// All that the operators decided since the manifest.
    pub async fn operators(&self, genesis: &GenesisManifest) -> Result<Operators, Error> {
        let mut operators = Operators::of_genesis(genesis);
        self.follow_operators(&mut operators).await?;
        Ok(operators)
    }

    /// Takes in what the operators decided since, and returns the acts.
    pub async fn follow_operators(
        &self,
        operators: &mut Operators,
    ) -> Result<Vec<Signed<OperatorStatement>>, Error> {
        let mut acts = Vec::new();
        loop {
            let after = Some(operators.sequence().to_string());
            let question = PageRequest { limit: ACTS_PER_PAGE, after };
            let page: Page<Signed<OperatorStatement>> =
                self.query(self.tenant(), name::OPERATOR_ACTS, &question).await?;
            if page.data.is_empty() {
                return Ok(acts);
            }
            for act in page.data {
                let sequence = act.statement.sequence;
                let followed = operators.follow(std::slice::from_ref(&act));
                followed.map_err(|source| Error::Act { sequence, source })?;
                acts.push(act);
            }
        }
    }
}
