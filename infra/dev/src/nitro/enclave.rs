//! One emulated enclave: its monitor and its machine as processes of the site, what a parent does for it, and what it
//! proves.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use aws_lc_rs::rand;
use nsl_client::authority;
use nsl_enclave_image::deliver::deliver;
use nsl_enclave_init::boot::{self, Contents};
use nsl_enclave_protocol::{Channel, ChannelOptions, Endpoint, Request, Response};
use nsl_local_services::{Readiness, Site, Specification, StopSignal};
use nsl_schemas::bytes::{Base64, Pcr};
use nsl_verify::attestation::{self, Expectation, TrustRoot, VerifyTime};
use tokio::time::Instant;

use super::machine::{self, Machine};
use crate::ceremony::Files;
use crate::image::{self, Image};
use crate::interrupt;
use crate::report::Report;

/// The guest's context id: any above those that are reserved.
const GUEST_CID: u32 = 4;
/// Memory of the machine: the kernel, 40 MB of image and the worker's caches fit well.
const MEMORY_MIB: u32 = 1024;
/// Where an enclave says that it has booted, and what it says.
const HEARTBEAT_PORT: u32 = 9000;
const HEARTBEAT: [u8; 1] = [0xb7];
/// An emulated boot takes 7 to 25 s; a loaded machine needs several times as long.
const BOOT_LIMIT: Duration = Duration::from_mins(4);
/// How often a boot that hangs is looked at.
const POLL: Duration = Duration::from_millis(500);
/// One delivery or question, once the enclave runs.
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// Bytes of a challenge: nobody guesses one.
const NONCE_BYTES: usize = 32;
/// The processes' names, in logs too.
const MONITOR: &str = "vhost-device-vsock";
const MACHINE: &str = "qemu-enclave";

/// A booted enclave.
pub(super) struct Enclave {
    endpoint: Endpoint,
}

impl Enclave {
    /// Boots the image and sees the enclave prove itself.
    pub(super) fn boot(
        site: &mut Site,
        machine: &Machine,
        image: &Image,
        files: &Files,
        report: &mut Report,
    ) -> anyhow::Result<Self> {
        let run = site.directory().run();
        let sockets = Sockets { guest: run.join("enclave.vsock"), monitor: run.join("vhost.sock") };
        let file = site.directory().path().join("enclave.eif");
        image::write(&file, &image.bytes)?;
        report.step("Boot the development image in QEMU's nitro-enclave machine");
        report.fact("machine", machine::describe());
        let heartbeat = await_heartbeat(&sockets.of_host(HEARTBEAT_PORT))?;
        start_processes(site, machine, &sockets, &file)?;
        await_boot(site, &heartbeat)?;
        report.fact("heartbeat", "0xb7, over AF_VSOCK in the guest");
        report.step("Deliver the boot files: manifest, development root, sealing key");
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(deliver(&sockets.of_guest(boot::PORT), &contents(files)?, CALL_LIMIT))?;
        report.fact("accepted", format!("{} files", boot::FILES.len()));
        report.step("Challenge the worker: its document has what the real /dev/nsm measured");
        let enclave = Self { endpoint: sockets.of_guest(boot::WORKER_PORT) };
        runtime.block_on(enclave.check_measurements(image, files, report))?;
        Ok(enclave)
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Asks for a document with a fresh nonce, verifies it as the host does, and compares its registers with the
    /// computed ones.
    async fn check_measurements(&self, image: &Image, files: &Files, report: &Report) -> anyhow::Result<()> {
        let manifest = authority::read_genesis(&std::fs::read(&files.genesis)?)?.statement;
        let mut nonce = vec![0; NONCE_BYTES];
        rand::fill(&mut nonce).map_err(|_| anyhow::anyhow!("no randomness"))?;
        let document = self.register(nonce.clone()).await?;
        let expected = image.build();
        let expectation =
            Expectation::of_manifest([expected.measurements()], manifest.sha256().0).answering(nonce);
        let root = TrustRoot::from_sha256(manifest.attestation_root_sha256.0)?;
        let now = VerifyTime::At(nsl_client::prepared::unix_now_ms());
        let document = attestation::verify(&document, &expectation, &root, now)?;
        report.fact("module", &document.module_id);
        for (index, expected) in (0..).zip(expected.measurements()) {
            let found = document.pcrs.get(&index).context("a register is not in the document")?;
            ensure!(*found == expected, "PCR{index} is {}, not {}", Pcr(*found), Pcr(expected));
            report.fact(&format!("PCR{index} as computed"), Pcr(*found));
        }
        report.fact("PCR16", "commits to the genesis manifest");
        Ok(())
    }

    /// Registers as a host does, until the worker listens.
    async fn register(&self, nonce: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        let deadline = Instant::now() + CALL_LIMIT;
        let channel = loop {
            match Channel::connect(self.endpoint.clone(), ChannelOptions::default()).await {
                Ok(channel) => break channel,
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Err(_) => tokio::time::sleep(POLL).await,
            }
        };
        let request = Request::Register { nonce: Base64(nonce) };
        let answer = channel.call(request.to_bytes(), Instant::now() + CALL_LIMIT).await?;
        match Response::from_bytes(&answer)? {
            Response::Registration { attestation, .. } => Ok(attestation.0),
            other => bail!("the worker answered {other:?}"),
        }
    }
}

/// What the enclave's kernel and programs print.
pub(super) fn console(site: &Site) -> PathBuf {
    site.directory().log(MACHINE)
}

/// The two Unix sockets of the monitor.
struct Sockets {
    /// Hybrid: `CONNECT <port>` to the guest's ports; `_<port>` appended, the host's.
    guest: PathBuf,
    /// Between monitor and machine.
    monitor: PathBuf,
}

impl Sockets {
    fn of_guest(&self, port: u32) -> Endpoint {
        Endpoint::HybridVsock { path: self.guest.clone(), port }
    }

    fn of_host(&self, port: u32) -> PathBuf {
        PathBuf::from(format!("{}_{port}", self.guest.display()))
    }
}

fn start_processes(
    site: &mut Site,
    machine: &Machine,
    sockets: &Sockets,
    image: &Path,
) -> anyhow::Result<()> {
    let (guest, monitor) = (sockets.guest.display(), sockets.monitor.display());
    let arguments = ["--vm".to_owned(), format!("guest-cid={GUEST_CID},uds-path={guest},socket={monitor}")];
    // A connection to the monitor's socket would be taken for the machine's.
    let is_there = Readiness::Command {
        program: "/usr/bin/test".into(),
        arguments: vec!["-S".into(), sockets.monitor.clone().into()],
    };
    start(site, MONITOR, &machine.monitor, &arguments, is_there)?;
    let firmware = machine.firmware.display().to_string();
    let memory = MEMORY_MIB.to_string();
    let chardev = format!("socket,id=vsock,path={monitor}");
    let image = image.display().to_string();
    let arguments = [
        "-M",
        "nitro-enclave,vsock=vsock,id=nsl,accel=tcg,acpi=on",
        "-cpu",
        "max",
        "-L",
        &firmware,
        "-m",
        &memory,
        "-kernel",
        &image,
        "-chardev",
        &chardev,
        "-nographic",
        "-no-reboot",
    ]
    .map(str::to_owned);
    let runs = Readiness::Command { program: "/usr/bin/true".into(), arguments: Vec::new() };
    start(site, MACHINE, &machine.qemu, &arguments, runs)
}

fn start(
    site: &mut Site,
    name: &str,
    program: &Path,
    arguments: &[String],
    readiness: Readiness,
) -> anyhow::Result<()> {
    Ok(site.start_process(Specification {
        name: name.to_owned(),
        program: program.to_owned(),
        arguments: arguments.iter().map(Into::into).collect(),
        environment: Vec::new(),
        working_directory: site.directory().path().to_owned(),
        stop_signal: StopSignal::Terminate,
        readiness,
    })?)
}

/// Answers the enclave's heartbeat, once, as nitro-cli does.
fn await_heartbeat(socket: &Path) -> anyhow::Result<mpsc::Receiver<std::io::Result<[u8; 1]>>> {
    let listener =
        UnixListener::bind(socket).with_context(|| format!("cannot listen on {}", socket.display()))?;
    let (tell, heard) = mpsc::channel();
    std::thread::spawn(move || {
        let answer = || {
            let (mut stream, _) = listener.accept()?;
            let mut beat = [0];
            stream.read_exact(&mut beat)?;
            stream.write_all(&beat)?;
            Ok(beat)
        };
        // Nobody listens when the boot was given up.
        let _ = tell.send(answer());
    });
    Ok(heard)
}

fn await_boot(site: &mut Site, heartbeat: &mpsc::Receiver<std::io::Result<[u8; 1]>>) -> anyhow::Result<()> {
    let deadline = std::time::Instant::now() + BOOT_LIMIT;
    loop {
        match heartbeat.recv_timeout(POLL) {
            Ok(beat) => {
                let beat = beat.context("heartbeat")?;
                ensure!(beat == HEARTBEAT, "the enclave's heartbeat is {beat:02x?}");
                return Ok(());
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => bail!("nobody waits for the heartbeat"),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        let log = console(site);
        if let Some((name, status)) = site.take_exits()?.into_iter().next() {
            bail!("{name} ended with {status} before the enclave had booted; its console: {}", log.display());
        }
        ensure!(!interrupt::was_requested(), "interrupted");
        ensure!(
            std::time::Instant::now() < deadline,
            "the enclave does not boot; its console: {}",
            log.display()
        );
    }
}

fn contents(files: &Files) -> anyhow::Result<Contents> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    Ok(Contents::from([
        (boot::GENESIS.name, read(&files.genesis)?),
        (boot::DEVELOPMENT_ROOT.name, read(&files.nsm_root)?),
        (boot::DEVELOPMENT_SEALING_KEY.name, read(&files.sealing_key)?),
    ]))
}
