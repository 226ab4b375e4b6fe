//! A worker from request to signed outcome, over the software NSM and the production verifier.

#[cfg(test)]
mod held;
mod jobs;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod operators;
#[cfg(test)]
mod pool;
#[cfg(test)]
mod process;
#[cfg(test)]
mod reservations;
#[cfg(test)]
mod sealing;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod site;
#[cfg(test)]
mod start;
