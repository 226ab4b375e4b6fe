//! The read side: follows the log by position and shows what it holds.
//!
//! Read models are rows in Postgres, committed together with their checkpoint; the event stream on NATS has the log's
//! positions as its sequences; accepted prices are published; questions are answered by request-reply. Everything here
//! can be dropped and is built again from the log. Nothing here ever writes an event.

pub mod announce;
pub mod checkpoint;
pub mod cloud_event;
pub mod config;
pub mod database;
pub mod log_event;
pub mod price_stream;
pub mod prices;
pub mod progress;
pub mod queries;
pub mod read_model;
pub mod rebuild;
pub mod row;
pub mod runner;
pub mod service;
pub mod signing_requests;
pub mod transactions;
pub mod wake;
pub mod wallets;
