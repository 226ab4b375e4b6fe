//! A change of policy: asked for by the owners, held back where the policy has a time lock, then a worker's outcome. That
//! it waits for as long as it takes: giving up would leave open under which policy a worker has sealed the key.

use nsl_schemas::event::wallet::WalletEvent;

use super::State;

pub(super) fn react(before: Option<State>, event: &WalletEvent) -> Option<State> {
    match (before, event) {
        (None, WalletEvent::PolicyChangeRequested(event)) => {
            Some(State::ReplacingPolicy { not_before_ms: event.not_before_ms })
        }
        (
            Some(_),
            WalletEvent::PolicyChanged(_)
            | WalletEvent::PolicyChangeRefused(_)
            | WalletEvent::PolicyChangeCancelled(_),
        ) => Some(State::Over),
        (before, _) => before,
    }
}
