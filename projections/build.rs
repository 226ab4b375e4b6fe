//! Tells cargo to embed the migrations again when one is added; `sqlx::migrate!` only sees edits.
#![allow(clippy::print_stdout, reason = "a build script speaks to cargo on stdout")]

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
