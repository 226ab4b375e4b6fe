//! What an append costs as the log grows: the same batches at 10^5, 10^6 and, when asked for, 10^7 events, with as many
//! streams as there are hundreds of events.

use std::time::Instant;

use nsl_event_store::CommandAppend;
use serde::Serialize;

use super::ours::{self, Writer};
use crate::report::ratio;

/// Sizes of the log; the last one only in full.
const SIZES: [u64; 3] = [100_000, 1_000_000, 10_000_000];
/// Commands of one batch.
const BATCH: u64 = 256;
/// Batches of one measurement.
const BATCHES: u64 = 100;
/// A size's figure is the median of so many measurements, one after the other.
const MEASUREMENTS: usize = 3;
/// Events of a stream on average.
const EVENTS_PER_STREAM: u64 = 100;

/// One line of the report.
#[derive(Debug, Serialize)]
struct Line {
    bench: &'static str,
    events: u64,
    unit: &'static str,
    ours: u64,
    base_events: u64,
    base_value: u64,
    ratio_to_base: f64,
}

/// Grows a log of its own.
pub(crate) async fn run(url: &str, json: bool, full: bool) -> Result<(), super::Error> {
    let mut grower = Grower { writer: Writer::open(url).await?, head: 0, versions: Vec::new() };
    let sizes = if full { &SIZES[..] } else { &SIZES[..2] };
    let mut base = None;
    for size in sizes {
        while grower.head < *size {
            grower.append().await?;
        }
        let mut figures = Vec::with_capacity(MEASUREMENTS);
        for _ in 0..MEASUREMENTS {
            let started = Instant::now();
            for _ in 0..BATCHES {
                grower.append().await?;
            }
            let nanoseconds = started.elapsed().as_nanos() / u128::from(BATCH * BATCHES);
            figures.push(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        }
        figures.sort_unstable();
        let ours = figures[figures.len() / 2];
        let base_value = *base.get_or_insert(ours);
        let line = Line {
            bench: "log.growth",
            events: *size,
            unit: "ns/event",
            ours,
            base_events: SIZES[0],
            base_value,
            ratio_to_base: ratio(ours, base_value),
        };
        if json {
            println!("{}", serde_json::to_string(&line)?);
        } else {
            println!("{size:>10} events: {ours} ns an event, {:.2}x", line.ratio_to_base);
        }
    }
    Ok(())
}

struct Grower {
    writer: Writer,
    head: u64,
    /// By stream.
    versions: Vec<u64>,
}

impl Grower {
    /// One batch: streams in turn among all there are, so that old ones go on and new ones begin.
    async fn append(&mut self) -> Result<(), ours::Error> {
        let streams = usize::try_from((self.head + BATCH).div_ceil(EVENTS_PER_STREAM)).unwrap_or(usize::MAX);
        self.versions.resize(streams.max(usize::try_from(BATCH).unwrap_or(usize::MAX)), 0);
        let mut random = fastrand::Rng::with_seed(self.head);
        let mut commands: Vec<CommandAppend> = Vec::new();
        for _ in 0..BATCH {
            let stream = random.usize(..self.versions.len());
            let mut command = self.writer.command(stream);
            command.expected_version = self.versions[stream];
            self.versions[stream] += 1;
            commands.push(command);
        }
        self.writer.append(&commands).await?;
        self.head += BATCH;
        Ok(())
    }
}
