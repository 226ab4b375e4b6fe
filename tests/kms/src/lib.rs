//! A server that speaks the part of AWS KMS' protocol that workers use, over real TLS: it checks signatures of requests and
//! attestation documents, has a key policy, and answers with real envelopes. And, told to, it answers wrongly.
//!
//! For tests alone. It shares no code with what it tests but the verifier of attestation documents.

mod authority;
mod conduct;
mod envelope;
mod http;
mod keys;
mod refusal;
mod server;
mod signature;

pub use authority::Authority;
pub use conduct::Conduct;
pub use server::{KeyPolicy, Server, Settings};
pub use signature::Caller;
