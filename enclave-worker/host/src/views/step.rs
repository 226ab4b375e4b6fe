//! One step of the pool's view: a majority leaves it, and the next members begin.

use nsl_enclave_protocol::pool_view::{LINKS_PER_MESSAGE, PoolAnswer, PoolRequest};
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::pool_view::{Finalisation, PoolLink, PoolView, succeeds};

use super::members::Seen;
use super::{Error, Views};

impl Views {
    /// Moves `view` on to `members`. What fails half way is taken up again at the next look: who has left says so, and
    /// says the same again.
    pub(super) async fn step(
        &self,
        view: &PoolView,
        inside: &[&Seen],
        seen: &[Seen],
        members: Vec<PublicKey>,
    ) -> Result<(), Error> {
        let needed = view.majority().threshold;
        if inside.len() < usize::from(needed) {
            // Nobody must be told to leave whom nobody can follow.
            let members = view.members.len();
            return Err(Error::NoMajority { endorsed: inside.len(), members, needed, source: None });
        }
        let farewells = self.farewells(view, inside, &members).await?;
        let (next, _) = succeeds(view, &farewells)?;
        let links = match inside.first() {
            Some(one) => self.links(&one.endpoint).await?,
            None => Vec::new(),
        };
        let mut trouble = None;
        for one in seen.iter().filter(|one| next.has(&one.status.key)) {
            match self.bring(one, &links, &farewells, &next).await {
                Ok(()) => tracing::info!(endpoint = %one.endpoint, number = next.number, "worker endorses"),
                Err(error) => trouble = Some(error),
            }
        }
        trouble.map_or(Ok(()), Err)
    }

    /// Has members of `view` begin that missed its beginning: this host, or the way to them, failed half way. Those who
    /// left the view before for this one say so again.
    pub(super) async fn join(
        &self,
        view: &PoolView,
        inside: &[&Seen],
        outside: &[&Seen],
        seen: &[Seen],
    ) -> Result<(), Error> {
        let Some(one) = inside.first() else { return Ok(()) };
        let links = self.links(&one.endpoint).await?;
        let Some((last, before)) = links.split_last().filter(|(last, _)| last.view == *view) else {
            return Err(Error::Unexpected);
        };
        let mut farewells = Vec::new();
        for left in &last.finalisations {
            let leaver = left.signatures.first().map(|signature| signature.key);
            let leaver = seen.iter().find(|one| Some(one.status.key) == leaver).ok_or(Error::Gone)?;
            let (members, view_sha256) = (view.members.clone(), left.statement.view_sha256);
            let request = PoolRequest::Finalise { members, newcomers: Vec::new(), view_sha256 };
            match self.ask_pool(&leaver.endpoint, request).await? {
                PoolAnswer::Finalised { finalisation } => farewells.push(finalisation),
                _ => return Err(Error::Unexpected),
            }
        }
        for one in outside.iter().filter(|one| view.has(&one.status.key)) {
            self.bring(one, before, &farewells, view).await?;
            tracing::info!(endpoint = %one.endpoint, number = view.number, "worker endorses too");
        }
        Ok(())
    }

    /// What a majority says that leaves for `members`, and no more of them: every link carries them for good.
    async fn farewells(
        &self,
        view: &PoolView,
        inside: &[&Seen],
        members: &[PublicKey],
    ) -> Result<Vec<Finalisation>, Error> {
        let (view_sha256, needed) = (view.sha256(), usize::from(view.majority().threshold));
        let newcomers = self.newcomers(view, members).await?;
        let (mut farewells, mut trouble) = (Vec::new(), None);
        for one in inside {
            let (members, newcomers) = (members.to_vec(), newcomers.clone());
            let request = PoolRequest::Finalise { members, newcomers, view_sha256 };
            match self.ask_pool(&one.endpoint, request).await {
                Ok(PoolAnswer::Finalised { finalisation }) => farewells.push(finalisation),
                Ok(_) => trouble = Some(Error::Unexpected),
                Err(error) => trouble = Some(error),
            }
            if farewells.len() >= needed {
                break;
            }
        }
        match trouble {
            Some(error) if farewells.len() < needed => Err(error),
            _ => Ok(farewells),
        }
    }

    /// Shows a worker all that it needs to begin.
    async fn bring(
        &self,
        one: &Seen,
        links: &[PoolLink],
        farewells: &[Finalisation],
        next: &PoolView,
    ) -> Result<(), Error> {
        let unknown = links.get(one.status.links..).unwrap_or_default();
        for links in unknown.chunks(LINKS_PER_MESSAGE) {
            self.ask_pool(&one.endpoint, PoolRequest::Learn { links: links.to_vec() }).await?;
        }
        for finalisation in farewells {
            let finalisation = finalisation.clone();
            self.ask_pool(&one.endpoint, PoolRequest::Witness { finalisation }).await?;
        }
        let keys = |one: &Finalisation| one.signed.signatures.first().map(|signature| signature.key);
        let (leavers, view) = (farewells.iter().filter_map(keys).collect(), next.clone());
        self.ask_pool(&one.endpoint, PoolRequest::Establish { heads: None, leavers, view }).await.map(drop)
    }
}
