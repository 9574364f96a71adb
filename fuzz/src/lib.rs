//! Hostile input for everything that reads text from outside: tasks, providers, models, commands, Redis, files.
//!
//! A [`Target`] is one parser as a function of bytes. It must come back: no panic, no hang, no memory beyond a limit.
//! Inputs are made of real examples by a [`Mutator`], each from the seed, the target's name and its number alone, so
//! that any of them can be made again. `docs/fuzzing.md` says how to run it, and what it found.

#![allow(clippy::missing_panics_doc, reason = "a panic is what it looks for")]

mod json;
mod mutate;
mod runner;
mod supervise;
mod table;
mod targets;

pub use mutate::Mutator;
pub use runner::{LARGEST_HEAP, Ran, Range, run};
pub use supervise::{Done, Finding, Plan, supervise};
pub use table::table;
pub use targets::{Parser, Target, all, faulty};
