//! Traces and logs for OpenTelemetry. Off until a collector is named by the standard variables (`OTEL_*`); then all that
//! code which makes spans does is to look at one flag.
//!
//! Spans are made by hand ([`span`]) and not by a layer under `tracing`: a queue's spans begin in the past (a wait), follow
//! from what another process did (the submission, the attempt before), and are few. So nobody who logs pays for them, and
//! no library's span ends up in a task's trace.

mod ids;
mod setup;
mod span;

pub use self::{
    ids::{attempt_span, trace_of},
    setup::{LogLayer, Setup, Telemetry},
    span::{At, Kind, Parent, Span, Start, is_on, span},
};
