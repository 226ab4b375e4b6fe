//! A hostile host plays with real endorsers.

mod examples;
mod schedules;
mod world;
