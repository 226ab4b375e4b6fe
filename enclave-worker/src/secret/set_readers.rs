//! `seal-secret` for `set-readers`: the secret is opened under the policy that ends and sealed under the one that begins.

use nsl_schemas::authority::Signed;
use nsl_schemas::job::PresentSecret;
use nsl_schemas::outcome::JobResult;
use nsl_schemas::secret::ReadersChange;

use super::{denied, next_version, open, seal};
use crate::judge::Subject;
use crate::nsm::NsmHandle;
use crate::refusal::{Failure, Refusal};
use crate::sealing::Keyring;

/// Seals the secret under another policy.
pub(crate) async fn set_readers(
    nsm: &NsmHandle,
    keyring: &Keyring,
    subject: &Subject,
    change: &Signed<ReadersChange>,
    present: &PresentSecret,
) -> Result<JobResult, Failure> {
    let padded = open(keyring, subject, present)?;
    check_change(subject, change, present)?;
    let ReadersChange { policy, version, .. } = &change.statement;
    Ok(seal(nsm, keyring, subject, &padded, policy, *version).await?)
}

/// Whether the owners that the present policy names ordered exactly this change of it.
fn check_change(
    subject: &Subject,
    change: &Signed<ReadersChange>,
    present: &PresentSecret,
) -> Result<(), Refusal> {
    let ReadersChange { genesis_sha256, policy, previous_sha256, secret, tenant, version } =
        &change.statement;
    if *genesis_sha256 != subject.genesis_sha256 || *tenant != subject.tenant || *secret != subject.wallet {
        return Err(denied("the change is signed for another secret"));
    }
    if *previous_sha256 != present.policy.sha256() {
        return Err(denied("the change is signed over another policy than the secret is sealed under"));
    }
    if *version != next_version(&present.sealed_secret)? {
        return Err(denied("the change is signed for another version"));
    }
    if !change.is_signed_by(&present.policy.owners) {
        return Err(denied("the owners of the present policy did not sign the change"));
    }
    if policy.is_sound() { Ok(()) } else { Err(denied("owners and readers are quorums that can be met")) }
}
