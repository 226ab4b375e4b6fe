//! The sign step alone: P-256 over 32 bytes as the worker does it, beside SoftHSM2 over PKCS#11, on one core.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use nsl_neo::{PrivateKey, private_key};
use zeroize::Zeroizing;

use crate::closed_loop::per_second;

/// Where Debian's package and others put the module.
const MODULES: [&str; 3] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];
/// Names the file that says where its tokens are; `cargo dev bench` makes one.
const CONFIGURATION: &str = "SOFTHSM2_CONF";
/// P-256 as PKCS#11 wants it: the DER of its object identifier.
const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// A token that lives for one measurement needs no better one.
const PIN: &str = "123456";
/// Of one run.
const RUN_TIME: Duration = Duration::from_secs(1);
/// Between two looks at the clock.
const TURNS: u64 = 100;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("our key failed")]
    Ours(#[from] private_key::Error),
    #[error("SoftHSM2 failed")]
    Peer(#[from] cryptoki::error::Error),
}

/// The peer's token with one key.
pub(super) struct SoftHsm {
    session: Session,
    key: ObjectHandle,
    // Keeps the module loaded; behind what uses it.
    _module: Pkcs11,
}

impl SoftHsm {
    /// Makes a key in a token of its own; `None`, and says how to install it, where there is no SoftHSM2.
    pub(super) fn open() -> Result<Option<Self>, Error> {
        let module = MODULES.map(PathBuf::from).into_iter().find(|path| path.is_file());
        match module {
            Some(module) if std::env::var_os(CONFIGURATION).is_some() => Self::of(&module).map(Some),
            _ => {
                eprintln!("SoftHSM2 is left out: it needs `apt-get install softhsm2` and {CONFIGURATION}");
                Ok(None)
            }
        }
    }

    fn of(module: &Path) -> Result<Self, Error> {
        let pin = AuthPin::new(PIN.into());
        let module = Pkcs11::new(module)?;
        module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
        let mut slots = module.get_all_slots()?;
        slots.truncate(1);
        let slot = slots.pop().ok_or(cryptoki::error::Error::NotSupported)?;
        module.init_token(slot, &pin, "bench")?;
        let session = module.open_rw_session(slot)?;
        session.login(UserType::So, Some(&pin))?;
        session.init_pin(&pin)?;
        session.logout()?;
        session.login(UserType::User, Some(&pin))?;
        let public = [Attribute::EcParams(P256.to_vec()), Attribute::Verify(true)];
        let private = [Attribute::Token(true), Attribute::Sensitive(true), Attribute::Sign(true)];
        let (_, key) = session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private)?;
        Ok(Self { session, key, _module: module })
    }

    /// Signatures a second.
    pub(super) fn run(&self) -> Result<u64, Error> {
        measure(|| self.session.sign(&Mechanism::Ecdsa, self.key, &[1; 32]).map(drop).map_err(Error::Peer))
    }
}

/// Our signatures a second.
pub(super) fn run() -> Result<u64, Error> {
    let key = PrivateKey::from_bytes(Zeroizing::new([7; 32]))?;
    measure(|| key.sign(&[1; 32]).map(drop).map_err(Error::Ours))
}

fn measure(sign: impl Fn() -> Result<(), Error>) -> Result<u64, Error> {
    let (started, mut signed) = (Instant::now(), 0);
    while started.elapsed() < RUN_TIME {
        for _ in 0..TURNS {
            sign()?;
        }
        signed += TURNS;
    }
    Ok(per_second(signed, started.elapsed()))
}
