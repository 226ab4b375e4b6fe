//! What a host asks of a worker about the pool's view, and what it is told. The host only carries what members state:
//! each judges for itself.

use nsl_schemas::bytes::{Base64, Sha256};
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::pool_view::{Finalisation, Heads, PoolLink, PoolView};
use serde::{Deserialize, Serialize};

/// Most links of one message: a link of 16 members has under 14 KiB, and a message at most 256 KiB.
pub const LINKS_PER_MESSAGE: usize = 16;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PoolRequest {
    /// In which view are you? Proves nothing.
    Status,
    /// Which views followed the operators'?
    Links {
        /// How many of them the asker has.
        from: usize,
    },
    /// These views followed the operators'; those that are known are passed over.
    Learn {
        /// In their order.
        links: Vec<PoolLink>,
    },
    /// Leave your view for these members. The same question gets the same answer, one for other members none.
    Finalise {
        /// The next view's.
        members: Vec<PublicKey>,
        /// For each of them that is not of this view, the document of its registration.
        newcomers: Vec<Base64>,
        /// The view.
        view_sha256: Sha256,
    },
    /// A member left the last view that you know of.
    Witness {
        /// Its farewell.
        finalisation: Finalisation,
    },
    /// Begin to endorse in this view.
    Establish {
        /// What it starts with, where the operators established it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        heads: Option<Heads>,
        /// The members whose farewells it follows from, where it follows from such.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        leavers: Vec<PublicKey>,
        /// The view.
        view: PoolView,
    },
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PoolAnswer {
    /// To `status`, `learn`, `witness` and `establish`.
    Status {
        /// Where the worker is then.
        status: PoolStatus,
    },
    /// To `links`: the next of them, at most [`LINKS_PER_MESSAGE`].
    Links {
        /// In their order.
        links: Vec<PoolLink>,
    },
    /// To `finalise`.
    Finalised {
        /// The worker's farewell.
        finalisation: Finalisation,
    },
}

/// Where a worker is, unproven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolStatus {
    /// The key by which it is a member.
    pub key: PublicKey,
    /// How many views it knows to have followed the operators' last.
    pub links: usize,
    /// For whom it left its view, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_for: Option<Vec<PublicKey>>,
    /// The view that it endorses in, or has left; none if it never was in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<PoolView>,
}
