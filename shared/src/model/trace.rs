//! The trace that a task belongs to (W3C Trace Context, level 1), as it travels from whoever submits it to whoever runs it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Where in a trace something happens: the header `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace; not zero.
    pub trace: u128,
    /// The span that is the parent; not zero.
    pub span: u64,
    /// The last bit says that the trace is recorded.
    pub flags: u8,
}

impl TraceParent {
    /// Whether whoever began the trace records it.
    pub fn is_sampled(self) -> bool {
        self.flags & 1 == 1
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

impl FromStr for TraceParent {
    type Err = ();

    /// Later versions may have more parts; what this one has stands first in them, too.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('-');
        let mut part = |length: usize| -> Result<u128, ()> {
            let part = parts.next().ok_or(())?;
            let is_hex = part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            if part.len() != length || !is_hex {
                return Err(());
            }
            u128::from_str_radix(part, 16).map_err(|_| ())
        };
        let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        let is_whole = version > 0 || parts.next().is_none();
        if version == 0xff || trace == 0 || span == 0 || !is_whole {
            return Err(());
        }
        Ok(Self {
            trace,
            span: u64::try_from(span).map_err(|_| ())?,
            flags: u8::try_from(flags).map_err(|_| ())?,
        })
    }
}

/// The longest `tracestate` that is passed on, as the standard asks for at least.
const LONGEST_STATE: usize = 512;

/// A task's trace as it is stored with it. It is no part of what makes a task the same as another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Trace {
    /// `traceparent`.
    #[serde(rename = "traceparent")]
    pub parent: String,
    /// `tracestate`, what other tools add.
    #[serde(rename = "tracestate", skip_serializing_if = "String::is_empty")]
    pub state: String,
}

impl Trace {
    /// Of the two headers, or the variables TRACEPARENT and TRACESTATE. Nothing if the first is no `traceparent`, as the
    /// standard asks; a second that is not printable or too long is left out.
    pub fn read(parent: &str, state: Option<&str>) -> Option<Self> {
        let parent = parent.trim().parse::<TraceParent>().ok()?.to_string();
        let fits = |state: &&str| {
            state.len() <= LONGEST_STATE && state.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
        };
        let state = state.map(str::trim).filter(fits).unwrap_or_default().to_owned();
        Some(Self { parent, state })
    }

    /// The headers that tell of it.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fields = [("traceparent", self.parent.as_str()), ("tracestate", self.state.as_str())];
        fields.into_iter().filter(|(_, value)| !value.is_empty())
    }

    /// The variables that many tools read.
    pub fn variables(&self) -> impl Iterator<Item = (String, &str)> {
        self.headers().map(|(name, value)| (name.to_uppercase(), value))
    }

    /// Where in the trace it was submitted.
    pub fn parent(&self) -> Option<TraceParent> {
        self.parent.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_as_the_standard_says() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let parent: TraceParent = text.parse().unwrap();
        assert_eq!((parent.to_string().as_str(), parent.is_sampled()), (text, true));
        assert_eq!(text.replacen("00", "cc", 1).parse(), Ok(parent));
        assert_eq!(format!("{}-more", text.replacen("00", "cc", 1)).parse(), Ok(parent));
        for bad in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(bad.parse::<TraceParent>(), Err(()), "{bad}");
        }
    }

    #[test]
    fn a_state_that_may_not_be_passed_on_is_left_out() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let state = |state: &str| Trace::read(parent, Some(state)).map(|trace| trace.state);
        assert_eq!(state(" a=1,b=2 ").as_deref(), Some("a=1,b=2"));
        assert_eq!(state(&"x".repeat(513)).as_deref(), Some(""));
        assert_eq!(state("a=\n1").as_deref(), Some(""));
        assert_eq!(Trace::read("nonsense", Some("a=1")), None);
    }
}
