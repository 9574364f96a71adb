//! The protocol in Redis, tested where it lives: each test runs the scripts on a real server of its own, and ends with
//! an audit. Many compare every key before and after a call (`snapshot.rs`); none sleeps: time passes by moving
//! everything into the past (`travel.rs`).

#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]
#![allow(clippy::float_cmp, reason = "counts that Redis keeps as numbers are whole")]

mod draft;
mod node;
mod scene;
mod snapshot;
mod travel;

mod actions;
mod audit;
mod batch;
mod big;
mod budget;
mod cancel;
mod claim;
mod configure;
mod due;
mod extend;
mod gate;
mod hurt;
mod nodes;
mod nonce;
mod order;
mod page;
mod park;
mod partition;
mod prioritise;
mod purge;
mod recover;
mod repair;
mod retention;
mod retry;
mod review;
mod schedule;
mod server;
mod settle;
mod stale;
mod submit;
mod wait;
