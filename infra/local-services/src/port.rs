//! Free loopback ports.

use std::net::{Ipv4Addr, TcpListener};

use crate::private_file::{self, random_hex};

/// Below Linux' range for outgoing connections (32768…), so that no client takes a port between two starts.
const PORT_FIRST: u16 = 20_000;
const PORT_COUNT: u16 = 12_000;
/// With most ports taken something else is wrong; a machine at rest needs one try.
const TRIES_MAX: u32 = 200;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no free loopback port found in {TRIES_MAX} tries")]
    NoneFree,
    #[error(transparent)]
    Random(#[from] private_file::Error),
}

pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// A random free port that is not among `taken` (chosen for others, who need not listen yet).
pub(crate) fn choose(taken: &[u16]) -> Result<u16, Error> {
    for _ in 0..TRIES_MAX {
        let random = u16::from_str_radix(&random_hex(2)?, 16).unwrap_or_default();
        let port = PORT_FIRST + random % PORT_COUNT;
        if !taken.contains(&port) && is_free(port) {
            return Ok(port);
        }
    }
    Err(Error::NoneFree)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_port_is_free_and_in_range() {
        let port = choose(&[]).unwrap();
        assert!((PORT_FIRST..PORT_FIRST + PORT_COUNT).contains(&port));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(!is_free(port));
        drop(listener);
    }

    #[test]
    fn gives_up_when_every_port_is_taken() {
        let all: Vec<u16> = (PORT_FIRST..PORT_FIRST + PORT_COUNT).collect();
        assert!(matches!(choose(&all), Err(Error::NoneFree)));
    }
}
