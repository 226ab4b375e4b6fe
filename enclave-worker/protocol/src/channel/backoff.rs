//! Pauses between attempts: doubling, bounded, without a clock of their own.

use std::time::Duration;

/// The next pause.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    /// Pauses from `min` to `max`.
    pub fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, next: min.min(max) }
    }

    /// The pause before the next attempt, given how long what the last one made has lived. What was lost at once counts
    /// as a failure, or a server that greets and hangs up would be called without pause.
    pub fn pause_after(&mut self, lived: Duration) -> Duration {
        if lived > self.max {
            *self = Self::new(self.min, self.max);
        }
        let pause = self.next;
        self.next = pause.saturating_mul(2).min(self.max);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_their_bound_and_restart_after_a_long_life() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(50), ms(300));
        let lives = [ms(0), ms(0), ms(300), ms(0), ms(0), ms(301), ms(0)];
        let pauses = lives.map(|lived| backoff.pause_after(lived));
        assert_eq!(pauses, [ms(50), ms(100), ms(200), ms(300), ms(300), ms(50), ms(100)]);
    }

    #[test]
    fn a_shortest_pause_above_the_bound_is_the_bound() {
        let mut backoff = Backoff::new(Duration::MAX, Duration::from_secs(1));
        assert_eq!(backoff.pause_after(Duration::ZERO), Duration::from_secs(1));
    }
}
