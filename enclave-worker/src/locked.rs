//! Secrets in memory that never reaches swap: each on a locked page of its own, wiped when it ends.
//!
//! Locking a page is counted by the kernel once, however many secrets lie on it, so secrets do not share pages and a
//! page that was locked stays so: it is wiped and waits for the next secret. No secret is held without a locked page.

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::sys::mman::mlock;
use nix::sys::resource::{Resource, getrlimit};
use zeroize::Zeroize as _;

/// The smallest page of the machines that we run on; a larger one is locked whole.
const PAGE_BYTES: usize = 4096;
/// Most secrets at once, 1 MiB: far more than there are threads that each open one, and within every usual limit.
const PAGES_MAX: usize = 256;

/// Why a secret cannot be held.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The operating system does not let this process lock memory.
    #[error(
        "cannot lock memory for a secret: this process may lock {limit_bytes} bytes; raise its limit (ulimit -l, \
         LimitMEMLOCK=, --ulimit memlock=) or grant CAP_IPC_LOCK"
    )]
    Lock {
        /// `RLIMIT_MEMLOCK`.
        limit_bytes: u64,
        /// What the operating system said.
        #[source]
        source: Errno,
    },
    /// Every page is taken.
    #[error("more than {PAGES_MAX} secrets are held at once")]
    TooMany,
    /// It does not fit a page.
    #[error("a secret of {bytes} bytes is longer than {PAGE_BYTES}")]
    TooLong {
        /// Its size.
        bytes: usize,
    },
}

#[repr(C, align(4096))]
struct Page([u8; PAGE_BYTES]);

/// The locked pages that hold no secret now, all zero, and how many there are in all.
#[derive(Default)]
struct Pages {
    free: Vec<Box<Page>>,
    locked: usize,
}

static PAGES: Mutex<Pages> = Mutex::new(Pages { free: Vec::new(), locked: 0 });

/// Plain data that no panic leaves half changed.
fn pages() -> MutexGuard<'static, Pages> {
    PAGES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pages {
    fn take(&mut self) -> Result<Box<Page>, Error> {
        if let Some(page) = self.free.pop() {
            return Ok(page);
        }
        if self.locked >= PAGES_MAX {
            return Err(Error::TooMany);
        }
        let page = Box::new(Page([0; PAGE_BYTES]));
        lock(&page)?;
        self.locked += 1;
        Ok(page)
    }
}

#[expect(unsafe_code, reason = "the system call takes an address")]
fn lock(page: &Page) -> Result<(), Error> {
    // SAFETY: the range is the page's own memory, and locking changes no byte of it.
    let locked = unsafe { mlock(NonNull::from(page).cast(), size_of::<Page>()) };
    locked.map_err(|source| {
        let limit_bytes = getrlimit(Resource::RLIMIT_MEMLOCK).map_or(0, |(soft, _)| soft);
        Error::Lock { limit_bytes, source }
    })
}

/// A secret. It cannot be cloned and is never printed.
pub struct LockedBytes {
    /// Taken when dropped, and not before.
    page: Option<Box<Page>>,
    length: usize,
}

impl LockedBytes {
    /// Zeros, for a secret to be written over.
    pub fn zeroed(length: usize) -> Result<Self, Error> {
        if length > PAGE_BYTES {
            return Err(Error::TooLong { bytes: length });
        }
        Ok(Self { page: Some(pages().take()?), length })
    }

    /// Moves a secret in; `secret` is wiped.
    pub fn take(secret: &mut [u8]) -> Result<Self, Error> {
        let taken = Self::zeroed(secret.len()).map(|mut locked| {
            locked.copy_from_slice(secret);
            locked
        });
        secret.zeroize();
        taken
    }
}

impl Deref for LockedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.page.as_ref().and_then(|page| page.0.get(..self.length)).unwrap_or_default()
    }
}

impl DerefMut for LockedBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.page.as_mut().and_then(|page| page.0.get_mut(..self.length)).unwrap_or_default()
    }
}

impl Drop for LockedBytes {
    fn drop(&mut self) {
        if let Some(mut page) = self.page.take() {
            page.0.zeroize();
            pages().free.push(page);
        }
    }
}

impl std::fmt::Debug for LockedBytes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "LockedBytes({})", self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tests share the process' pages.
    static TURN: Mutex<()> = Mutex::new(());

    fn turn() -> MutexGuard<'static, ()> {
        TURN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn locked_kib() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmLck:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    #[test]
    fn a_secret_lies_on_a_locked_page_and_its_source_is_wiped() {
        let _turn = turn();
        let mut source = [7; 32];
        let secret = LockedBytes::take(&mut source).unwrap();
        assert_eq!((&*secret, source), ([7; 32].as_slice(), [0; 32]));
        assert!(locked_kib() >= 4, "{} KiB", locked_kib());
        assert_eq!(secret.as_ptr().align_offset(PAGE_BYTES), 0);
        assert!(!format!("{secret:?}").contains('7'));
    }

    #[test]
    fn a_page_is_wiped_before_it_serves_the_next_secret() {
        let _turn = turn();
        let first = LockedBytes::take(&mut [9; PAGE_BYTES]).unwrap();
        let place = first.as_ptr();
        drop(first);
        let next = LockedBytes::zeroed(PAGE_BYTES).unwrap();
        assert_eq!(next.as_ptr(), place);
        assert_eq!(&*next, [0; PAGE_BYTES].as_slice());
    }

    #[test]
    fn secrets_are_bounded_in_length_and_number() {
        let _turn = turn();
        assert_eq!(LockedBytes::zeroed(4097).unwrap_err(), Error::TooLong { bytes: 4097 });
        let held: Vec<_> = (0..PAGES_MAX).map(|_| LockedBytes::zeroed(1).unwrap()).collect();
        assert_eq!(LockedBytes::zeroed(1).unwrap_err(), Error::TooMany);
        drop(held);
        assert!(LockedBytes::zeroed(1).is_ok());
    }

    #[test]
    fn a_limit_is_named_with_what_to_do() {
        let error = Error::Lock { limit_bytes: 65_536, source: Errno::ENOMEM }.to_string();
        assert!(error.contains("65536 bytes") && error.contains("LimitMEMLOCK"), "{error}");
    }
}
