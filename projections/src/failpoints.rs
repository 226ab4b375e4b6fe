//! Where this process can be made to die in tests: before and after each durable step.

use nsl_telemetry::Failpoint;

/// Rows are written and not committed.
pub(crate) const APPLIED: Failpoint = Failpoint("projection::applied");
/// Rows and checkpoint are committed.
pub(crate) const COMMITTED: Failpoint = Failpoint("projection::committed");
/// Events were published, and their place is not known to this process.
pub(crate) const ANNOUNCED: Failpoint = Failpoint("announce::published");
/// Prices were published, and their place is not known to this process.
pub(crate) const PRICES_PUBLISHED: Failpoint = Failpoint("price_stream::published");

/// All of them.
pub(crate) const ALL: [Failpoint; 4] = [APPLIED, COMMITTED, ANNOUNCED, PRICES_PUBLISHED];
