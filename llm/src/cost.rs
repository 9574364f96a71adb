//! Money: amounts in whole nano-dollars, prices, and what a call costs.
//!
//! Budgets add up amounts of many nodes, so amounts are integers: [`Nano`] counts billionths of a dollar and never
//! rounds a sum. A [`Price`] gives amounts per million tokens; the cost of a call is computed in 128 bits and rounded
//! up once, to the next nano-dollar. What has no known price has no cost either: `None`, which is not zero.

mod nano;
mod price;

pub use nano::{InvalidAmount, Nano};
pub use price::{Price, Tier, TokenUsage};
