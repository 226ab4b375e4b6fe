//! Commands of aggregates whose streams cannot be read: an event from the future, or a damaged one. Nothing is decided
//! on half a stream, nothing is recorded, and the commands of other aggregates go on.

use std::collections::HashMap;

use nsl_event_store::LoadError;
use nsl_schemas::errors;

use crate::aggregates::StreamKey;
use crate::batch::Admitted;
use crate::processor::{Processor, Taken, Unavailable, command_id};

/// The streams that cannot be read, with why.
pub(crate) type Unreadable = HashMap<StreamKey, LoadError>;

impl Processor {
    /// Takes the commands of unreadable aggregates out of a batch. One that was committed before hears its receipt
    /// (D5); any other hears that this service cannot decide it now, and may be sent again with the same id.
    pub(crate) async fn set_aside(
        &self,
        open: &mut Vec<Taken>,
        admitted: &mut Vec<Admitted>,
        unreadable: &Unreadable,
    ) -> Result<(), Unavailable> {
        let concerned = |command: &Admitted| unreadable.contains_key(&command.key());
        let ids: Vec<_> = admitted
            .iter()
            .filter(|command| concerned(command))
            .map(|command| command.incoming.signed.envelope.command_id)
            .collect();
        let receipts = self.store.receipts(&ids).await?;
        let (aside, going_on): (Vec<_>, Vec<_>) =
            admitted.drain(..).zip(open.drain(..)).partition(|(command, _)| concerned(command));
        (*admitted, *open) = going_on.into_iter().unzip();
        for (command, taken) in aside {
            match (receipts.get(&command_id(&taken)), unreadable.get(&command.key())) {
                (Some(receipt), _) => self.repeat(taken, receipt).await,
                (None, Some(error)) => self.refuse_undecided(taken, error).await,
                (None, None) => unreachable!("only commands of unreadable streams were taken out"),
            }
        }
        Ok(())
    }

    async fn refuse_undecided(&self, taken: Taken, error: &LoadError) {
        let (reason, code, message) = if error.is_from_the_future() {
            (
                "future",
                errors::EVENT_FROM_FUTURE,
                "the aggregate has an event that is newer than this service",
            )
        } else {
            ("damaged", errors::AGGREGATE_UNREADABLE, "an event of the aggregate cannot be read")
        };
        tracing::error!(
            command.id = %command_id(&taken),
            error = error as &dyn std::error::Error,
            "the command's aggregate cannot be read"
        );
        self.metrics.unreadable.with_label_values(&[reason]).inc();
        let no = taken.incoming.refuse(code, message);
        self.refuse(taken, &no).await;
    }
}
