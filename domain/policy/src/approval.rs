//! Approvals of transfers: who must approve what, and which signed statements count.

use std::collections::BTreeSet;

use nsl_schemas::authority::{QUORUM_KEYS_MAX, Quorum, Signed};
use nsl_schemas::bytes::Sha256;
use nsl_schemas::command::wallet::RequestTransfer;
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::policy::{APPROVAL_SECONDS_MAX, ApprovalRule, Policy, TransferApproval};
use nsl_schemas::token::{AggregateId, Tenant};
use uuid::Uuid;

use crate::rules::asset::{check_list, is_free};
use crate::{Denied, TransferFacts, Unsound};

/// The request that approvals must be of.
#[derive(Debug, Clone, Copy)]
pub struct ApprovedRequest<'a> {
    /// The log.
    pub genesis_sha256: Sha256,
    /// Whose wallet.
    pub tenant: &'a Tenant,
    /// Which wallet.
    pub wallet: &'a AggregateId,
    /// The command.
    pub request_id: Uuid,
    /// Its hash.
    pub request_sha256: Sha256,
    /// What it asks for.
    pub transfer: &'a RequestTransfer,
}

/// The rule by which the transfer needs approvals; `None` where it needs none.
pub fn approval_rule<'a>(policy: &'a Policy, transfer: &TransferFacts<'_>) -> Option<&'a ApprovalRule> {
    policy.rules.approvals.as_ref().filter(|rule| !is_free(&rule.free, transfer))
}

/// Who approved, if the approval counts at `now_ms` under `policy`: of exactly this request, by one of `approvers`, and
/// in force.
pub fn check_approval(
    policy_sha256: Sha256,
    approvers: &Quorum,
    request: &ApprovedRequest<'_>,
    approval: &Signed<TransferApproval>,
    now_ms: u64,
) -> Result<PublicKey, Denied> {
    let TransferApproval {
        expires_at_ms,
        genesis_sha256,
        policy_sha256: approved_under,
        request_id,
        request_sha256,
        tenant,
        transfer,
        wallet,
    } = &approval.statement;
    let is_of_this_request = *genesis_sha256 == request.genesis_sha256
        && *approved_under == policy_sha256
        && *request_id == request.request_id
        && *request_sha256 == request.request_sha256
        && tenant == request.tenant
        && transfer == request.transfer
        && wallet == request.wallet;
    let approver = approval.approver().ok_or(Denied::Approval)?;
    let counts = is_of_this_request
        && now_ms < *expires_at_ms
        && approvers.keys.contains(&approver)
        && approval.is_signed_by(&Quorum { threshold: 1, keys: vec![approver] });
    if counts { Ok(approver) } else { Err(Denied::Approval) }
}

/// Whether enough different approvers approved the request, where the policy asks for that.
pub fn check_approvals(
    policy: &Policy,
    facts: &TransferFacts<'_>,
    request: &ApprovedRequest<'_>,
    approvals: &[Signed<TransferApproval>],
    now_ms: u64,
) -> Result<(), Denied> {
    let Some(rule) = approval_rule(policy, facts) else { return Ok(()) };
    let policy_sha256 = policy.sha256();
    let approvers: BTreeSet<PublicKey> = approvals
        .iter()
        .take(QUORUM_KEYS_MAX)
        .filter_map(|approval| check_approval(policy_sha256, &rule.approvers, request, approval, now_ms).ok())
        .collect();
    let is_met = rule.approvers.is_sound() && approvers.len() >= usize::from(rule.approvers.threshold);
    if is_met { Ok(()) } else { Err(Denied::Approvals) }
}

pub(crate) fn check_sound(policy: &Policy) -> Result<(), Unsound> {
    let Some(rule) = &policy.rules.approvals else { return Ok(()) };
    if !rule.approvers.is_sound() {
        return Err(Unsound::Approvers);
    }
    if !(1..=APPROVAL_SECONDS_MAX).contains(&rule.within_seconds) {
        return Err(Unsound::ApprovalTime);
    }
    check_list(&rule.free)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_policy::{GAS, NOW_MS, RECIPIENT, facts, key, policy, quorum, up_to, with_rules};
    use nsl_schemas::authority::KeySignature;
    use nsl_schemas::bytes::Base64;
    use nsl_schemas::number::{Amount, Datoshi};
    use proptest::prelude::*;

    struct World {
        policy: Policy,
        tenant: Tenant,
        wallet: AggregateId,
        transfer: RequestTransfer,
    }

    impl World {
        /// Two of the keys 11, 12 and 13 approve.
        fn new() -> Self {
            let approvers = quorum(2, &[11, 12, 13]);
            Self {
                policy: with_rules(|rules| {
                    rules.approvals = Some(ApprovalRule { approvers, free: vec![], within_seconds: 60 });
                }),
                tenant: Tenant::parse("acme").unwrap(),
                wallet: AggregateId::parse("main").unwrap(),
                transfer: RequestTransfer {
                    amount: Amount(100),
                    asset: GAS.into(),
                    network_fee_datoshi: Datoshi(5),
                    network_magic: 1,
                    system_fee_datoshi: Datoshi(5),
                    to: RECIPIENT.into(),
                    valid_until_block: 1_000,
                },
            }
        }

        fn request(&self) -> ApprovedRequest<'_> {
            ApprovedRequest {
                genesis_sha256: Sha256([1; 32]),
                tenant: &self.tenant,
                wallet: &self.wallet,
                request_id: Uuid::from_u128(7),
                request_sha256: Sha256([2; 32]),
                transfer: &self.transfer,
            }
        }

        fn statement(&self) -> TransferApproval {
            let request = self.request();
            TransferApproval {
                expires_at_ms: NOW_MS + 1,
                genesis_sha256: request.genesis_sha256,
                policy_sha256: self.policy.sha256(),
                request_id: request.request_id,
                request_sha256: request.request_sha256,
                tenant: self.tenant.clone(),
                transfer: self.transfer.clone(),
                wallet: self.wallet.clone(),
            }
        }

        fn by(&self, approver: u8) -> Signed<TransferApproval> {
            Signed::sign(self.statement(), &[&key(approver)])
        }

        fn judged(&self, approvals: &[Signed<TransferApproval>]) -> Result<(), Denied> {
            let facts = TransferFacts::new(&self.transfer, NOW_MS);
            check_approvals(&self.policy, &facts, &self.request(), approvals, NOW_MS)
        }
    }

    #[test]
    fn two_of_three_different_approvers_must_approve() {
        let world = World::new();
        let missing = Err(Denied::Approvals);
        for (approvers, expected) in [
            (&[][..], missing),
            (&[11], missing),
            (&[11, 11], missing),
            (&[11, 14], missing),
            (&[1, 14], missing),
            (&[11, 13], Ok(())),
            (&[14, 12, 11], Ok(())),
            (&[11, 12, 13], Ok(())),
        ] {
            let approvals: Vec<_> = approvers.iter().map(|approver| world.by(*approver)).collect();
            assert_eq!(world.judged(&approvals), expected, "{approvers:?}");
        }
    }

    #[test]
    fn what_is_free_needs_no_approval() {
        let mut world = World::new();
        world.policy.rules.approvals.as_mut().unwrap().free = up_to(100);
        assert_eq!(world.judged(&[]), Ok(()));
        world.policy.rules.approvals.as_mut().unwrap().free = up_to(99);
        assert_eq!(world.judged(&[]), Err(Denied::Approvals));
        assert!(approval_rule(&policy(), &facts()).is_none());
    }

    #[test]
    fn an_approval_of_anything_else_does_not_count() {
        type Change = fn(&mut TransferApproval);
        let changes: [Change; 9] = [
            |s| s.expires_at_ms = NOW_MS,
            |s| s.genesis_sha256 = Sha256([9; 32]),
            |s| s.policy_sha256 = Sha256([9; 32]),
            |s| s.request_id = Uuid::from_u128(8),
            |s| s.request_sha256 = Sha256([9; 32]),
            |s| s.tenant = Tenant::parse("other").unwrap(),
            |s| s.wallet = AggregateId::parse("other").unwrap(),
            |s| s.transfer.amount = Amount(99),
            |s| s.transfer.valid_until_block += 1,
        ];
        let world = World::new();
        for (index, change) in changes.iter().enumerate() {
            let mut statement = world.statement();
            change(&mut statement);
            let honest = Signed::sign(statement.clone(), &[&key(12)]);
            assert_eq!(world.judged(&[world.by(11), honest]), Err(Denied::Approvals), "case {index}");
            let altered = Signed { statement, ..world.by(12) };
            assert_eq!(world.judged(&[world.by(11), altered]), Err(Denied::Approvals), "altered {index}");
        }
    }

    #[test]
    fn an_approval_has_one_signature_of_its_approver() {
        let world = World::new();
        let rule = world.policy.rules.approvals.clone().unwrap();
        let judged = |approval: &Signed<TransferApproval>| {
            check_approval(world.policy.sha256(), &rule.approvers, &world.request(), approval, NOW_MS)
        };
        assert_eq!(judged(&world.by(11)), Ok(key(11).public()));
        let two = Signed::sign(world.statement(), &[&key(11), &key(12)]);
        let none = Signed { signatures: vec![], ..world.by(11) };
        let forged = KeySignature { key: key(11).public(), signature: Base64(vec![0; 64]) };
        let forged = Signed { signatures: vec![forged], ..world.by(11) };
        for approval in [two, none, forged, world.by(14)] {
            assert_eq!(judged(&approval), Err(Denied::Approval));
        }
    }

    proptest! {
        /// Whoever approves how often in whatever order: it counts how many different approvers did.
        #[test]
        fn different_approvers_are_counted(by in prop::collection::vec(10_u8..16, 0..12)) {
            let world = World::new();
            let approvals: Vec<_> = by.iter().map(|approver| world.by(*approver)).collect();
            let distinct: BTreeSet<_> = by.iter().filter(|approver| (11..=13).contains(*approver)).collect();
            prop_assert_eq!(world.judged(&approvals).is_ok(), distinct.len() >= 2);
        }
    }
}
