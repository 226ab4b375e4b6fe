//! What a wallet decides, rule by rule and over whole lives.

mod expired_requests;
mod held_requests;
mod lives;
mod outcomes_of_creation;
mod outcomes_of_policy_changes;
mod outcomes_of_transfers;
mod relay_reports;
mod requests;
mod reseals;
mod reservations;
mod story;
