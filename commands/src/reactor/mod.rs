//! The shell around `nsl_domain::process`: follows the log, remembers where every request is, publishes the jobs that
//! requests wait for until they are answered, and sends the commands of deadlines that have passed. Ids of jobs and
//! commands follow from events and requests, so a repeat is the same thing, and all of this may happen twice.

mod deadlines;
mod folded;
mod health;
mod memory;
mod prepare;
#[cfg(test)]
mod tests;
mod turns;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::PublishError;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use nsl_bus::Bus;
use nsl_client::Client;
use nsl_domain::process::{AGGREGATES, ProcessEvent, State};
use nsl_event_store::{EventReader, Filter, Page, ReadError, RecordedEvent, Subscription};
use nsl_schemas::event::DecodeError;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::clock;
use crate::directory::Directory;
use crate::failpoints;
use crate::metrics::CommandMetrics;
use deadlines::Fired;
pub(crate) use health::Health;
pub(crate) use memory::migrate;
use memory::{Memory, Process};
use prepare::{Prepared, Preparer};

/// Events read at once.
const PAGE_EVENTS: u32 = 500;
/// Rest after a page: what is committed meanwhile is one page and not one each. It is the most that a job waits here, and
/// short beside the block that a transfer waits for.
const REST: Duration = Duration::from_millis(5);
/// Open jobs published again at once; more come next.
const REPUBLISH_MAX: usize = 500;
/// How often overdue jobs and passed deadlines are looked for.
const TICK: Duration = Duration::from_secs(1);
/// Commands of deadlines under way at once: enough that answers, not this, bound their rate, and few beside the clients'.
const COMMANDS_MAX: usize = 64;
/// A deadline whose command has no answer is due again after this long: longer than the client tries by itself.
const COMMAND_RETRY: Duration = Duration::from_secs(30);

/// What the reactor works with.
pub(crate) struct Reactor {
    /// The log.
    pub reader: EventReader,
    /// NATS.
    pub bus: Bus,
    /// Grants.
    pub directory: Arc<Directory>,
    /// Counts.
    pub metrics: CommandMetrics,
    /// Shows whether it gets on.
    pub health: Health,
    /// Signs and sends commands.
    pub client: Client,
    /// The database of the memory.
    pub pool: sqlx::PgPool,
    /// Age at which an open job is published again; later repeats are further apart.
    pub republish_after: Duration,
}

/// Commands of deadlines that are under way.
type Sending = FuturesUnordered<BoxFuture<'static, Fired>>;

/// Why a round failed; it is tried again from the checkpoint.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the log cannot be read")]
    Read(#[from] ReadError),
    #[error("the reactor's memory cannot be read or written")]
    Memory(#[from] sqlx::Error),
    #[error("event at position {position} cannot be read")]
    Event {
        position: u64,
        #[source]
        source: DecodeError,
    },
    #[error("job cannot be prepared")]
    Prepare(#[from] prepare::Error),
    #[error("deadline's command cannot be made")]
    Deadline(#[from] deadlines::Error),
    #[error("the log has nothing at position {position}")]
    Missing { position: u64 },
}

impl Reactor {
    /// Works until `stop`. Only one reactor of all processors is at work; the others wait for its lock.
    pub(crate) async fn run(self, mut wake: watch::Receiver<u64>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.work(&mut wake, &stop).await {
                let rest = self.health.failed(&error);
                // Cut short by the stop, which ends the loop.
                let _ = stop.run_until_cancelled(tokio::time::sleep(rest)).await;
            }
        }
    }

    async fn work(&self, wake: &mut watch::Receiver<u64>, stop: &CancellationToken) -> Result<(), Error> {
        let stands_by = || self.health.well();
        let Some(mut memory) = Memory::lock(&self.pool, stands_by, stop).await? else { return Ok(()) };
        // What the log asks for up to here, it may have answered since: it is read to here before anything is done.
        let replay_until = self.reader.head().await?;
        let mut preparer = Preparer::new(self.reader.clone(), Arc::clone(&self.directory));
        let aggregate_types = AGGREGATES.map(str::to_owned).to_vec();
        let filter = Filter { aggregate_types, ..Filter::default() };
        let mut subscription =
            Subscription::new(self.reader.clone(), memory.checkpoint().await?, filter, PAGE_EVENTS);
        let mut sending = Sending::new();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_live = subscription.position() >= replay_until;
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = tick.tick(), if is_live => {
                    self.fire(&mut memory, &mut sending).await?;
                    if self.republish(&mut memory, &mut preparer).await? == REPUBLISH_MAX {
                        tick.reset_immediately();
                    }
                    self.health.well();
                }
                Some(fired) = sending.next() => {
                    self.settle(&mut memory, fired).await?;
                    // After a long outage more deadlines have passed than are under way.
                    if sending.len() == COMMANDS_MAX / 2 {
                        tick.reset_immediately();
                    }
                }
                page = subscription.next_page(wake) => {
                    self.react(&mut memory, &mut preparer, page?, replay_until).await?;
                    if is_live {
                        tokio::time::sleep(REST).await;
                    }
                }
            }
        }
    }

    /// Remembers where a page leads requests, then publishes the jobs that they wait for now. A crash in between leaves
    /// the jobs open, and they are published when they are overdue; so are those that a replay leaves open.
    async fn react(
        &self,
        memory: &mut Memory,
        preparer: &mut Preparer,
        page: Page,
        replay_until: u64,
    ) -> Result<(), Error> {
        let mut events = Vec::with_capacity(page.events.len());
        for event in &page.events {
            let process_event = ProcessEvent::decode(event.stored())
                .map_err(|source| Error::Event { position: event.position, source })?;
            events.push((event.position, process_event));
        }
        let known = memory.load(&requests_before(&events)).await?;
        let mut reached = follow(known, &events);
        let mut passing = BTreeSet::new();
        for (event, (_, process_event)) in page.events.iter().zip(events) {
            if preparer.may_pass_turn(event, &process_event) {
                passing.insert(event.aggregate_id.as_str());
            }
            preparer.observe(event, process_event);
        }
        let is_live = page.position > replay_until;
        memory.record(&reached, page.position, is_live.then_some(self.republish_after)).await?;
        if is_live {
            if !reached.is_empty() {
                failpoints::REACTOR_REMEMBERED.reach();
            }
            // What a time lock holds back is overdue when that ends; who reserves has its job when its turn comes.
            let waits_for_turn = |state| matches!(state, State::Reserving { .. });
            reached.retain(|process| process.state.job_from_ms().is_none() && !waits_for_turn(process.state));
            reached.extend(turns(memory, preparer, passing).await?);
            self.publish(preparer, &reached, &page.events).await?;
        }
        let lag = i64::try_from(page.head.saturating_sub(page.position)).unwrap_or(i64::MAX);
        self.metrics.reactor_lag.with_label_values::<&str>(&[]).set(lag);
        Ok(())
    }

    /// Publishes overdue jobs and answers how many there were.
    async fn republish(&self, memory: &mut Memory, preparer: &mut Preparer) -> Result<usize, Error> {
        let overdue = memory.take_overdue(self.republish_after, REPUBLISH_MAX).await?;
        if !overdue.is_empty() {
            tracing::info!(jobs = overdue.len(), "publishing jobs without outcome again");
        }
        self.publish(preparer, &overdue, &[]).await?;
        Ok(overdue.len())
    }

    /// Begins to send the commands of passed deadlines.
    async fn fire(&self, memory: &mut Memory, sending: &mut Sending) -> Result<(), Error> {
        let free = COMMANDS_MAX.saturating_sub(sending.len());
        let due = memory.take_due(clock::now_ms(), COMMAND_RETRY, free).await?;
        if due.is_empty() {
            return Ok(());
        }
        let positions: Vec<u64> = due.iter().map(|process| process.position).collect();
        let events = self.reader.events_at(&positions).await?;
        let events: HashMap<u64, RecordedEvent> =
            events.into_iter().map(|event| (event.position, event)).collect();
        for process in due {
            let position = process.position;
            let event = events.get(&position).ok_or(Error::Missing { position })?;
            match deadlines::command(process, event)? {
                Some(command) => {
                    tracing::info!(request.id = %process.request_id, "deadline passed: {}", command.subject);
                    sending.push(Box::pin(deadlines::send(self.client.clone(), process, command)));
                }
                None => memory.settle(process).await?,
            }
        }
        Ok(())
    }

    /// A command that was answered is not sent again; another one is, later.
    async fn settle(&self, memory: &mut Memory, fired: Fired) -> Result<(), Error> {
        let Fired { process, answered } = fired;
        let label = match &answered {
            Ok(answered) => answered.label(),
            Err(_) => "failed",
        };
        self.metrics.deadlines.with_label_values(&[label]).inc();
        match answered {
            Ok(answered) => {
                tracing::info!(request.id = %process.request_id, ?answered, "deadline's command answered");
                memory.settle(process).await?;
            }
            Err(error) => tracing::warn!(
                request.id = %process.request_id,
                error = &error as &dyn std::error::Error,
                "deadline's command has no answer and is sent again"
            ),
        }
        Ok(())
    }

    /// Publishes the jobs that processes wait for. What the bus does not take, full or away as it may be, is overdue
    /// later: deadlines pass meanwhile, and must be kept.
    async fn publish(
        &self,
        preparer: &mut Preparer,
        processes: &[Process],
        at_hand: &[RecordedEvent],
    ) -> Result<(), Error> {
        let waits_for_job = |process: &&Process| process.state.job_kind().is_some();
        let positions: Vec<u64> =
            processes.iter().filter(waits_for_job).map(|process| process.position).collect();
        let jobs = preparer.prepare(&positions, at_hand).await?;
        if let Err(error) = self.hand_over(jobs).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "bus did not take all jobs; they are published again"
            );
        }
        Ok(())
    }

    async fn hand_over(&self, jobs: Vec<Prepared>) -> Result<(), PublishError> {
        let mut acknowledgements = Vec::with_capacity(jobs.len());
        for job in jobs {
            self.metrics.jobs.with_label_values(&[job.kind]).inc();
            acknowledgements.push(self.bus.jetstream().publish(job.subject, job.payload.into()).await?);
        }
        for acknowledgement in acknowledgements {
            acknowledgement.await?;
            failpoints::REACTOR_PUBLISHED.reach();
        }
        Ok(())
    }
}

/// The transfers whose turn to reserve has come in these wallets, as far as nothing holds their jobs back.
async fn turns(
    memory: &mut Memory,
    preparer: &mut Preparer,
    wallets: BTreeSet<&str>,
) -> Result<Vec<Process>, Error> {
    let now_ms = clock::now_ms();
    let come = preparer.turns(wallets, now_ms).await?;
    let processes = memory.load(&come).await?.into_values();
    let is_released = |state: State| state.job_from_ms().is_none_or(|from_ms| from_ms <= now_ms);
    Ok(processes.filter(|process| is_released(process.state)).collect())
}

/// The requests that began before this page: what they wait for is in the memory.
fn requests_before(events: &[(u64, ProcessEvent)]) -> Vec<Uuid> {
    let mut begun = std::collections::HashSet::new();
    let mut before = Vec::new();
    for (_, event) in events {
        let request_id = event.request_id();
        if begun.insert(request_id) && !event.begins() {
            before.push(request_id);
        }
    }
    before
}

/// Where the events lead requests that were `known` somewhere before; those that stay are left out.
fn follow(mut known: HashMap<Uuid, Process>, events: &[(u64, ProcessEvent)]) -> Vec<Process> {
    let mut moved = std::collections::HashSet::new();
    for (position, event) in events {
        let request_id = event.request_id();
        let before: Option<State> = known.get(&request_id).map(|process| process.state);
        if let Some(state) = event.react(before)
            && before != Some(state)
        {
            let asked_by = known.get(&request_id).filter(|_| state.is_asked_by_request());
            let position = asked_by.map_or(*position, |process| process.position);
            known.insert(request_id, Process { request_id, state, position });
            moved.insert(request_id);
        }
    }
    let mut reached: Vec<Process> =
        moved.iter().filter_map(|request_id| known.get(request_id)).copied().collect();
    // Jobs leave in the order of the log.
    reached.sort_unstable_by_key(|process| process.position);
    reached
}
