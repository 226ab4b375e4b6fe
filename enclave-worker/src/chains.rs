//! Grant chains whose signatures were verified: most jobs of a client carry the same one, and two Ed25519 verifications
//! cost as much as signing. Only a chain equal in every part is known again, and only while the operators decided nothing
//! further; whether it is in force, and for whom, is judged for each job.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use nsl_schemas::authority::{ChainError, GrantChain, Operators};
use nsl_schemas::bytes::Sha256;
use nsl_schemas::canonical;
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::subject::CommandSubject;

/// Issuers whose chain is kept, the last used ones.
const CHAINS_MAX: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");
/// A longer chain is verified anew each time, so that all of them take 4 MiB at most.
const CHAIN_BYTES_MAX: usize = 16 * 1024;

/// A chain with the operators' last act when it was verified.
type Verified = (Sha256, GrantChain);

/// The chains of one log, by the key that they grant to.
#[derive(Debug)]
pub(crate) struct Chains(Mutex<LruCache<PublicKey, Verified>>);

impl Default for Chains {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(CHAINS_MAX)))
    }
}

impl Chains {
    /// Checks every link of `chain`, and that it lets `issuer` issue `subject` at `now_ms`.
    pub(crate) fn authorise(
        &self,
        chain: &GrantChain,
        operators: &Operators,
        issuer: PublicKey,
        subject: &CommandSubject,
        now_ms: u64,
    ) -> Result<(), ChainError> {
        let head_sha256 = operators.head_sha256();
        if !self.is_known(head_sha256, chain) {
            chain.is_genuine(operators)?;
            self.remember(head_sha256, chain);
        }
        chain.allows(issuer, subject, now_ms)
    }

    fn is_known(&self, head_sha256: Sha256, chain: &GrantChain) -> bool {
        let mut chains = self.chains();
        let known = chains.get(&chain.grant.statement.key);
        known.is_some_and(|(head, verified)| *head == head_sha256 && verified == chain)
    }

    fn remember(&self, head_sha256: Sha256, chain: &GrantChain) {
        if canonical::to_string(chain).len() <= CHAIN_BYTES_MAX {
            self.chains().put(chain.grant.statement.key, (head_sha256, chain.clone()));
        }
    }

    /// No code panics while it holds the chains, so a poisoned lock would still guard whole ones.
    fn chains(&self) -> MutexGuard<'_, LruCache<PublicKey, Verified>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use nsl_schemas::authority::{OperatorAct, Scope, Signed};
    use nsl_test_site::{ISSUER, OPERATOR, Site, acme, key, manifest, quorum};

    use super::*;

    const EXPIRY_MS: u64 = 20;

    fn site() -> Site {
        Site::of(manifest(Sha256([0; 32]), vec![]))
    }

    fn operators() -> Operators {
        site().operators()
    }

    fn chain(label: &str) -> GrantChain {
        let any = || "*".to_owned();
        site().chain_with(acme(), |grant| {
            grant.label = label.into();
            grant.scopes = vec![Scope { aggregate: any(), id: any(), verb: "create".into() }];
            grant.expires_at_ms = EXPIRY_MS;
        })
    }

    fn judge(chains: &Chains, chain: &GrantChain, verb: &str, now_ms: u64) -> Result<(), ChainError> {
        let subject = CommandSubject::parse(&format!("nsl.v1.cmd.acme.wallet.main.{verb}")).unwrap();
        chains.authorise(chain, &operators(), key(ISSUER).public(), &subject, now_ms)
    }

    #[test]
    fn a_known_chain_is_judged_anew_in_time_scope_and_issuer() {
        let (chains, chain) = (Chains::default(), chain("test"));
        assert_eq!(judge(&chains, &chain, "create", 1), Ok(()));
        assert!(chains.is_known(operators().head_sha256(), &chain));
        assert_eq!(judge(&chains, &chain, "create", EXPIRY_MS), Err(ChainError::NotInForce));
        assert_eq!(judge(&chains, &chain, "set-policy", 1), Err(ChainError::Scope));
        let subject = CommandSubject::parse("nsl.v1.cmd.acme.wallet.main.create").unwrap();
        let other = chains.authorise(&chain, &operators(), key(4).public(), &subject, 1);
        assert_eq!(other, Err(ChainError::OtherKey));
    }

    #[test]
    fn only_what_was_verified_is_known() {
        let (chains, good) = (Chains::default(), chain("test"));
        assert_eq!(judge(&chains, &good, "create", 1), Ok(()));
        let (mut longer, mut unsigned, mut rooted) = (good.clone(), good.clone(), good.clone());
        longer.grant.statement.expires_at_ms += 1;
        unsigned.grant.signatures.clear();
        rooted.root.signatures.clear();
        for forged in [&longer, &unsigned, &rooted] {
            assert!(judge(&chains, forged, "create", 1).is_err());
            assert!(!chains.is_known(operators().head_sha256(), forged));
        }
        assert!(chains.is_known(operators().head_sha256(), &good));
    }

    #[test]
    fn a_known_chain_is_verified_anew_after_the_operators_acted() {
        let (chains, chain) = (Chains::default(), chain("test"));
        assert_eq!(judge(&chains, &chain, "create", 1), Ok(()));
        let mut operators = operators();
        let act = OperatorAct::ReplaceQuorum { quorum: quorum(1, &[9]), voids_roots: true };
        let voided = operators.next(act, 1);
        operators.follow(&[Signed::sign(voided, &[&key(OPERATOR), &key(9)])]).unwrap();
        let subject = CommandSubject::parse("nsl.v1.cmd.acme.wallet.main.create").unwrap();
        assert!(chains.authorise(&chain, &operators, key(ISSUER).public(), &subject, 1).is_err());
    }

    #[test]
    fn a_chain_that_is_too_long_is_accepted_and_not_kept() {
        let (chains, long) = (Chains::default(), chain(&"x".repeat(CHAIN_BYTES_MAX)));
        assert_eq!(judge(&chains, &long, "create", 1), Ok(()));
        assert!(!chains.is_known(operators().head_sha256(), &long));
    }
}
