//! The fleet through its real programs, on a real Redis, with real faults. One file a theme.

mod bad_input;
mod bad_redis;
mod bulk;
mod cancel;
mod dead_letter;
mod dev;
mod dev_faults;
mod drain;
mod idle;
mod kill;
mod limits;
mod listings;
mod look;
mod many_nodes;
mod million;
mod nodes;
mod order;
mod outage;
mod pause;
mod poison;
mod resumable;
mod services;
mod tools;
mod types;
mod unknown_type;
mod unreadable;
