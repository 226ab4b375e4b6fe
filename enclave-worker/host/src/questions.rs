//! Answers the operators' question `workers`. Every host answers for itself.

use std::num::NonZeroUsize;
use std::sync::Arc;

use nsl_bus::Bus;
use nsl_bus::request::{self, Endpoint};
use nsl_enclave_protocol::Pool;
use nsl_enclave_protocol::channel::Health;
use nsl_enclave_protocol::pool::MemberHealth;
use nsl_schemas::query::{HostStatus, Reply, WorkerState, WorkerStatus, name};
use nsl_schemas::token::Tenant;
use nsl_schemas::{canonical, subject};
use tokio_util::sync::CancellationToken;

use crate::admission::Gatekeeper;
use crate::launcher::Board;
use crate::views::Views;

/// Answered at once: nothing is waited for.
const CONCURRENT_MAX: NonZeroUsize = NonZeroUsize::new(4).expect("4 is not 0");

/// Who knows how the workers are.
#[derive(Debug, Clone)]
pub(crate) struct Questions {
    pub(crate) host: String,
    pub(crate) pool: Pool,
    pub(crate) board: Board,
    pub(crate) gatekeeper: Arc<Gatekeeper>,
    pub(crate) views: Arc<Views>,
}

impl Questions {
    /// Answers until `stop`.
    pub(crate) async fn serve(self, bus: Bus, stop: CancellationToken) -> Result<(), request::Error> {
        let endpoint = Endpoint {
            subject: subject::query(&Tenant::system(), name::WORKERS),
            // A group of its own: the others answer too.
            queue: self.host.replace(['.', ' ', '*', '>'], "-"),
            max_concurrent: CONCURRENT_MAX,
        };
        let handler = move |_question| {
            let reply = canonical::to_string(&Reply::Ok(self.status()));
            std::future::ready(request::Reply { payload: reply.into(), ..request::Reply::default() })
        };
        bus.serve(endpoint, stop, handler).await
    }

    fn status(&self) -> HostStatus {
        let content = self.board.read();
        let workers = self.pool.health().into_iter();
        HostStatus {
            host: self.host.clone(),
            size: count(content.size),
            rollout: content.rollout,
            error: content.error.clone(),
            pool_view: self.views.status(),
            workers: workers
                .map(|member| self.worker(&member, content.is_stopping(&member.endpoint)))
                .collect(),
        }
    }

    fn worker(&self, member: &MemberHealth, is_stopping: bool) -> WorkerStatus {
        let admitted = self.gatekeeper.admitted(&member.endpoint);
        WorkerStatus {
            endpoint: member.endpoint.to_string(),
            state: state(member, is_stopping),
            error: crate::pings::why_not_connected(member),
            key: admitted.as_ref().map(|admitted| admitted.key),
            pcr0: admitted.as_ref().and_then(|admitted| admitted.pcr0),
            version: admitted.map(|admitted| admitted.version),
            in_flight: count(member.outstanding),
            window: count(member.window),
            answered: member.answered,
        }
    }
}

fn state(member: &MemberHealth, is_stopping: bool) -> WorkerState {
    match member.connection {
        _ if is_stopping => WorkerState::Stopping,
        _ if member.is_draining => WorkerState::Draining,
        Health::Connecting(_) => WorkerState::Connecting,
        Health::Ready if member.is_left_alone => WorkerState::LeftAlone,
        Health::Ready => WorkerState::Serving,
    }
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
