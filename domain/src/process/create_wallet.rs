//! The creation of a wallet: asked for, then a worker's outcome. It waits as long as that takes; there is nothing to
//! release, and a late key is as good as an early one.

use nsl_schemas::event::wallet::WalletEvent;

use super::State;

pub(super) fn react(before: Option<State>, event: &WalletEvent) -> Option<State> {
    match (before, event) {
        (None, WalletEvent::CreationRequested(_)) => Some(State::CreatingKey),
        (Some(_), WalletEvent::KeyCreated(_) | WalletEvent::CreationRefused(_)) => Some(State::Over),
        (before, _) => before,
    }
}
