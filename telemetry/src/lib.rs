//! What Windlass tells of itself: metrics for Prometheus, traces and logs for OpenTelemetry.
//!
//! * [`list`]: every metric, in one table. What is not there does not exist; `docs/metrics.md` is made from it.
//! * [`worker`]: what a worker counts. [`fleet`] and [`http`]: what `windlass serve` tells of the fleet and of itself.
//! * [`common`]: what both tell: the build, the process, how Redis answers.
//! * [`render`]: the page, in the form that a scraper asks for.
//! * [`otel`]: traces and logs, where a collector is named.
//!
//! Recording costs two looks into small maps and an atomic addition, and never
//! more than a bounded number of series: see [`family`].

pub mod common;
pub mod family;
pub mod fleet;
pub mod http;
pub mod list;
pub mod otel;
mod process;
mod reference;
pub mod render;
#[cfg(test)]
mod tests;
mod trace;
pub mod worker;

pub use self::{
    common::{Common, Redis, Times},
    reference::reference_markdown,
    trace::Trace,
};
