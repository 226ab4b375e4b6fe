//! Looks after the pool's view: begins it when the operators established one, and moves it on so that its members are
//! the workers that serve.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use nsl_enclave_protocol::pool_view::PoolRequest;
use nsl_schemas::authority::{EstablishedPool, QUORUM_KEYS_MAX};
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::pool_view::PoolView;
use tokio_util::sync::CancellationToken;

use super::members::Seen;
use super::{Error, Present, Views, set};

/// Between two looks: a worker that started is no member for this long, and looking costs a small call a worker.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Looks that must agree on who serves before the view moves: a worker that died is mostly replaced within them, and that
/// is one view instead of two.
const STEADY_LOOKS: u32 = 3;

/// What the keeper remembers between looks.
#[derive(Debug, Default)]
struct Memory {
    /// The operators' view that all this is about.
    root: Option<u32>,
    /// Who should be members, and for how many looks that has been so.
    wanted: (BTreeSet<PublicKey>, u32),
    /// The last thing that was told, so that it is told once.
    told: Option<String>,
}

impl Views {
    /// Looks until `stop`.
    pub(crate) async fn keep(self: Arc<Self>, stop: CancellationToken) {
        let mut memory = Memory::default();
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(looks.tick()).await.is_some() {
            let trouble = self.look_after(&mut memory).await.err().map(|error| with_causes(&error));
            if trouble != memory.told {
                if let Some(trouble) = &trouble {
                    tracing::warn!(trouble, "the pool's view cannot move on");
                }
                memory.told = trouble;
            }
        }
    }

    async fn look_after(&self, memory: &mut Memory) -> Result<(), Error> {
        let operators = self.gatekeeper.operators();
        let Some(established) = operators.pool() else { return Ok(()) };
        if memory.root != Some(established.view.number) {
            *memory = Memory { root: Some(established.view.number), ..Memory::default() };
            // What was certified before the operators' view counts no more.
            self.certificates().clear();
            self.set_present(None);
        }
        let seen = self.look().await;
        let root = &established.view;
        // Who was not shown the operators' view yet is in an earlier one, which is over.
        let views = seen.iter().filter_map(|one| one.status.view.as_ref());
        let views = views.filter(|view| view.number >= root.number);
        let Some(view) = views.max_by_key(|view| view.number).cloned() else {
            self.show(root, &[], false);
            return self.begin(established, &seen).await;
        };
        let (inside, outside): (Vec<_>, Vec<_>) =
            seen.iter().partition(|one| one.status.view.as_ref() == Some(&view));
        let wanted = wanted_members(&view, &seen, |key| operators.is_revoked(key));
        let missing = outside.iter().any(|one| view.has(&one.status.key));
        let is_settled = wanted == set(&view.members) && !missing;
        self.show(&view, &inside, is_settled);
        if missing {
            let joined = if view == *root {
                self.begin(established, &seen).await
            } else {
                self.join(&view, &inside, &outside, &seen).await
            };
            // The view goes on without them, and the next one has them.
            if let Err(error) = joined {
                tracing::debug!(error = &error as &dyn std::error::Error, "member does not join its view");
            }
        }
        let steady_looks = if memory.wanted.0 == wanted { memory.wanted.1.saturating_add(1) } else { 1 };
        memory.wanted = (wanted.clone(), steady_looks);
        let begun = inside.iter().find_map(|one| one.status.left_for.clone());
        let next = match begun {
            // Some have left for these: now there are no others.
            Some(members) => members,
            None if is_settled || steady_looks < STEADY_LOOKS || wanted.is_empty() => return Ok(()),
            None => wanted.into_iter().collect(),
        };
        self.step(&view, &inside, &seen, next).await
    }

    /// Has the members of the operators' view begin.
    async fn begin(&self, established: &EstablishedPool, seen: &[Seen]) -> Result<(), Error> {
        let EstablishedPool { heads_position, view } = established;
        let view_number = view.number;
        let has_begun = |one: &Seen| one.status.view.as_ref().is_some_and(|held| held.number >= view.number);
        let is_due = |one: &&Seen| view.has(&one.status.key) && !has_begun(one);
        let due: Vec<_> = seen.iter().filter(is_due).collect();
        if due.is_empty() {
            return Err(Error::NotEstablished);
        }
        let heads = self.client.reserved_heads(*heads_position).await?;
        let mut trouble = None;
        for one in due {
            let (heads, leavers, view) = (Some(heads.clone()), Vec::new(), view.clone());
            match self.ask_pool(&one.endpoint, PoolRequest::Establish { heads, leavers, view }).await {
                Ok(_) => tracing::info!(endpoint = %one.endpoint, number = view_number, "worker endorses"),
                Err(error) => trouble = Some(error),
            }
        }
        trouble.map_or(Ok(()), Err)
    }

    fn show(&self, view: &PoolView, inside: &[&Seen], is_settled: bool) {
        let endorses = |one: &&&Seen| one.status.left_for.is_none();
        let members =
            inside.iter().filter(endorses).map(|one| (one.status.key, one.endpoint.clone())).collect();
        let (view, view_sha256) = (view.clone(), view.sha256());
        self.set_present(Some(Present { view, view_sha256, members, is_settled }));
    }
}

/// Who should be members: those that serve, present members first.
fn wanted_members(
    view: &PoolView,
    seen: &[Seen],
    is_revoked: impl Fn(&PublicKey) -> bool,
) -> BTreeSet<PublicKey> {
    let mut serving: Vec<_> = seen.iter().filter(|one| one.serves).map(|one| one.status.key).collect();
    serving.retain(|key| !is_revoked(key));
    serving.sort_by_key(|key| !view.has(key));
    serving.into_iter().take(QUORUM_KEYS_MAX).collect()
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use nsl_enclave_protocol::pool_view::PoolStatus;
    use nsl_schemas::bytes::Sha256;
    use nsl_schemas::nkey::SigningKey;

    use super::*;

    fn key(seed: u8) -> PublicKey {
        SigningKey::from_seed(&[seed; 32]).public()
    }

    fn seen(seed: u8, serves: bool) -> Seen {
        let status = PoolStatus { key: key(seed), links: 0, left_for: None, view: None };
        Seen { endpoint: format!("unix:///tmp/{seed}").parse().unwrap(), status, serves }
    }

    fn view(seeds: impl IntoIterator<Item = u8>) -> PoolView {
        let mut members: Vec<_> = seeds.into_iter().map(key).collect();
        members.sort();
        PoolView { genesis_sha256: Sha256([0; 32]), heads_sha256: Sha256([0; 32]), members, number: 1 }
    }

    #[test]
    fn those_that_serve_are_wanted_and_those_that_leave_or_were_revoked_are_not() {
        let all = [seen(1, true), seen(2, false), seen(3, true), seen(4, true)];
        let wanted = wanted_members(&view([1, 2, 9]), &all, |one| *one == key(4));
        assert_eq!(wanted, set(&[key(1), key(3)]));
    }

    #[test]
    fn a_view_keeps_its_members_when_there_are_more_workers_than_places() {
        let all: Vec<_> = (1..=20).map(|seed| seen(seed, true)).collect();
        let members = view(5..=20);
        assert_eq!(wanted_members(&members, &all, |_| false), set(&members.members));
        let fewer = view(10..=20);
        let wanted = wanted_members(&fewer, &all, |_| false);
        assert_eq!((wanted.len(), wanted.is_superset(&set(&fewer.members))), (QUORUM_KEYS_MAX, true));
    }
}
