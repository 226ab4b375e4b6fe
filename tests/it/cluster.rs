//! A bus of three servers with three copies of each stream: one after the other is lost and comes back.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use nsl_local_services::Tools;
use serde_json::{Value, json};

use crate::admin;
use crate::crashes::{check_chain, check_commands, check_stream, confirmed};
use crate::load::Load;
use crate::patience::until;
use crate::system::System;

const NODES: usize = 3;
/// Commands that must be acknowledged, and transfers that must be confirmed, while a server is away and again after.
const PROGRESS: usize = 30;

/// One server of the bus; killed when it is dropped.
struct Node {
    program: PathBuf,
    configuration: PathBuf,
    monitoring: String,
    child: Child,
}

impl Node {
    fn spawn(program: &PathBuf, configuration: &PathBuf) -> Child {
        let mut command = Command::new(program);
        command
            .arg("--config")
            .arg(configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().unwrap()
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    async fn start_again(&mut self) {
        self.child = Self::spawn(&self.program, &self.configuration);
        self.is_ready().await;
    }

    /// Waits until it has recovered its streams and knows who leads.
    async fn is_ready(&self) {
        until("a server of the bus is ready", async || admin::get(&self.monitoring, "/healthz").await).await;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may be away at the moment.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Three servers with the users of the site's own, and where clients find them.
async fn start_nodes(system: &System) -> (Vec<Node>, Vec<String>) {
    let program = Tools::from_environment().unwrap().find_nats_server().unwrap().program;
    let own = std::fs::read_to_string(system.configuration("nats.conf")).unwrap();
    let own: Value = serde_json::from_str(&own).unwrap();
    let clients: Vec<String> = (0..NODES).map(|_| free_address()).collect();
    let routes: Vec<String> = (0..NODES).map(|_| free_address()).collect();
    let mut nodes = Vec::new();
    for (index, client) in clients.iter().enumerate() {
        let folder = system.path().join(format!("node-{index}"));
        std::fs::create_dir_all(&folder).unwrap();
        let monitoring = free_address();
        let mut configuration = own.clone();
        configuration["server_name"] = format!("node-{index}").into();
        configuration["listen"] = client.as_str().into();
        configuration["http"] = monitoring.as_str().into();
        configuration["jetstream"]["store_dir"] = folder.join("store").display().to_string().into();
        configuration["cluster"] = json!({
            "name": "nsl-test",
            "listen": routes[index],
            "routes": routes.iter().map(|route| format!("nats://{route}")).collect::<Vec<_>>(),
        });
        let file = folder.join("nats.conf");
        std::fs::write(&file, format!("{configuration:#}")).unwrap();
        let child = Node::spawn(&program, &file);
        nodes.push(Node { program: program.clone(), configuration: file, monitoring, child });
    }
    for node in &nodes {
        node.is_ready().await;
    }
    (nodes, clients.iter().map(|client| format!("nats://{client}")).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_while_one_server_of_three_is_lost() {
    let Some(mut system) = System::start().await else { return };
    let (mut nodes, servers) = start_nodes(&system).await;
    system.move_to_bus(&servers, NODES).await;
    let database = system.database();
    let mut load = Load::start(&system).await;
    for (index, node) in nodes.iter_mut().enumerate() {
        for what in ["lost", "back"] {
            let (acknowledged, confirmed) = (load.acknowledged(), confirmed(&database).await.unwrap());
            match what {
                "lost" => node.kill(),
                _ => node.start_again().await,
            }
            let since = Instant::now();
            until(&format!("work goes on with server {index} {what}"), async || {
                assert!(!load.has_failed(), "a client gave up with server {index} {what}");
                let goes_on = load.acknowledged() >= acknowledged + PROGRESS
                    && self::confirmed(&database).await? >= confirmed + PROGRESS;
                goes_on.then_some(())
            })
            .await;
            let after = since.elapsed().as_secs_f32();
            println!(
                "server {index} of {NODES} {what}; {PROGRESS} further transfers confirmed after {after:.1} s"
            );
        }
    }
    let heard = load.stop().await;
    check_commands(&database, &heard).await;
    check_chain(&system, &load, &heard).await;
    check_stream(&system, &database).await;
    system.check_read_models();
}
