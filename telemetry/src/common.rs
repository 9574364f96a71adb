//! What the worker and `serve` both tell: the build, how Redis answered, the process.

use std::fmt;

use crate::{
    list::{BUILD_INFO, REDIS_ERRORS, REDIS_ROUND_TRIP, REDIS_SCRIPT},
    process,
    render::{ConstHistogram, Sheet, Source},
};

/// How long something took, as a histogram.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Times {
    /// Upper bounds in seconds, and how many were within each and above the one before. The last bound is infinite.
    pub buckets: Vec<(f64, u64)>,
    /// Seconds in all.
    pub sum: f64,
}

impl Times {
    fn as_metric(&self) -> ConstHistogram<'_> {
        ConstHistogram { buckets: &self.buckets, sum: self.sum }
    }
}

/// How Redis answered this process.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Redis {
    /// Commands and scripts.
    pub round_trip: Times,
    /// By script.
    pub scripts: Vec<(&'static str, Times)>,
    /// Failures by kind.
    pub errors: Vec<(&'static str, u64)>,
}

/// What both programs tell.
#[derive(Debug, Clone, Copy)]
pub struct Common {
    /// Of the program.
    pub version: &'static str,
    /// Of the protocol in Redis.
    pub protocol: u32,
    /// Asked with each scrape.
    pub redis: fn() -> Redis,
}

impl Source for Common {
    fn write(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let build = vec![("version", self.version.to_owned()), ("protocol", self.protocol.to_string())];
        sheet.numbers(&BUILD_INFO, [(build, 1.0)])?;
        let redis = (self.redis)();
        sheet.family(&REDIS_ROUND_TRIP, [(Vec::new(), &redis.round_trip.as_metric())])?;
        // Those that this program runs.
        let scripts = redis.scripts.iter().filter(|(_, times)| times.sum > 0.0);
        let scripts: Vec<_> = scripts.map(|(name, times)| (*name, times.as_metric())).collect();
        let scripts = scripts.iter().map(|(name, times)| (vec![("script", String::from(*name))], times));
        sheet.family(&REDIS_SCRIPT, scripts)?;
        let errors =
            redis.errors.iter().map(|(kind, count)| (vec![("kind", String::from(*kind))], *count as f64));
        sheet.numbers(&REDIS_ERRORS, errors)?;
        process::write(sheet)
    }
}
