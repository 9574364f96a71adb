//! How a running task says how far it is: the latest report wins, and reporting never waits.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::Instant;

/// A report larger than this many bytes is dropped: it is written to Redis with every beat.
const LARGEST: usize = 16 * 1024;

/// Where a running task reports progress. Cheap to clone.
#[derive(Clone, Default)]
pub struct Progress(Option<Reports>);

/// Where the reports of a task arrive.
#[derive(Clone)]
pub struct Reports(Arc<Mutex<Latest>>);

struct Latest {
    report: Option<Box<RawValue>>,
    /// When it came, or the attempt began.
    at: Instant,
}

impl Default for Reports {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Latest { report: None, at: Instant::now() })))
    }
}

impl Reports {
    /// The latest report, if none was taken since it came.
    pub fn take(&self) -> Option<Box<RawValue>> {
        self.latest().report.take()
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    /// Reports go nowhere.
    pub fn none() -> Self {
        Self(None)
    }

    /// Reports go to the other end, which sees the latest one.
    pub fn channel() -> (Self, Reports) {
        let reports = Reports::default();
        (Self(Some(reports.clone())), reports)
    }

    /// Reports any value that is JSON.
    pub fn report(&self, value: &impl Serialize) {
        if self.0.is_some()
            && let Ok(raw) = to_raw_value(value)
        {
            self.report_raw(raw);
        }
    }

    /// Reports JSON that is written already. A huge one is dropped, but is a sign of life.
    pub fn report_raw(&self, value: Box<RawValue>) {
        if let Some(reports) = &self.0 {
            let mut latest = reports.latest();
            latest.at = Instant::now();
            if value.get().len() <= LARGEST {
                latest.report = Some(value);
            }
        }
    }

    /// Waits until there was no report for `longest`; for ever, if none is demanded.
    pub(crate) async fn silence(&self, longest: Option<Duration>) {
        let (Some(longest), Some(reports)) = (longest, &self.0) else { return std::future::pending().await };
        loop {
            let until = reports.latest().at + longest;
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Progress").field(&self.0.is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_latest_report_wins_and_a_huge_one_is_dropped() {
        let (progress, reports) = Progress::channel();
        progress.report(&json!({"done": 1}));
        progress.report(&json!({"done": 2}));
        progress.report(&"x".repeat(LARGEST));
        assert_eq!(reports.take().unwrap().get(), r#"{"done":2}"#);
        assert!(reports.take().is_none(), "each is taken once");
        Progress::none().report(&1);
    }

    #[tokio::test]
    async fn silence_begins_anew_with_each_report() {
        let (progress, _reports) = Progress::channel();
        let (start, second, step) = (Instant::now(), Duration::from_secs(1), Duration::from_millis(300));
        let talk = async {
            for n in 0..3 {
                tokio::time::sleep(step).await;
                progress.report(&n);
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = progress.silence(Some(second)) => {}
            () = talk => {}
        }
        assert!(start.elapsed() >= second + step, "it ended {:?} after the start", start.elapsed());
    }
}
