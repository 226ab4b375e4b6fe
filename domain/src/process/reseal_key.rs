//! A key that is sealed anew: asked for by operators, then a worker's outcome. It waits as long as that takes: the wallet
//! signs with the key as it was sealed before.

use nsl_schemas::event::wallet::WalletEvent;

use super::State;

pub(super) fn react(before: Option<State>, event: &WalletEvent) -> Option<State> {
    match (before, event) {
        (None, WalletEvent::KeyResealRequested(_)) => Some(State::ResealingKey),
        (Some(_), WalletEvent::KeyResealed(_) | WalletEvent::KeyResealRefused(_)) => Some(State::Over),
        (before, _) => before,
    }
}
