//! Where this process can be made to die in tests: before and after each durable step.

use nsl_telemetry::Failpoint;

/// A job was taken from the bus.
pub(crate) const TAKEN: Failpoint = Failpoint("host::taken");
/// A worker did the job, its outcome is not reported.
pub(crate) const PERFORMED: Failpoint = Failpoint("host::performed");
/// The outcome is in the log, the job is not acknowledged.
pub(crate) const REPORTED: Failpoint = Failpoint("host::reported");
/// The job is acknowledged.
pub(crate) const SETTLED: Failpoint = Failpoint("host::settled");

/// All of them.
pub(crate) const ALL: [Failpoint; 4] = [TAKEN, PERFORMED, REPORTED, SETTLED];
