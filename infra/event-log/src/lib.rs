//! What is done with the event log beside appending and reading it: archives that are read without a database, their
//! verification, the life of partitions, and receipts derived from the log alone.

pub mod archive;
pub mod command;
pub mod partitions;
pub mod receipts;
pub mod source;
