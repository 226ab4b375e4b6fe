//! A job's certificate: what a majority of the present view endorsed, so that any worker signs what it is for.

use futures::stream::{FuturesUnordered, StreamExt as _};
use nsl_enclave_protocol::Request;
use nsl_schemas::outcome::SealedKey;
use nsl_schemas::policy::Policy;
use nsl_schemas::pool_view::Certificate;
use nsl_schemas::reservation::{Head, Reservation, SealedReservation, WalletName};

use super::{CERTIFICATES_PER_WALLET, Error, Present, Views};

/// What opens a wallet's reservations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opening<'a> {
    pub(crate) sealed_key: &'a SealedKey,
    pub(crate) policy: &'a Policy,
}

impl Views {
    /// The certificate of a reservation: as it is kept, or gathered now.
    pub(crate) async fn certify(
        &self,
        sealed: &SealedReservation,
        opening: Opening<'_>,
    ) -> Result<Certificate, Error> {
        let reservation = &sealed.reservation;
        let wallet = reservation.wallet_name();
        let turn = self.turn(&wallet);
        let _turn = turn.lock().await;
        // One of an earlier view is as good: what was certified once is an ancestor of all that came later.
        if let Some(kept) = self.kept(&wallet, &reservation.head(), None) {
            return Ok(kept);
        }
        let present = self.present().ok_or(Error::NotEstablished)?;
        match self.endorse(&present, sealed, opening).await {
            // Reservations before this one may never have been endorsed: their transfers were given up.
            Err(Error::NoMajority { source: Some(why), .. }) if why.is_of_reservation() => {
                self.catch_up(&present, reservation, opening).await?;
                self.endorse(&present, sealed, opening).await
            }
            endorsed => endorsed,
        }
    }

    /// Has the reservations between what is certified and `reservation`, as the log tells them, endorsed in order.
    async fn catch_up(
        &self,
        present: &Present,
        reservation: &Reservation,
        opening: Opening<'_>,
    ) -> Result<(), Error> {
        let wallet = reservation.wallet_name();
        let mut missing = Vec::new();
        let mut before = self.client.reservations_of(&wallet).await?;
        before.retain(|one| one.reservation.sequence < reservation.sequence);
        while let Some(last) = before.pop() {
            if self.recall(present, &wallet, last.reservation.head()).await.is_ok() {
                break;
            }
            missing.push(last);
        }
        tracing::info!(%wallet.tenant, %wallet.wallet, reservations = missing.len(), "endorsements caught up with the log");
        for sealed in missing.into_iter().rev() {
            self.endorse(present, &sealed, opening).await?;
        }
        Ok(())
    }

    /// Asks every member.
    async fn endorse(
        &self,
        present: &Present,
        sealed: &SealedReservation,
        opening: Opening<'_>,
    ) -> Result<Certificate, Error> {
        let reservation = &sealed.reservation;
        let certificate = self.before(present, reservation).await;
        let request = Request::Endorse {
            certificate: certificate.map(Box::new),
            policy: Box::new(opening.policy.clone()),
            reservation: Box::new(sealed.clone()),
            sealed_key: Box::new(opening.sealed_key.clone()),
        };
        let certificate = self.gather(present, &request, reservation.head()).await?;
        self.remember(&certificate);
        Ok(certificate)
    }

    /// The certificate of the reservation before, if there is one and a majority stands by it.
    async fn before(&self, present: &Present, reservation: &Reservation) -> Option<Certificate> {
        let sequence = reservation.sequence.checked_sub(1).filter(|sequence| *sequence > 0)?;
        let head = Head { sequence, sha256: reservation.previous_sha256 };
        self.recall(present, &reservation.wallet_name(), head).await.ok()
    }

    /// The certificate of what was endorsed, as it is kept, or asked for again: this host may have started anew.
    async fn recall(&self, present: &Present, wallet: &WalletName, head: Head) -> Result<Certificate, Error> {
        if let Some(kept) = self.kept(wallet, &head, Some(present)) {
            return Ok(kept);
        }
        let request = Request::Recall { head, wallet: wallet.clone() };
        let certificate = self.gather(present, &request, head).await?;
        self.remember(&certificate);
        Ok(certificate)
    }

    /// Asks every member, and puts together what a majority says about `head`. Who answers later is not waited for: a
    /// member that is slow jumps by the next certificate.
    async fn gather(&self, present: &Present, request: &Request, head: Head) -> Result<Certificate, Error> {
        let mut asked: FuturesUnordered<_> =
            present.members.values().map(|endpoint| self.ask_endorsement(endpoint, request)).collect();
        let needed = present.view.majority().threshold;
        let mut certificate: Option<Certificate> = None;
        let mut refused = None;
        while let Some(answer) = asked.next().await {
            match answer {
                Ok(said)
                    if said.statement.head == head && said.statement.view_sha256 == present.view_sha256 =>
                {
                    match &mut certificate {
                        Some(certificate) => certificate.signatures.extend(said.signatures),
                        None => certificate = Some(said),
                    }
                }
                Ok(_) => refused = Some(Error::Unexpected),
                // That it is not the next one tells more than that somebody is gone.
                Err(error) if refused.is_none() || error.is_of_reservation() => refused = Some(error),
                Err(_) => {}
            }
            if let Some(whole) = certificate.take_if(|one| one.is_of(&present.view)) {
                return Ok(whole);
            }
        }
        let endorsed = certificate.map_or(0, |certificate| certificate.signatures.len());
        let members = present.view.members.len();
        Err(Error::NoMajority { endorsed, members, needed, source: refused.map(Box::new) })
    }

    fn kept(&self, wallet: &WalletName, head: &Head, of: Option<&Present>) -> Option<Certificate> {
        let is_it = |one: &&Certificate| {
            let statement = &one.statement;
            statement.head == *head && of.is_none_or(|present| statement.view_sha256 == present.view_sha256)
        };
        self.certificates().get(wallet)?.iter().rev().find(is_it).cloned()
    }

    fn remember(&self, certificate: &Certificate) {
        let mut certificates = self.certificates();
        let kept = certificates.entry(certificate.statement.wallet.clone()).or_default();
        if kept.len() >= CERTIFICATES_PER_WALLET {
            kept.pop_front();
        }
        kept.push_back(certificate.clone());
    }
}
