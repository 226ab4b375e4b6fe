//! Answers the question `operator-acts`: what the operators decided, as the log holds it. Whoever asks proves it for himself,
//! so every tenant may.

use nsl_bus::Bus;
use nsl_bus::request;
use nsl_event_store::EventReader;
use nsl_schemas::authority::{OperatorStatement, Signed};
use nsl_schemas::event::authority::AuthorityEvent;
use nsl_schemas::query::name;
use tokio_util::sync::CancellationToken;

use crate::queries::endpoint;
use crate::told_list::{self, Definition};

const ACTS: Definition<Signed<OperatorStatement>> = Definition {
    name: name::OPERATOR_ACTS,
    aggregate_type: "authority",
    read: |event| Ok(event.decode::<AuthorityEvent>()?.into_operator_act()),
    number: |act| act.statement.sequence,
    page_max: 100,
};

/// Serves the acts that `log` holds until `stop`.
pub async fn serve(log: EventReader, bus: Bus, stop: CancellationToken) -> Result<(), request::Error> {
    told_list::serve(ACTS, endpoint(name::OPERATOR_ACTS), log, bus, stop).await
}
