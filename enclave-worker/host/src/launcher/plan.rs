//! What to do next so that the pool becomes as it shall be: pure, one step at a time.
//!
//! Workers are started one after the other (concurrent starts of enclaves fail each other), there is at most one more
//! than the pool's size, and none leaves before its successor serves.

/// Where a worker is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its process runs; it is not admitted yet.
    Starting,
    /// It takes jobs.
    Serving,
    /// It finishes the jobs that it has.
    Draining,
    /// It was told to end, or killed.
    Stopping,
}

/// A worker as the plan sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    pub(super) number: u32,
    /// Counts the replacements of the whole pool.
    pub(super) generation: u64,
    pub(super) phase: Phase,
}

/// The next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Start a worker of the wanted generation.
    Start,
    /// Give this one no further jobs.
    Drain(u32),
    /// All is well, or something has to end first.
    Rest,
}

/// The next step towards `size` serving workers of `generation`.
pub(super) fn next(size: usize, generation: u64, workers: &[View]) -> Step {
    let serving = || workers.iter().filter(|worker| worker.phase == Phase::Serving);
    if workers.iter().any(|worker| worker.phase == Phase::Starting) {
        return Step::Rest;
    }
    if serving().count() < size {
        // One more than the size may run: memory and cores are given for no more.
        return if workers.len() <= size { Step::Start } else { Step::Rest };
    }
    if workers.len() > serving().count() {
        return Step::Rest;
    }
    if serving().count() > size {
        let least_wanted = serving().min_by_key(|worker| (worker.generation == generation, worker.number));
        return least_wanted.map_or(Step::Rest, |worker| Step::Drain(worker.number));
    }
    if serving().any(|worker| worker.generation != generation) { Step::Start } else { Step::Rest }
}

/// Whether nothing but the wanted workers runs.
pub(super) fn is_reached(size: usize, generation: u64, workers: &[View]) -> bool {
    workers.len() == size
        && workers.iter().all(|worker| worker.phase == Phase::Serving && worker.generation == generation)
}

#[cfg(test)]
mod tests {
    use super::Phase::{Draining, Serving, Starting, Stopping};
    use super::*;

    type Views<'a> = &'a [(u32, u64, Phase)];

    fn workers(views: Views<'_>) -> Vec<View> {
        views.iter().map(|&(number, generation, phase)| View { number, generation, phase }).collect()
    }

    #[test]
    fn steps_lead_to_the_wanted_pool_one_at_a_time() {
        let cases: [(Views<'_>, Step); 13] = [
            (&[], Step::Start),
            (&[(1, 1, Starting)], Step::Rest),
            (&[(1, 1, Serving)], Step::Start),
            (&[(1, 1, Serving), (2, 1, Serving)], Step::Rest),
            // One died, or was killed and is not gone: its successor need not wait.
            (&[(1, 1, Serving), (2, 1, Stopping)], Step::Start),
            (&[(1, 1, Serving), (2, 1, Stopping), (3, 1, Draining)], Step::Rest),
            // Replacement: first the new one, then the old one leaves, then it is gone, then the next.
            (&[(1, 0, Serving), (2, 0, Serving)], Step::Start),
            (&[(1, 0, Serving), (2, 0, Serving), (3, 1, Starting)], Step::Rest),
            (&[(1, 0, Serving), (2, 0, Serving), (3, 1, Serving)], Step::Drain(1)),
            (&[(1, 0, Draining), (2, 0, Serving), (3, 1, Serving)], Step::Rest),
            (&[(1, 0, Stopping), (2, 0, Serving), (3, 1, Serving)], Step::Rest),
            (&[(2, 0, Serving), (3, 1, Serving)], Step::Start),
            // A smaller pool.
            (&[(1, 1, Serving), (2, 1, Serving), (3, 1, Serving)], Step::Drain(1)),
        ];
        for (views, expected) in cases {
            assert_eq!(next(2, 1, &workers(views)), expected, "{views:?}");
        }
    }

    /// Plays a replacement to its end and checks what must hold after every step.
    #[test]
    fn a_replacement_ends_and_never_serves_with_fewer() {
        for size in [0, 1, 2, 5] {
            let mut workers: Vec<View> =
                (0..3).map(|number| View { number, generation: 0, phase: Serving }).collect();
            let mut serving_min = 3;
            for step in 0..1000 {
                assert!(step < 999, "no end: {workers:?}");
                match next(size, 1, &workers) {
                    Step::Start => workers.push(View { number: 100 + step, generation: 1, phase: Starting }),
                    Step::Drain(number) => {
                        let leaving = workers.iter_mut().find(|worker| worker.number == number).unwrap();
                        leaving.phase = Draining;
                    }
                    Step::Rest if is_reached(size, 1, &workers) => break,
                    Step::Rest => {
                        workers.retain(|worker| worker.phase != Stopping);
                        for worker in &mut workers {
                            worker.phase = match worker.phase {
                                Starting | Serving => Serving,
                                Draining | Stopping => Stopping,
                            };
                        }
                    }
                }
                let serving = workers.iter().filter(|worker| worker.phase == Serving).count();
                serving_min = serving_min.min(serving);
                assert!(workers.len() <= size.max(3) + 1, "{workers:?}");
            }
            assert_eq!(serving_min, size.min(3), "size {size}");
        }
    }
}
