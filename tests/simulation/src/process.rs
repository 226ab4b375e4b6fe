//! A command processor's process: the shipped processor over simulated ports, with leases, consumers and a follower as
//! the service has them. It is killed, frozen, stopped and started again.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use nsl_commands::admission::Admission;
use nsl_commands::directory::Directory;
use nsl_commands::intake;
use nsl_commands::limits::Limits;
use nsl_commands::metrics::CommandMetrics;
use nsl_commands::ports::Log as _;
use nsl_commands::processor::{Parts, Processor, Taken};
use nsl_commands::{LimitsConfig, TenantLimits};
use nsl_event_store::{Fence, Filter};
use nsl_telemetry::Metrics;
use nsl_telemetry::readiness::Readiness;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::clock;
use crate::life::{Freezable, Life, Tenure};
use crate::log::{SHOWN_EPOCH, SimulatedLog};
use crate::planted::Planted;
use crate::ports::{SimulatedDelivery, SimulatedOutbox};
use crate::world::World;

/// As in the service's default configuration.
const LEASE_TTL_MS: u64 = 5_000;
/// No wallet signs here.
pub(crate) const SIGNING_MS: u64 = 60_000;
/// Room between the consumers and the processor.
const QUEUE_COMMANDS: usize = 32;
/// Aggregates in memory: more than a simulation has. Which ones are forgotten first depends on the order of a hash map
/// in the processor, which differs from run to run.
const CACHE_AGGREGATES_MAX: usize = 1024;
/// How often the follower looks.
const FOLLOW: Duration = Duration::from_millis(250);

type Queue = mpsc::Sender<Taken<SimulatedDelivery>>;

/// Keeps one process running: after each end it starts again.
pub(crate) async fn keep_running(world: Arc<World>, index: u64) {
    for incarnation in 1.. {
        let life = Arc::new(Life::new(format!("p{index}.{incarnation}")));
        world.note(format_args!("{} starts", life.name));
        let running = Freezable::new(Arc::clone(&life), run(Arc::clone(&world), Arc::clone(&life), index));
        tokio::select! {
            biased;
            () = life.killed.cancelled() => {}
            () = running => {}
        }
        world.delay(0, 3_000).await;
    }
}

async fn run(world: Arc<World>, life: Arc<Life>, index: u64) {
    let log = SimulatedLog { world: Arc::clone(&world), life: Arc::clone(&life) };
    let directory = Arc::new(Directory::of_genesis(&world.genesis.manifest));
    let mut position = 0;
    while follow(&log, &directory, &mut position).await.is_err() {
        tokio::time::sleep(FOLLOW).await;
    }
    let (queue, taken) = mpsc::channel(QUEUE_COMMANDS);
    let outbox = SimulatedOutbox { world: Arc::clone(&world), life: Arc::clone(&life) };
    let processor = Processor::new(parts(&world, log.clone(), outbox, Arc::clone(&directory)));
    let stop = CancellationToken::new();
    let partitions = Partitions { world, life, queue, owner: format!("p{index}") };
    let hold = async {
        partitions.hold().await;
        stop.cancel();
    };
    let following = async {
        loop {
            tokio::time::sleep(FOLLOW).await;
            // What cannot be read now is read the next time.
            let _ = follow(&log, &directory, &mut position).await;
        }
    };
    let working = futures::future::join(processor.run(taken, stop.clone()), hold);
    tokio::select! {
        biased;
        _ = working => {}
        () = following => {}
    }
}

fn parts(
    world: &World,
    log: SimulatedLog,
    outbox: SimulatedOutbox,
    directory: Arc<Directory>,
) -> Parts<SimulatedLog, SimulatedOutbox> {
    let metrics = Metrics::new().and_then(|metrics| CommandMetrics::register(&metrics));
    Parts {
        log,
        outbox,
        clock: clock::now_ms,
        genesis: Arc::clone(&world.genesis),
        signing_ms: SIGNING_MS,
        directory,
        admission: Admission::new(limits()),
        metrics: metrics.expect("the service registers the same metrics"),
        log_gate: Readiness::default().gate("log", "begins"),
        cache_aggregates_max: NonZeroUsize::new(CACHE_AGGREGATES_MAX).expect("above 0"),
        batch_commands_max: usize::try_from(world.mix.batch_commands_max).unwrap_or(usize::MAX),
    }
}

/// None: they read the machine's clock.
fn limits() -> Limits {
    let default = TenantLimits {
        commands_per_second: NonZeroU32::MAX,
        issuer_commands_per_second: NonZeroU32::MAX,
        commands_per_day: None,
        payload_kib_per_day: None,
    };
    Limits::new(LimitsConfig { default, tenants: BTreeMap::new() })
}

/// Reads what the directory has not seen.
async fn follow(log: &SimulatedLog, directory: &Directory, position: &mut u64) -> Result<(), String> {
    let page = log.read(*position, 500, &Filter::default()).await.map_err(|error| error.to_string())?;
    for event in &page.events {
        directory.apply(event).map_err(|error| error.to_string())?;
    }
    *position = page.position;
    Ok(())
}

/// Holds leases by the rules of the service's `partitions`.
struct Partitions {
    world: Arc<World>,
    life: Arc<Life>,
    queue: Queue,
    owner: String,
}

struct Held {
    fence: Fence,
    tenure: Arc<Tenure>,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Partitions {
    /// Until an orderly stop, which is one of the faults.
    async fn hold(self) {
        let mut held = BTreeMap::new();
        let mut tick = tokio::time::interval(Duration::from_millis(LEASE_TTL_MS / 3));
        loop {
            tick.tick().await;
            if self.world.fault("stop", self.world.mix.crash) {
                return self.give_back(held).await;
            }
            // Counted from before the request, so that no process believes longer in a lease than the log.
            let ends = Instant::now() + Duration::from_millis(LEASE_TTL_MS);
            self.world.delay(0, 5).await;
            if !self.world.fault("leases unavailable", self.world.mix.lease_failure) {
                self.renew(&mut held, ends);
            }
        }
    }

    fn renew(&self, held: &mut BTreeMap<u16, Held>, ends: Instant) {
        let fences: Vec<_> = held.values().map(|one| one.fence).collect();
        let renewed = self.world.store().renew(&self.owner, &fences, LEASE_TTL_MS);
        held.retain(|_, one| {
            // What ran out before its renewal is lost too: commands may have been left to a new owner meanwhile.
            let keeps = renewed.contains(&one.fence) && !one.task.is_finished() && one.tenure.is_held();
            if keeps {
                one.tenure.prolong(ends);
            } else {
                one.tenure.lose();
                one.stop.cancel();
            }
            keeps
        });
        let partitions = 0..self.world.mix.partitions;
        let wanted: Vec<u16> = partitions.filter(|partition| !held.contains_key(partition)).collect();
        let taken = self.world.store().take(&self.owner, &wanted, LEASE_TTL_MS);
        for fence in taken {
            self.world.note(format_args!(
                "{} takes partition {} at {}",
                self.life.name, fence.partition, fence.epoch
            ));
            let (stop, tenure) = (CancellationToken::new(), Arc::new(Tenure::until(ends)));
            self.life.hold(fence, Arc::clone(&tenure));
            let consumer = Consumer {
                world: Arc::clone(&self.world),
                life: Arc::clone(&self.life),
                queue: self.queue.clone(),
                fence,
                tenure: Arc::clone(&tenure),
            };
            let consuming = Freezable::new(Arc::clone(&self.life), consumer.consume(stop.clone()));
            let task = AbortOnDropHandle::new(tokio::spawn(consuming));
            held.insert(fence.partition, Held { fence, tenure, stop, task });
        }
    }

    async fn give_back(self, held: BTreeMap<u16, Held>) {
        let fences: Vec<_> = held.values().map(|one| one.fence).collect();
        for one in held.into_values() {
            one.stop.cancel();
            // A consumer that was aborted has stopped too.
            let _ = one.task.await;
        }
        if self.queue.capacity() == self.queue.max_capacity() {
            self.world.store().release(&self.owner, &fences);
        }
    }
}

struct Consumer {
    world: Arc<World>,
    life: Arc<Life>,
    queue: Queue,
    fence: Fence,
    tenure: Arc<Tenure>,
}

impl Consumer {
    async fn consume(self, stop: CancellationToken) {
        self.world.delay(0, 10).await;
        let recreates = !self.world.has(Planted::ConsumerNotRecreated);
        let generation = self.world.bus.take_over(self.fence.partition, recreates);
        loop {
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                next = self.world.bus.next(self.fence.partition, generation) => next,
            };
            let Some((message, is_repeat)) = next else { return };
            self.world.delay(0, 2).await;
            if self.world.fault("consumer lost", self.world.mix.consumer_lost) {
                return;
            }
            let published = &message.published;
            let header = |name| Ok(published.headers.get(name).map(String::as_str));
            let Ok(incoming) = intake::read(published.subject.clone(), header, published.payload.as_bytes())
            else {
                self.world.violated(format_args!("message {} cannot be read", message.sequence));
                return;
            };
            let delivery = SimulatedDelivery {
                world: Arc::clone(&self.world),
                life: Arc::clone(&self.life),
                request: (incoming.signed.envelope.command_id, incoming.request_sha256.0),
                partition: self.fence.partition,
                sequence: message.sequence,
                is_repeat,
                tenure: Arc::clone(&self.tenure),
            };
            delivery.delivered();
            let mut fence = self.fence;
            if self.world.has(Planted::StaleCache) {
                fence.epoch = SHOWN_EPOCH;
            }
            let taken = Taken { incoming, fence, message: delivery, sequence: message.sequence };
            if self.queue.send(taken).await.is_err() {
                return;
            }
        }
    }
}
