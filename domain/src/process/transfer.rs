//! A transfer: asked for, approved where its policy says so, reserved where that counts, signed by a worker, brought into
//! a block by the relay.
//!
//! Without a signature by its deadline it is compensated: `expire-request` ends it and frees its place among the wallet's
//! open transfers. A signed one ends by what the chain says and by nothing else.

use nsl_schemas::canonical;
use nsl_schemas::command::wallet::ExpireRequest;
use nsl_schemas::event::wallet::{TransferApproved, TransferRequested, WalletEvent};
use nsl_schemas::ids;
use nsl_schemas::number::UnixMs;
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::token::{self, AggregateId, AggregateType, Tenant, Verb};
use uuid::Uuid;

use super::{Command, State};

/// In the ids of its commands.
const PROCESS: &str = "transfer";

pub(super) fn react(before: Option<State>, event: &WalletEvent) -> Option<State> {
    match (before, event) {
        (None, WalletEvent::TransferRequested(event)) => {
            let &TransferRequested { not_before_ms, sign_by_ms, .. } = event;
            Some(match event.approvals_missing {
                None | Some(0) => released(event.reserves, not_before_ms, sign_by_ms),
                Some(_) => State::AwaitingApprovals { not_before_ms, sign_by_ms },
            })
        }
        (
            Some(State::AwaitingApprovals { not_before_ms, sign_by_ms }),
            WalletEvent::TransferApproved(TransferApproved { approvals_missing: 0, reserves, .. }),
        ) => Some(released(*reserves, not_before_ms, sign_by_ms)),
        (Some(State::Reserving { not_before_ms, sign_by_ms }), WalletEvent::TransferReserved(_)) => {
            Some(State::Signing { not_before_ms, sign_by_ms })
        }
        // The policy may have been replaced by one that counts nothing.
        (Some(State::Reserving { .. } | State::Signing { .. }), WalletEvent::TransferSigned(_)) => {
            Some(State::Submitting)
        }
        (
            Some(_),
            WalletEvent::TransferRefused(_)
            | WalletEvent::TransferCancelled(_)
            | WalletEvent::TransferConfirmed(_)
            | WalletEvent::TransferExpired(_)
            | WalletEvent::TransferRequestExpired(_),
        ) => Some(State::Over),
        (before, _) => before,
    }
}

/// Where a transfer goes that no approval is missing for.
fn released(reserves: bool, not_before_ms: Option<UnixMs>, sign_by_ms: Option<UnixMs>) -> State {
    if reserves {
        State::Reserving { not_before_ms, sign_by_ms }
    } else {
        State::Signing { not_before_ms, sign_by_ms }
    }
}

pub(super) fn expire(
    request_id: Uuid,
    tenant: &Tenant,
    wallet: &AggregateId,
) -> Result<Command, token::Error> {
    Ok(Command {
        id: ids::process_command_id(request_id, PROCESS, "expire"),
        subject: CommandSubject {
            tenant: tenant.clone(),
            aggregate: AggregateType::parse("wallet")?,
            id: wallet.clone(),
            verb: Verb::parse("expire-request")?,
        },
        payload: canonical::to_string(&ExpireRequest { request_id }),
    })
}
