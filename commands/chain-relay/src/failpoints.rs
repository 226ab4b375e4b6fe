//! Where this process can be made to die in tests: before and after each durable step.

use nsl_telemetry::Failpoint;

/// A job was taken from the bus.
pub(crate) const TAKEN: Failpoint = Failpoint("relay::taken");
/// A transaction was submitted to the node.
pub(crate) const SUBMITTED: Failpoint = Failpoint("relay::submitted");
/// A transaction's end is known and not reported.
pub(crate) const FOLLOWED: Failpoint = Failpoint("relay::followed");
/// The end is in the log, the job is not acknowledged.
pub(crate) const REPORTED: Failpoint = Failpoint("relay::reported");

/// All of them.
pub(crate) const ALL: [Failpoint; 4] = [TAKEN, SUBMITTED, FOLLOWED, REPORTED];
