//! Why an attempt failed.

use std::{fmt, time::Duration};

use windlass_shared::model::ErrorClass;

/// Why an attempt failed, and what the other side said about trying again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Decides what happens next.
    pub class: ErrorClass,
    /// For people.
    pub message: String,
    /// How long the other side asked us to wait.
    pub retry_after: Option<Duration>,
    /// Trying again cannot help, whatever the class says.
    pub permanent: bool,
}

impl Failure {
    /// A failure of this class.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), retry_after: None, permanent: false }
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
        Self { permanent: true, ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class, self.message)
    }
}

impl std::error::Error for Failure {}
