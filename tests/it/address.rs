//! The one address of the database, as a load balancer or a floating address gives it: whatever it leads to is the primary.

use std::net::Ipv4Addr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Passes connections on to a port of this machine, which changes.
pub(crate) struct Address {
    pub(crate) port: u16,
    /// `None` while nobody is there.
    target: watch::Sender<Option<u16>>,
    task: JoinHandle<()>,
}

impl Address {
    /// An address that leads to a port.
    pub(crate) async fn of(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let own_port = listener.local_addr().unwrap().port();
        let (target, targets) = watch::channel(Some(port));
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(pass_on(client, targets.clone()));
            }
        });
        Self { port: own_port, target, task }
    }

    /// Leads elsewhere from now on; whoever is connected is cut off.
    pub(crate) fn lead_to(&self, port: Option<u16>) {
        self.target.send_replace(port);
    }
}

async fn pass_on(mut client: TcpStream, mut targets: watch::Receiver<Option<u16>>) {
    let Some(port) = *targets.borrow_and_update() else { return };
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = targets.changed() => {}
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        self.task.abort();
    }
}
