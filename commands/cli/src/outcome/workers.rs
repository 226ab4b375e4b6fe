//! Hosts and their workers for people.

use nsl_schemas::query::{HostStatus, PoolViewStatus, Rollout, WorkerState, WorkerStatus};

use super::human::table;

/// Digits of a PCR0 that tell the builds of a site apart.
const BUILD_DIGITS: usize = 12;

/// One table a host, below a line about it.
pub(super) fn show(hosts: &[HostStatus]) -> String {
    hosts.iter().map(host).collect::<Vec<_>>().join("\n\n")
}

fn host(status: &HostStatus) -> String {
    let rollout = match status.rollout {
        Rollout::None => "",
        Rollout::UnderWay => ", being replaced",
        Rollout::Done => ", replaced",
        Rollout::Halted => ", replacement halted",
    };
    let (count, size) = (status.workers.len(), status.size);
    let line = format!("host {}: {count} workers, pool of {size}{rollout}", status.host);
    let view = status.pool_view.iter().map(pool_view);
    let error = status.error.iter().map(|error| format!("last failure: {error}"));
    let headers = ["ENDPOINT", "STATE", "VIEW", "BUILD", "VERSION", "IN FLIGHT", "DONE", "REASON"];
    let workers = table(&headers, status.workers.iter().map(|worker| row(worker, status.pool_view.as_ref())));
    [line].into_iter().chain(view).chain(error).chain([workers]).collect::<Vec<_>>().join("\n")
}

/// What the pool's view comes to.
fn pool_view(view: &PoolViewStatus) -> String {
    let (endorsing, members) = (view.endorsing.len(), view.members.len());
    let lost = if view.has_majority { "" } else { ": no majority, the operators must establish a pool" };
    format!("view {}: {endorsing} of {members} members endorse{lost}", view.number)
}

/// Whether the worker endorses reservations.
fn part(worker: &WorkerStatus, view: Option<&PoolViewStatus>) -> &'static str {
    match (worker.key, view) {
        (Some(key), Some(view)) if view.endorsing.contains(&key) => "endorses",
        (Some(key), Some(view)) if view.members.contains(&key) => "member",
        _ => "",
    }
}

fn row(worker: &WorkerStatus, view: Option<&PoolViewStatus>) -> Vec<String> {
    let state = match worker.state {
        WorkerState::Connecting => "connecting",
        WorkerState::Serving => "serving",
        WorkerState::LeftAlone => "left alone",
        WorkerState::Draining => "draining",
        WorkerState::Stopping => "stopping",
    };
    let build = worker.pcr0.map(|pcr0| pcr0.to_string().chars().take(BUILD_DIGITS).collect());
    vec![
        worker.endpoint.clone(),
        state.to_owned(),
        part(worker, view).to_owned(),
        build.unwrap_or_default(),
        worker.version.clone().unwrap_or_default(),
        format!("{}/{}", worker.in_flight, worker.window),
        worker.answered.to_string(),
        worker.error.clone().unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use nsl_schemas::bytes::Pcr;
    use nsl_schemas::nkey::SigningKey;

    use super::*;

    #[test]
    fn a_host_shows_its_workers_and_why_a_replacement_is_halted() {
        let key = SigningKey::from_seed(&[1; 32]).public();
        let worker = WorkerStatus {
            endpoint: "vsock://16:5005".into(),
            state: WorkerState::LeftAlone,
            error: None,
            key: Some(key),
            pcr0: Some(Pcr([0xab; 48])),
            version: Some("0.1.0".into()),
            in_flight: 3,
            window: 64,
            answered: 17,
        };
        let view =
            PoolViewStatus { number: 3, members: vec![key, key], endorsing: vec![key], has_majority: false };
        let error = Some("vsock://17:5005: process ended".to_owned());
        let status = HostStatus {
            host: "h-1".into(),
            size: 1,
            rollout: Rollout::Halted,
            error,
            pool_view: Some(view),
            workers: vec![worker],
        };
        let text = show(&[status]);
        let row = "vsock://16:5005  left alone  endorses  abababababab  0.1.0    3/64       17";
        assert!(text.starts_with("host h-1: 1 workers, pool of 1, replacement halted\nview 3: 1 of 2 members endorse: no majority"), "{text}");
        assert!(text.contains("17:5005: process ended\n") && text.contains(row), "{text}");
    }
}
