//! The protocol's ceilings. A server may advertise less in its hello, never more; a peer that passes one is
//! refused by name before anything is allocated for it.

/// Longest request: a job carries a command's payload (64 KiB, at most twice that as a JSON string), its grant chain and
/// the wallet's policy; whatever the service accepted must reach a worker.
pub const REQUEST_BYTES_MAX: usize = 256 * 1024;

/// Longest response: attestation documents with their certificate chain and batches of sealed keys fit well.
pub const RESPONSE_BYTES_MAX: usize = 256 * 1024;

/// Most messages in one frame: enough to spread one system call over many small jobs, little enough that one
/// frame cannot occupy the reader for long.
pub const MESSAGES_PER_FRAME_MAX: usize = 64;

/// Request id, kind and length in front of each message.
pub const MESSAGE_HEADER_BYTES: usize = 8 + 1 + 4;

/// Longest batch body: the largest single message just fits, so no message ever needs two frames.
pub const BATCH_BODY_BYTES_MAX: usize = MESSAGE_HEADER_BYTES + RESPONSE_BYTES_MAX;

/// Longest single write: vsock packets over 32 KiB broke several monitors (cloud-hypervisor #7672, libkrun #535).
pub const WRITE_BYTES_MAX: usize = 31 * 1024;

/// Largest credit window. With the largest requests a full window is 256 MiB on the caller's side.
pub const WINDOW_MAX: u16 = 1024;

/// Longest pause between a server's pings: a dead peer must be noticed within minutes, whatever it announced.
pub const PING_INTERVAL_MS_MAX: u32 = 60_000;

/// A connection on which nothing arrived for this many ping intervals is dead: one lost, one late, one spare.
pub const SILENT_PING_INTERVALS: u32 = 3;
