//! Answers the question `sealing-records` of the tenant `system`: the log's sealing keys, each attested by the worker that
//! founded it.

use nsl_bus::Bus;
use nsl_bus::request::{self, Endpoint};
use nsl_event_store::EventReader;
use nsl_schemas::event::sealing::SealingEvent;
use nsl_schemas::query::name;
use nsl_schemas::sealing::SealingRecord;
use nsl_schemas::subject;
use nsl_schemas::token::Tenant;
use tokio_util::sync::CancellationToken;

use crate::queries::endpoint;
use crate::told_list::{self, Definition};

const RECORDS: Definition<SealingRecord> = Definition {
    name: name::SEALING_RECORDS,
    aggregate_type: "sealing",
    read: |event| {
        let SealingEvent::SealingKeyFounded(founded) = event.decode()?;
        Ok(Some(founded.record))
    },
    number: |record| record.statement.order.statement.epoch,
    // A document has at most 24 KiB, shares or a wrapped key 8 KiB, in base64 a third more.
    page_max: 16,
};

/// Serves the records that `log` holds until `stop`.
pub async fn serve(log: EventReader, bus: Bus, stop: CancellationToken) -> Result<(), request::Error> {
    let subject = subject::query(&Tenant::system(), name::SEALING_RECORDS);
    let endpoint = Endpoint { subject, ..endpoint(name::SEALING_RECORDS) };
    told_list::serve(RECORDS, endpoint, log, bus, stop).await
}
