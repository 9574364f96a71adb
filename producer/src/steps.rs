//! Small steps that several commands take: waiting with growing pauses, Ctrl-C, time-outs.

use std::{future::Future, time::Duration};

use windlass_shared::{model::time::parse_duration, store::StoreError};

use crate::exit::{Done, Failure};

/// A pause that grows from 20 ms to a second, so that what is quick is told at once and what is slow costs little.
pub(crate) struct Pause(Duration);

impl Pause {
    pub(crate) fn new() -> Self {
        Self(Duration::from_millis(20))
    }

    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 3 / 2).min(Duration::from_secs(1));
    }

    /// Nothing happened for a few seconds.
    pub(crate) fn is_longest(&self) -> bool {
        self.0 >= Duration::from_secs(1)
    }

    /// Something happened: be quick again.
    pub(crate) fn reset(&mut self) {
        *self = Self::new();
    }
}

/// For how long a read is repeated when Redis does not answer: who waits for hours sits a restart out.
const PATIENCE: Duration = Duration::from_secs(30);

/// Repeats a read while Redis is away.
pub(crate) async fn patiently<T, F>(read: impl Fn() -> F) -> Done<T>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let (start, mut pause) = (tokio::time::Instant::now(), Pause::new());
    loop {
        match read().await {
            Err(error) if error.is_temporary() && start.elapsed() < PATIENCE => pause.wait().await,
            other => return other.map_err(Failure::from),
        }
    }
}

/// Reads a duration of the command line.
pub(crate) fn duration(flag: &str, text: &str) -> Done<Duration> {
    parse_duration(text).map_err(|error| Failure::Usage(format!("{flag}: {error}")))
}

/// Runs `work` until it is done, Ctrl-C, or the time-out.
pub(crate) async fn bounded<T>(timeout: Option<Duration>, work: impl Future<Output = Done<T>>) -> Done<T> {
    let limit = async {
        match timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        done = work => done,
        () = limit => Err(Failure::TimedOut("timed out; what was submitted goes on".into())),
        _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted(String::new())),
    }
}
