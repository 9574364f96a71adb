//! Classes of error. What happens after a failure is decided by the class, never by matching text.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

macro_rules! classes {
    ($($(#[$doc:meta])* $variant:ident = $word:literal, $policy:expr;)*) => {
        /// Why an attempt failed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ErrorClass { $($(#[$doc])* $variant,)* }

        impl ErrorClass {
            /// Every class.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word that is stored and printed.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// What to do after a failure of this class.
            pub fn policy(self) -> ClassPolicy {
                match self { $(Self::$variant => $policy),* }
            }
        }
    };
}

/// What a class of error asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassPolicy {
    /// Try again with back-off; the delay starts at this or the task's own base, whichever is longer.
    Retry(Duration),
    /// Trying again cannot help.
    Fail,
}
use ClassPolicy::{Fail, Retry};

const NOW: Duration = Duration::ZERO;
const SOON: Duration = Duration::from_secs(1);
const LATER: Duration = Duration::from_secs(5);

classes! {
    /// The key or password was refused.
    Authentication = "authentication", Fail;
    /// The key is known but may not do this.
    Permission = "permission", Fail;
    /// Too many requests; `Retry-After` is honoured.
    RateLimit = "rate_limit", Retry(LATER);
    /// The account is out of credit.
    Quota = "quota", Fail;
    /// The task or a call took longer than allowed.
    Timeout = "timeout", Retry(NOW);
    /// No connection, or it broke.
    Connection = "connection", Retry(SOON);
    /// The other side failed (HTTP 5xx).
    Server = "server", Retry(SOON);
    /// The other side is overloaded (HTTP 503, 529).
    Overloaded = "overloaded", Retry(LATER);
    /// The request does not fit the model's context window.
    ContextLength = "context_length", Fail;
    /// The request or the answer was refused for its content.
    ContentPolicy = "content_policy", Fail;
    /// The request, the payload or the type's configuration is wrong.
    BadRequest = "bad_request", Fail;
    /// The answer could not be read.
    MalformedOutput = "malformed_output", Retry(NOW);
    /// No money is left for this.
    Budget = "budget", Fail;
    /// No answer of a model passed its validators.
    Validation = "validation", Retry(NOW);
    /// A person refused the draft.
    Rejected = "rejected", Fail;
    /// A command ended with an exit code that means failure.
    ExitCode = "exit_code", Retry(NOW);
    /// A command could not be started.
    Spawn = "spawn", Fail;
    /// The executor panicked.
    Panic = "panic", Retry(NOW);
    /// The result is larger than allowed.
    ResultTooLarge = "result_too_large", Fail;
    /// The record of the task could not be read.
    Undecodable = "undecodable", Fail;
    /// No live node knows the task's type.
    UnknownType = "unknown_type", Fail;
    /// The node that ran the task vanished too often.
    Crashed = "crashed", Fail;
    /// Nodes gave the task back too often before it was done.
    Interrupted = "interrupted", Fail;
    /// Cancelled by a person or a program.
    Cancelled = "cancelled", Fail;
    /// Not foreseen.
    Internal = "internal", Retry(NOW);
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for ErrorClass {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.iter().copied().find(|c| c.as_str() == text).ok_or_else(|| {
            let all: Vec<_> = Self::ALL.iter().map(|c| c.as_str()).collect();
            format!("error class {text:?} is not known: use one of {}", all.join(", "))
        })
    }
}
