//! What a development worker measures itself as: its own executable stands for the image.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA384, digest};
use nsl_schemas::authority::Build;
use nsl_schemas::bytes::Pcr;
use nsl_verify::attestation::PCR_BYTES;

/// This process's executable, also when its file was replaced since.
const OWN_EXECUTABLE: &str = "/proc/self/exe";
/// Read at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// The executable could not be measured.
#[derive(Debug, thiserror::Error)]
#[error("cannot measure the executable")]
pub struct Error(#[source] std::io::Error);

/// Measures this process's executable: PCR0 and PCR1 are its SHA-384, PCR2 is the SHA-384 of nothing, as there is no
/// second ramdisk.
pub fn own_build() -> Result<Build, Error> {
    let executable = sha384_of(Path::new(OWN_EXECUTABLE)).map_err(Error)?;
    let name = concat!(env!("CARGO_PKG_VERSION"), "-development").to_owned();
    Ok(Build { name, pcr0: executable, pcr1: executable, pcr2: pcr(digest(&SHA384, b"").as_ref()) })
}

fn sha384_of(path: &Path) -> std::io::Result<Pcr> {
    let mut file = File::open(path)?;
    let mut context = Context::new(&SHA384);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = file.read(&mut chunk)?;
        match chunk.get(..read) {
            None | Some([]) => return Ok(pcr(context.finish().as_ref())),
            Some(bytes) => context.update(bytes),
        }
    }
}

fn pcr(digest: &[u8]) -> Pcr {
    let mut value = [0; PCR_BYTES];
    value.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
    Pcr(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_the_running_executable() {
        let build = own_build().unwrap();
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(build.pcr0.0[..], *digest(&SHA384, &bytes).as_ref());
        assert_eq!(build.pcr1, build.pcr0);
        assert!(build.pcr2.to_string().starts_with("38b060a751ac96384cd9327eb1b1e36a"));
    }
}
