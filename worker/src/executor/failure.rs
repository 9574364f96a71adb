//! Why an attempt failed.

use std::{fmt, time::Duration};

use windlass_shared::model::ErrorClass;

/// What happens after a failure.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Next {
    /// The policy of the class decides.
    #[default]
    Policy,
    /// Trying again cannot help, whatever the class says.
    Never,
    /// The task gives its slot back for this long and no attempt is charged: a limit, or a spent budget.
    Wait {
        /// For how long.
        wait: Duration,
        /// For a budget's next window.
        budget: bool,
    },
    /// People decide about this draft, JSON text.
    Escalate(String),
}

/// Why an attempt failed, and what the other side said about trying again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Decides what happens next.
    pub class: ErrorClass,
    /// For people.
    pub message: String,
    /// How long the other side asked us to wait.
    pub retry_after: Option<Duration>,
    /// What happens now.
    pub next: Next,
    /// What the next attempt must know of this one, JSON text; empty: nothing. See [`super::Job::ledger`].
    pub ledger: String,
}

impl Failure {
    /// A failure of this class.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), retry_after: None, next: Next::Policy, ledger: String::new() }
    }

    /// The payload or the type's configuration is wrong.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::BadRequest, message)
    }

    /// Something that should not happen went wrong on this node.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Internal, message)
    }

    /// With the wait that the other side asked for.
    #[must_use]
    pub fn retry_after(self, wait: impl Into<Option<Duration>>) -> Self {
        Self { retry_after: wait.into(), ..self }
    }

    /// Never to be tried again.
    #[must_use]
    pub fn permanent(self) -> Self {
        Self { next: Next::Never, ..self }
    }

    /// What waits, waits for the next window of a budget.
    #[must_use]
    pub fn for_budget(self) -> Self {
        match self.next {
            Next::Wait { wait, .. } => Self { next: Next::Wait { wait, budget: true }, ..self },
            next => Self { next, ..self },
        }
    }

    /// Gives the slot back for so long, for a limit.
    #[must_use]
    pub fn wait(self, wait: Duration) -> Self {
        Self { next: Next::Wait { wait, budget: false }, ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class, self.message)
    }
}

impl std::error::Error for Failure {}
