//! How a running task says how far it is: the latest report wins, and reporting never waits.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// A report larger than this many bytes is dropped: it is written to Redis with every beat.
const LARGEST: usize = 16 * 1024;

/// Where a running task reports progress. Cheap to clone.
#[derive(Clone, Default)]
pub struct Progress(Option<Reports>);

/// Where the reports of a task arrive.
#[derive(Clone, Default)]
pub struct Reports(Arc<Mutex<Option<Box<RawValue>>>>);

impl Reports {
    /// The latest report, if none was taken since it came.
    pub fn take(&self) -> Option<Box<RawValue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
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

    /// Reports JSON that is written already.
    pub fn report_raw(&self, value: Box<RawValue>) {
        if let Some(reports) = &self.0
            && value.get().len() <= LARGEST
        {
            *reports.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
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
}
