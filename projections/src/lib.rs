//! The read side: follows the log by position and shows what it holds, as rows in Postgres that are committed with their
//! checkpoint, as the event stream whose sequences are the log's positions, as the price stream, and as answers to
//! questions. All of it can be dropped and is built again from the log. Nothing here ever writes an event.

pub mod announce;
pub mod builds;
pub mod cloud_event;
pub mod config;
mod copy;
pub mod database;
mod failpoints;
pub mod fault;
mod feed;
pub mod inventory;
pub mod log_event;
pub mod log_pages;
pub mod operator_acts;
pub mod price_stream;
pub mod prices;
pub mod progress;
pub mod queries;
pub mod read_model;
pub mod rebuild;
pub mod row;
pub mod runner;
pub mod sealing_records;
pub mod secrets;
pub mod service;
pub mod signing_requests;
mod told_list;
pub mod transactions;
pub mod wake;
pub mod wallets;
