//! How much of each fault a seed has: drawn per seed, so that some seeds are all crashes and some are calm.

/// Chances in a thousand.
#[derive(Debug, Clone)]
pub(crate) struct Mix {
    pub(crate) processes: u64,
    pub(crate) partitions: u16,
    pub(crate) feeds: u64,
    pub(crate) batch_commands_max: u64,
    pub(crate) crash: u64,
    pub(crate) freeze: u64,
    pub(crate) unavailable: u64,
    pub(crate) broken_connection: u64,
    pub(crate) settle_unavailable: u64,
    pub(crate) slow_commit: u64,
    pub(crate) read_failure: u64,
    pub(crate) lease_failure: u64,
    pub(crate) consumer_lost: u64,
    pub(crate) ack_lost: u64,
    pub(crate) answer_lost: u64,
    pub(crate) publish_lost: u64,
    pub(crate) duplicate: u64,
    pub(crate) reader_crash: u64,
}

impl Mix {
    pub(crate) fn draw(chance: &mut fastrand::Rng) -> Self {
        // A quarter is calm; elsewhere each fault is absent in a third of the seeds.
        let is_calm = chance.u64(0..4) == 0;
        let processes = chance.u64(1..=3);
        let partitions = chance.u16(1..=6);
        let feeds = chance.u64(2..=5);
        let batch_commands_max = [1, 2, 4, 16, 256][chance.usize(0..5)];
        let mut draw = |most: u64| {
            let (absent, much) = (chance.u64(0..3) == 0, chance.u64(1..=most));
            if is_calm || absent { 0 } else { much }
        };
        Self {
            processes,
            partitions,
            feeds,
            batch_commands_max,
            crash: draw(8),
            freeze: draw(8),
            unavailable: draw(150),
            broken_connection: draw(250),
            settle_unavailable: draw(500),
            slow_commit: draw(100),
            read_failure: draw(150),
            lease_failure: draw(200),
            consumer_lost: draw(30),
            ack_lost: draw(100),
            answer_lost: draw(200),
            publish_lost: draw(200),
            duplicate: draw(300),
            reader_crash: draw(200),
        }
    }
}
