//! Why a call failed, and what is to be done about it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Why a call to a model failed. [`Class::policy`] says what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The key was refused.
    Authentication,
    /// The key is known but may not do this.
    Permission,
    /// Too many requests or tokens in a span of time.
    RateLimit,
    /// The account is out of credit, or at a limit that lifts only much later.
    Quota,
    /// Connecting, the first token, the next piece or the whole took too long.
    Timeout,
    /// No connection, or it broke.
    Connection,
    /// The provider failed.
    Server,
    /// The provider is overloaded.
    Overloaded,
    /// The request does not fit the model's context window.
    ContextLength,
    /// The request or the answer was refused for its content.
    ContentPolicy,
    /// The request is wrong, or the model is not known.
    BadRequest,
    /// The answer cannot be read, is none, or is not what was asked for.
    MalformedOutput,
    /// Our own budget does not allow the call.
    Budget,
    /// We stopped the call.
    Cancelled,
}

impl Class {
    /// Every class, in the order of the table in [`Class::policy`].
    pub const ALL: [Self; 14] = [
        Self::Authentication,
        Self::Permission,
        Self::RateLimit,
        Self::Quota,
        Self::Timeout,
        Self::Connection,
        Self::Server,
        Self::Overloaded,
        Self::ContextLength,
        Self::ContentPolicy,
        Self::BadRequest,
        Self::MalformedOutput,
        Self::Budget,
        Self::Cancelled,
    ];

    /// The word for logs and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::Permission => "permission",
            Self::RateLimit => "rate_limit",
            Self::Quota => "quota",
            Self::Timeout => "timeout",
            Self::Connection => "connection",
            Self::Server => "server",
            Self::Overloaded => "overloaded",
            Self::ContextLength => "context_length",
            Self::ContentPolicy => "content_policy",
            Self::BadRequest => "bad_request",
            Self::MalformedOutput => "malformed_output",
            Self::Budget => "budget",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no class of error is called like that: use authentication, permission, rate_limit, quota, timeout, connection, \
     server, overloaded, context_length, content_policy, bad_request, malformed_output, budget or cancelled"
)]
pub struct UnknownClass;

impl FromStr for Class {
    type Err = UnknownClass;

    fn from_str(word: &str) -> Result<Self, UnknownClass> {
        Self::ALL.into_iter().find(|class| class.as_str() == word).ok_or(UnknownClass)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_one_word_that_finds_it_again() {
        for class in Class::ALL {
            assert_eq!(class.as_str().parse(), Ok(class));
            assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
        }
        assert_eq!("ratelimit".parse::<Class>(), Err(UnknownClass));
        assert_eq!(format!("{:>7}", Class::Quota), "  quota");
    }
}
