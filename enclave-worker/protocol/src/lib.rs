//! The channel between a host and its enclave workers, and the only place with sockets for either.
//!
//! A [`Channel`] pipelines calls over one long-lived connection to an [`Endpoint`] (AF_VSOCK, a hybrid vsock
//! socket or a Unix socket), a [`Pool`] spreads them over several workers, and [`serve`] answers them. Both
//! treat messages as opaque bytes; what host and workers say in them is [`Request`] and [`Response`]. Every size,
//! count and wait is bounded, see [`limits`].

pub mod channel;
pub mod credentials;
pub mod endpoint;
pub mod frame;
pub mod http;
pub mod hybrid;
pub mod limits;
pub mod link;
pub mod listener;
pub mod pool;
pub mod pool_view;
pub mod request;
pub mod response;
pub mod server;
pub mod stream;

pub use channel::{Admission, AdmissionError, Channel, ChannelOptions, Newcomer};
pub use credentials::AwsCredentials;
pub use endpoint::Endpoint;
pub use listener::Listener;
pub use pool::{Pool, PoolOptions};
pub use request::Request;
pub use response::{Description, Response};
pub use server::{ServerLimits, serve};
pub use stream::{Stream, connect};
