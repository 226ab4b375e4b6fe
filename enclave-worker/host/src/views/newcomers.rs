//! What proves to the members of a view that a worker may join them: the document of its registration, which the log has.

use nsl_schemas::bytes::Base64;
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::pool_view::PoolView;

use super::{Error, Views};

impl Views {
    /// The documents of those among `members` that are not of `view`.
    pub(super) async fn newcomers(
        &self,
        view: &PoolView,
        members: &[PublicKey],
    ) -> Result<Vec<Base64>, Error> {
        let mut documents = Vec::new();
        for key in members.iter().filter(|key| !view.has(key)) {
            let registered = self.client.worker_registration(key).await?;
            documents.push(registered.ok_or(Error::Unregistered(*key))?.attestation);
        }
        Ok(documents)
    }
}
