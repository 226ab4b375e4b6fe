//! Custodians give a key back: each share is judged by its commitment, alone and at once, so that a wrong one changes
//! nothing; the share that makes the quorum brings the key.

use std::collections::{BTreeMap, VecDeque};

use nsl_schemas::authority::Operators;
use nsl_schemas::bytes::{Base64, HpkeKey, Sha256};
use nsl_schemas::sealing::{
    AwaitedKey, SHARE_BYTES, SHARE_TO_WORKER, SealingKeyName, SealingRecord, SealingStatement,
    share_commitment,
};

use super::{Error, Sealing, name, shamir};

/// Most keys that are awaited at once. A host that founds keys by an order of the past can crowd out the one that its
/// custodians mean, which delays them and gives it nothing.
const AWAITED_MAX: usize = 4;

/// The keys that some shares are there of.
#[derive(Debug, Default)]
pub(super) struct Provisioning(VecDeque<Awaited>);

/// Shares of one key.
struct Awaited {
    record_sha256: Sha256,
    statement: SealingStatement,
    /// By the custodian's place.
    shares: BTreeMap<usize, shamir::Share>,
}

impl std::fmt::Debug for Awaited {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} shares of {}", self.shares.len(), self.statement.key_id)
    }
}

impl Awaited {
    fn name(&self) -> SealingKeyName {
        name(&self.statement)
    }

    fn is_complete(&self) -> bool {
        self.shares.len() >= usize::from(self.statement.order.statement.threshold)
    }
}

impl Provisioning {
    /// What is waited for.
    pub(super) fn awaited(&self) -> Vec<AwaitedKey> {
        let awaited = |one: &Awaited| {
            let order = &one.statement.order.statement;
            let custodian = |place: &usize| order.custodians.get(*place).map(|one| one.name.clone());
            let shares = one.shares.keys().filter_map(custodian).collect();
            AwaitedKey { key: one.name(), shares, threshold: order.threshold }
        };
        self.0.iter().map(awaited).collect()
    }

    /// Takes a share that was judged; at the quorum, returns the key's shares and waits for it no longer.
    fn take(&mut self, statement: SealingStatement, place: usize, share: shamir::Share) -> Option<Awaited> {
        let record_sha256 = statement.user_data();
        let known = self.0.iter().position(|one| one.record_sha256 == record_sha256);
        let index = known.unwrap_or_else(|| {
            if self.0.len() >= AWAITED_MAX {
                self.0.pop_front();
            }
            self.0.push_back(Awaited { record_sha256, statement, shares: BTreeMap::new() });
            self.0.len() - 1
        });
        let awaited = self.0.get_mut(index)?;
        awaited.shares.insert(place, share);
        if awaited.is_complete() { self.0.remove(index) } else { None }
    }
}

impl Sealing {
    /// Takes a custodian's share of the key that `record` is about.
    pub(super) fn take_share(
        &self,
        custodian: &HpkeKey,
        message: &Base64,
        record: SealingRecord,
        operators: &Operators,
    ) -> Result<(), Error> {
        let statement = self.judge(record, operators)?;
        if self.keyring.has(&name(&statement)) {
            return Ok(());
        }
        let (place, share) = self.judge_share(custodian, message, &statement)?;
        let complete = self.provisioning().take(statement, place, share);
        complete.map_or(Ok(()), |awaited| self.combine(&awaited))
    }

    fn judge_share(
        &self,
        custodian: &HpkeKey,
        message: &Base64,
        statement: &SealingStatement,
    ) -> Result<(usize, shamir::Share), Error> {
        let place = statement.place(custodian).ok_or(Error::NoCustodian)?;
        let commitment = statement.shares.get(place).map(|share| share.commitment);
        let opened = self
            .key
            .open(SHARE_TO_WORKER, &statement.user_data().0, &message.0)
            .map_err(Error::ShareMessage)?;
        let mut share = shamir::Share::new([0; SHARE_BYTES]);
        if opened.len() != share.len() {
            return Err(Error::WrongShare);
        }
        share.copy_from_slice(&opened);
        let is_committed = commitment == Some(share_commitment(&share));
        if is_committed { Ok((place, share)) } else { Err(Error::WrongShare) }
    }

    fn combine(&self, awaited: &Awaited) -> Result<(), Error> {
        let threshold = usize::from(awaited.statement.order.statement.threshold);
        let shares: Vec<&shamir::Share> = awaited.shares.values().take(threshold).collect();
        let secret = shamir::combine(&shares);
        self.restore(&awaited.name(), secret.as_slice(), "custodians")
    }
}
