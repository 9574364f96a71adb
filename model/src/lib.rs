//! Lease, fence and recovery as a state machine for exhaustive checking. `README.md` maps its actions to the scripts.

mod fleet;
mod redis;
mod rescue;

pub use fleet::{Action, Broken, Faults, Fleet, World};
