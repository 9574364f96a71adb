//! The trace of what was measured, as an exemplar tells it.

use std::fmt;

use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};

/// The id of a trace (W3C Trace Context), which is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Trace(u128);

impl Trace {
    /// Of an id; zero is none.
    pub fn new(id: u128) -> Option<Self> {
        (id != 0).then_some(Self(id))
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl EncodeLabelSet for Trace {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        [("trace_id", self.to_string())].encode(encoder)
    }
}
