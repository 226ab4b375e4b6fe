//! Which views followed the operators' last one, each proven by the majority of the one before it.

use nsl_schemas::bytes::Sha256;
use nsl_schemas::pool_view::{LINKS_MAX, PoolLink, PoolView};

use super::Error;

/// The operators' view and what followed it.
#[derive(Debug)]
pub(super) struct Lineage {
    root: PoolView,
    links: Vec<PoolLink>,
    /// Of `root` and `links`.
    names: Vec<Sha256>,
}

impl Lineage {
    /// Before anything followed.
    pub(super) fn of_root(root: PoolView) -> Self {
        Self { names: vec![root.sha256()], root, links: Vec::new() }
    }

    pub(super) fn root(&self) -> &PoolView {
        &self.root
    }

    /// The last view that is known.
    pub(super) fn tip(&self) -> &PoolView {
        self.links.last().map_or(&self.root, |link| &link.view)
    }

    pub(super) fn links(&self) -> &[PoolLink] {
        &self.links
    }

    /// The view of this name.
    pub(super) fn named(&self, view_sha256: &Sha256) -> Option<&PoolView> {
        // The newest first: it is asked for with every signature.
        let at = self.names.iter().rposition(|name| name == view_sha256)?;
        match at.checked_sub(1) {
            None => Some(&self.root),
            Some(at) => self.links.get(at).map(|link| &link.view),
        }
    }

    /// Takes in what follows; what is known already is passed over.
    pub(super) fn learn(&mut self, links: Vec<PoolLink>) -> Result<(), Error> {
        let is_new = |link: &PoolLink, tip: &PoolView| link.view.number > tip.number;
        for link in links {
            if is_new(&link, self.tip()) {
                link.follows(self.tip())?;
                self.push(link)?;
            }
        }
        Ok(())
    }

    /// Takes in a link that was checked.
    pub(super) fn push(&mut self, link: PoolLink) -> Result<(), Error> {
        if self.links.len() >= LINKS_MAX {
            return Err(Error::Succession(nsl_schemas::pool_view::SuccessionError::Links));
        }
        self.names.push(link.view.sha256());
        self.links.push(link);
        Ok(())
    }
}
