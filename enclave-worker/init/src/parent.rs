//! The parent instance: told that the enclave is up, and asked for the boot files.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nsl_enclave_init::boot::{ACCEPTED, Contents, GREETING, PORT, decode};
use vsock::{VMADDR_CID_ANY, VsockListener, VsockStream};

/// The parent's context id: 3 on Nitro; an emulated enclave's monitor passes on nothing but what is for 2.
pub(crate) const PARENT_CID: u32 = if cfg!(feature = "development") { 2 } else { 3 };
/// Where nitro-cli waits for the heartbeat.
const HEARTBEAT_PORT: u32 = 9000;
/// The heartbeat, and its answer.
const HEARTBEAT: [u8; 1] = [0xb7];
/// A parent that is silent for so long is given up for the next one.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Says that the enclave has booted.
pub(crate) fn send_heartbeat() -> anyhow::Result<()> {
    let mut stream = VsockStream::connect_with_cid_port(PARENT_CID, HEARTBEAT_PORT)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    stream.write_all(&HEARTBEAT)?;
    let mut answer = [0];
    stream.read_exact(&mut answer)?;
    ensure!(answer == HEARTBEAT, "the parent answered {answer:02x?}");
    Ok(())
}

/// From now on parents can connect to deliver.
pub(crate) fn listen() -> anyhow::Result<VsockListener> {
    VsockListener::bind_with_cid_port(VMADDR_CID_ANY, PORT).context("cannot listen for boot files")
}

/// Waits for a parent that delivers what this build needs.
pub(crate) fn receive_files(deliveries: &VsockListener) -> anyhow::Result<Contents> {
    loop {
        let (mut stream, _) = deliveries.accept().context("cannot listen for boot files")?;
        match receive(&mut stream) {
            Ok(files) => return Ok(files),
            Err(error) => {
                let refusal = format!("{error:#}");
                super::say(&format!("boot files not taken: {refusal}"));
                // Whoever sent them may be gone.
                let _ = writeln!(stream, "{refusal}");
            }
        }
    }
}

fn receive(stream: &mut VsockStream) -> anyhow::Result<Contents> {
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    stream.set_write_timeout(Some(SILENCE_MAX))?;
    stream.write_all(GREETING)?;
    let files = decode(stream)?;
    writeln!(stream, "{ACCEPTED}")?;
    Ok(files)
}
