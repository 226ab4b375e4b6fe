//! Where this process can be made to die in tests: before and after each durable step.

use nsl_telemetry::Failpoint;

/// Leases are taken, no consumer was made.
pub(crate) const PARTITIONS_CLAIMED: Failpoint = Failpoint("partitions::claimed");
/// Leases are renewed.
pub(crate) const PARTITIONS_RENEWED: Failpoint = Failpoint("partitions::renewed");
/// A partition's consumer was made, nothing was fetched.
pub(crate) const CONSUMER_OPENED: Failpoint = Failpoint("consumer::opened");
/// A command was fetched and is not queued.
pub(crate) const CONSUMER_TAKEN: Failpoint = Failpoint("consumer::taken");
/// A batch was taken from the queue.
pub(crate) const PROCESSOR_RECEIVED: Failpoint = Failpoint("processor::received");
/// A batch passed admission, nothing was decided.
pub(crate) const PROCESSOR_ADMITTED: Failpoint = Failpoint("processor::admitted");
/// A batch is decided, nothing was appended.
pub(crate) const PROCESSOR_DECIDED: Failpoint = Failpoint("processor::decided");
/// A batch is in the log, nobody was answered.
pub(crate) const PROCESSOR_COMMITTED: Failpoint = Failpoint("processor::committed");
/// A client was answered, the bus was not.
pub(crate) const PROCESSOR_ANSWERED: Failpoint = Failpoint("processor::answered");
/// A command was acknowledged to the bus.
pub(crate) const PROCESSOR_ACKNOWLEDGED: Failpoint = Failpoint("processor::acknowledged");
/// Jobs are remembered, none was published.
pub(crate) const REACTOR_REMEMBERED: Failpoint = Failpoint("reactor::remembered");
/// Jobs were published.
pub(crate) const REACTOR_PUBLISHED: Failpoint = Failpoint("reactor::published");
/// Not a death but a planted fault, the control of the tests: answers and acknowledges before the commit.
pub(crate) const ACK_BEFORE_COMMIT: Failpoint = Failpoint("processor::ack_before_commit");

/// All of them.
pub(crate) const ALL: [Failpoint; 13] = [
    PARTITIONS_CLAIMED,
    PARTITIONS_RENEWED,
    CONSUMER_OPENED,
    CONSUMER_TAKEN,
    PROCESSOR_RECEIVED,
    PROCESSOR_ADMITTED,
    PROCESSOR_DECIDED,
    PROCESSOR_COMMITTED,
    PROCESSOR_ANSWERED,
    PROCESSOR_ACKNOWLEDGED,
    REACTOR_REMEMBERED,
    REACTOR_PUBLISHED,
    ACK_BEFORE_COMMIT,
];
