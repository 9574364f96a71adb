//! What must have a submission or a result before it counts.

use std::{fmt, str::FromStr};

/// How durable submissions and results are before they are acknowledged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// As Redis takes them: what survives is what its persistence makes of it.
    #[default]
    None,
    /// So many replicas have them.
    Replicas(u32),
    /// The server's append-only file has them, on disk.
    Fsync,
}

impl Durability {
    /// How many confirmations are enough.
    pub fn wanted(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Replicas(replicas) => replicas,
            Self::Fsync => 1,
        }
    }
}

impl FromStr for Durability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let replicas =
            |number: &str| number.parse().ok().filter(|n| (1..=32).contains(n)).map(Self::Replicas);
        let read = match text {
            "none" => Some(Self::None),
            "fsync" => Some(Self::Fsync),
            _ => text.strip_prefix("replicas=").and_then(replicas),
        };
        read.ok_or_else(|| format!("{text:?} is not valid: use none, replicas=N (1 to 32) or fsync"))
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Replicas(replicas) => write!(f, "replicas={replicas}"),
            Self::Fsync => f.write_str("fsync"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_is_printed() {
        for text in ["none", "replicas=1", "replicas=32", "fsync"] {
            assert_eq!(text.parse::<Durability>().unwrap().to_string(), text);
        }
        for text in ["", "replicas", "replicas=0", "replicas=33", "replicas=x", "always"] {
            assert!(text.parse::<Durability>().unwrap_err().contains("replicas=N"), "{text}");
        }
    }
}
