//! How the story is told: a line when a step begins, a line for each fact, a mark when it is done.

use std::fmt::Display;
use std::time::Instant;

/// Tells numbered steps.
#[derive(Default)]
pub(crate) struct Report {
    step: usize,
    started: Option<Instant>,
}

impl Report {
    /// The next step begins.
    pub(crate) fn step(&mut self, title: &str) {
        self.finish();
        self.step += 1;
        self.started = Some(Instant::now());
        println!("\n{}. {title}", self.step);
    }

    /// Something that the step found out.
    #[expect(clippy::unused_self, reason = "facts belong to the step that is told")]
    pub(crate) fn fact(&self, name: &str, value: impl Display) {
        println!("   {name:<22} {value}");
    }

    /// The step held.
    pub(crate) fn finish(&mut self) {
        if let Some(started) = self.started.take() {
            println!("   ok ({:.2} s)", started.elapsed().as_secs_f32());
        }
    }
}
