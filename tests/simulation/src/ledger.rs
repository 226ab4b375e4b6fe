//! What clients sent and what they were told: the other side of the log, against which it is checked.

use std::collections::{BTreeMap, BTreeSet};

use nsl_schemas::result::CommandResult;
use uuid::Uuid;

/// A command by its id and the hash of its request: another payload under the same id is another one.
pub(crate) type Request = (Uuid, [u8; 32]);

/// Everything outside the system.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Where in the command stream each request first lay.
    pub(crate) arrivals: BTreeMap<Request, u64>,
    /// Requests that were sent and not answered for good.
    pub(crate) open: BTreeSet<Request>,
    /// How many requests were sent.
    pub(crate) requests: u64,
    /// Results that reached clients.
    pub(crate) results: BTreeMap<Uuid, CommandResult>,
    /// Refusals that left the system, by request, with their codes.
    pub(crate) refusals: BTreeMap<Request, BTreeSet<&'static str>>,
    /// Requests whose refusal is the last word on them: resending cannot help.
    pub(crate) refused_for_good: BTreeSet<Request>,
    /// The newest refusal that reached a client, by request.
    pub(crate) refused: BTreeMap<Request, &'static str>,
}
