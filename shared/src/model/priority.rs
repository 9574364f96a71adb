//! The four priorities. A higher one is always claimed first.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// How soon a task is claimed compared with others of its queue. Ordered: `Critical` is the smallest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Priority {
    /// Before everything else.
    Critical,
    /// Before `normal` and `low`.
    High,
    /// Unless said otherwise.
    #[default]
    Normal,
    /// When nothing else waits.
    Low,
}

impl Priority {
    /// All four, most urgent first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Normal, Self::Low];

    /// The word used on the command line and in Redis.
    pub fn as_str(self) -> &'static str {
        ["critical", "high", "normal", "low"][self as usize]
    }

    /// The band of the sorted set's score, 0 to 3.
    pub fn band(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Priority {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let same = |p: &Self| p.as_str().eq_ignore_ascii_case(text);
        Self::ALL
            .into_iter()
            .find(same)
            .ok_or_else(|| format!("priority {text:?} is not valid: use one of critical, high, normal, low"))
    }
}
