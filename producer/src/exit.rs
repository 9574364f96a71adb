//! How a command ends: one exit code for each kind of failure, and a message that says what to do.

use std::process::ExitCode;

use windlass_shared::{
    config::ConfigFaults, model::name::InvalidName, objects::ObjectsError, store::StoreError,
};

/// Why a command did not do all it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A waited-for task failed, an id is unknown, some lines were rejected. Told already if empty.
    NotDone(String),
    /// Wrong usage or configuration.
    Usage(String),
    /// Redis cannot be used.
    Redis(StoreError),
    /// Queue full, conflict, over a limit.
    Refused(String),
    /// It took too long.
    TimedOut(String),
    /// Ctrl-C.
    Interrupted(String),
    /// Nobody reads our output any more: no error.
    ClosedPipe,
}

/// What every command gives.
pub(crate) type Done<T = ()> = Result<T, Failure>;

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::ClosedPipe => 0,
            Self::NotDone(_) => 1,
            Self::Usage(_) => 2,
            Self::Redis(_) => 3,
            Self::Refused(_) => 4,
            Self::TimedOut(_) => 5,
            Self::Interrupted(_) => 130,
        }
    }

    /// What to tell the person; empty if they know.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::NotDone(text)
            | Self::Usage(text)
            | Self::Refused(text)
            | Self::TimedOut(text)
            | Self::Interrupted(text) => text.clone(),
            Self::Redis(error) => error.to_string(),
            Self::ClosedPipe => String::new(),
        }
    }
}

/// The exit code of a command that ended so.
pub(crate) fn code(done: &Done) -> u8 {
    done.as_ref().err().map_or(0, Failure::code)
}

/// Prints the failure and gives its exit code.
pub(crate) fn tell(failure: &Failure) -> ExitCode {
    let message = failure.message();
    if !message.is_empty() {
        anstream::eprintln!("windlass: {message}");
    }
    ExitCode::from(failure.code())
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Impossible(why) => Self::Refused(why),
            StoreError::Objects(why) => Self::NotDone(why),
            error => Self::Redis(error),
        }
    }
}

impl From<ObjectsError> for Failure {
    fn from(error: ObjectsError) -> Self {
        Self::NotDone(error.to_string())
    }
}

impl From<ConfigFaults> for Failure {
    fn from(faults: ConfigFaults) -> Self {
        Self::Usage(faults.to_string())
    }
}

impl From<InvalidName> for Failure {
    fn from(error: InvalidName) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::NotDone(error.to_string()),
        }
    }
}
