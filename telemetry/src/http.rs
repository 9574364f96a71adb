//! What `serve` counts of itself: requests, open streams, scrapes that failed.

use std::{
    fmt,
    sync::{Arc, LazyLock},
    time::Duration,
};

use crate::{
    family::{Counter, Family, Gauge, Histogram},
    list,
    render::{Sheet, Source},
    trace::Trace,
};

#[derive(Debug)]
pub(crate) struct Http {
    requests: Family<Counter, 3>,
    duration: Family<Histogram, 2>,
    streams: Family<Gauge, 0>,
    scrape_errors: Family<Counter, 0>,
}

/// Those of this process.
pub(crate) static HTTP: LazyLock<Arc<Http>> = LazyLock::new(|| {
    Arc::new(Http {
        requests: Family::new(&list::HTTP_REQUESTS),
        duration: Family::new(&list::HTTP_DURATION),
        streams: Family::new(&list::HTTP_EVENT_STREAMS),
        scrape_errors: Family::new(&list::SCRAPE_ERRORS),
    })
});

/// A request was answered. `route` is the pattern (`/v1/tasks/{queue}/{id}`), never the path.
pub fn record(method: &str, route: &str, status: u16, took: Duration, trace: Option<Trace>) {
    let (mut buffer, code) = ([0; 3], status.min(999));
    for (at, power) in [100, 10, 1].into_iter().enumerate() {
        buffer[at] = b'0' + u8::try_from(code / power % 10).unwrap_or(0);
    }
    let status = std::str::from_utf8(&buffer).unwrap_or_default();
    HTTP.requests.of([method, route, status]).inc();
    HTTP.duration.of([method, route]).observe(took.as_secs_f64(), trace, None);
}

/// A stream of events is open while this lives.
#[derive(Debug)]
pub struct OpenStream(());

impl OpenStream {
    /// One more.
    #[expect(clippy::new_without_default, reason = "it counts, which a default value should not")]
    pub fn new() -> Self {
        HTTP.streams.of([]).inc();
        Self(())
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        HTTP.streams.of([]).dec();
    }
}

/// Redis could not be read for a scrape.
pub fn scrape_failed() {
    HTTP.scrape_errors.of([]).inc();
}

impl Source for Http {
    fn write(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        self.requests.write(sheet)?;
        self.duration.write(sheet)?;
        self.streams.write(sheet)?;
        self.scrape_errors.write(sheet)
    }
}
