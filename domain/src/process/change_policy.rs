//! A change of policy: asked for by the owners, then a worker's outcome. It waits as long as that takes: giving up would
//! leave open under which policy a worker has sealed the key.

use nsl_schemas::event::wallet::WalletEvent;

use super::State;

pub(super) fn react(before: Option<State>, event: &WalletEvent) -> Option<State> {
    match (before, event) {
        (None, WalletEvent::PolicyChangeRequested(_)) => Some(State::ReplacingPolicy),
        (Some(_), WalletEvent::PolicyChanged(_) | WalletEvent::PolicyChangeRefused(_)) => Some(State::Over),
        (before, _) => before,
    }
}
