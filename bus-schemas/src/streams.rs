//! Names of the JetStream streams and their subjects (DESIGN §5).

/// Commands, a work queue; its subject transform adds the partition token (D6).
pub const COMMANDS: &str = "NSL_CMD";
/// What the command stream takes.
pub const COMMANDS_SUBJECT: &str = "nsl.v1.cmd.*.*.*.*";
/// Results and refusals, the last of each subject, for an hour.
pub const RESULTS: &str = "NSL_RES";
/// What the result stream takes.
pub const RESULTS_SUBJECTS: [&str; 2] = ["nsl.v1.res.>", "nsl.v1.ref.>"];
/// Events; the stream's sequence is the log's position.
pub const EVENTS: &str = "NSL_EVT";
/// What the event stream takes.
pub const EVENTS_SUBJECT: &str = "nsl.v1.evt.>";
/// Jobs, a work queue.
pub const JOBS: &str = "NSL_JOB";
/// What the job stream takes.
pub const JOBS_SUBJECT: &str = "nsl.v1.job.>";
/// Observations, in order.
pub const TICKS: &str = "NSL_TICK";
/// What the observation stream takes.
pub const TICKS_SUBJECT: &str = "nsl.v1.tick.>";
/// Accepted prices.
pub const PRICES: &str = "NSL_PRICE";
/// What the price stream takes.
pub const PRICES_SUBJECT: &str = "nsl.v1.price.>";
/// Messages that no consumer could read, kept for people.
pub const PARKED: &str = "NSL_PARKED";
/// What the parking stream takes.
pub const PARKED_SUBJECT: &str = "nsl.v1.parked.>";
