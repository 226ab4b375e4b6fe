//! Hosts and their workers for people.

use nsl_schemas::query::{HostStatus, Rollout, WorkerState, WorkerStatus};

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
    let error = status.error.iter().map(|error| format!("last failure: {error}"));
    let headers = ["ENDPOINT", "STATE", "BUILD", "VERSION", "IN FLIGHT", "DONE", "REASON"];
    let workers = table(&headers, status.workers.iter().map(row));
    [line].into_iter().chain(error).chain([workers]).collect::<Vec<_>>().join("\n")
}

fn row(worker: &WorkerStatus) -> Vec<String> {
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

    use super::*;

    #[test]
    fn a_host_shows_its_workers_and_why_a_replacement_is_halted() {
        let worker = WorkerStatus {
            endpoint: "vsock://16:5005".into(),
            state: WorkerState::LeftAlone,
            error: None,
            key: None,
            pcr0: Some(Pcr([0xab; 48])),
            version: Some("0.1.0".into()),
            in_flight: 3,
            window: 64,
            answered: 17,
        };
        let error = Some("vsock://17:5005: process ended".to_owned());
        let status = HostStatus {
            host: "h-1".into(),
            size: 1,
            rollout: Rollout::Halted,
            error,
            workers: vec![worker],
        };
        let text = show(&[status]);
        let row = "vsock://16:5005  left alone  abababababab  0.1.0    3/64       17";
        assert!(text.starts_with("host h-1: 1 workers, pool of 1, replacement halted\nlast"), "{text}");
        assert!(text.contains("17:5005: process ended\n") && text.contains(row), "{text}");
    }
}
