//! Times and durations: microseconds of Redis's clock in the store, RFC 3339 and `1h30m` for people.

use std::{fmt, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, Serializer};

/// A moment of Redis's clock: microseconds since 1970-01-01 UTC. Serialised as RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Micros(pub i64);

impl Micros {
    /// Time from `earlier` to `self`, zero if it is negative.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// When an entry of a stream was added, as the first half of its id says.
    pub fn of_entry(id: &str) -> Option<Self> {
        let millis: i64 = id.split('-').next()?.parse().ok()?;
        Some(Self(millis.saturating_mul(1000)))
    }

    /// What Redis's `TIME` says.
    pub(crate) fn of_time((seconds, micros): (i64, i64)) -> Self {
        Self(seconds.saturating_mul(1_000_000).saturating_add(micros))
    }

    /// Reads an RFC 3339 time such as `2026-11-20T08:00:00Z`.
    pub fn parse(text: &str) -> Result<Self, String> {
        text.parse::<Timestamp>().map(|t| Self(t.as_microsecond())).map_err(|_| {
            format!("time {text:?} is not valid: use RFC 3339 with a zone, such as 2026-11-20T08:00:00Z")
        })
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_microsecond(self.0) {
            Ok(time) => write!(f, "{time:.6}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Longest duration that any setting or task may name: one hundred years.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Reads a duration such as `500ms`, `10s`, `1h30m`, `7d`; `0` and `0s` are zero.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = |why: &str| Err(format!("duration {text:?} is not valid: {why}"));
    let text_trimmed = text.trim();
    if text_trimmed == "0" {
        return Ok(Duration::ZERO);
    }
    // `jiff` reads hours and smaller; a day is 24 hours here, since no time zone is involved.
    if text_trimmed.is_empty() {
        return bad("it is empty");
    }
    let (days, rest) = match text_trimmed.split_once('d') {
        Some((days, rest)) if !days.is_empty() && days.bytes().all(|b| b.is_ascii_digit()) => {
            (days, rest.trim())
        }
        _ => ("0", text_trimmed),
    };
    let Ok(days) = days.parse::<u64>() else { return bad("the number of days is too large") };
    let rest = if rest.is_empty() {
        SignedDuration::ZERO
    } else {
        match rest.parse::<SignedDuration>() {
            Ok(duration) => duration,
            Err(_) => return bad("use a number with a unit, such as 500ms, 10s, 5m, 1h30m or 7d"),
        }
    };
    let Ok(rest) = Duration::try_from(rest) else { return bad("it must not be negative") };
    match Duration::from_secs(days.saturating_mul(86_400)).checked_add(rest) {
        Some(sum) if sum <= LONGEST => Ok(sum),
        _ => bad("it is longer than a hundred years"),
    }
}

/// A duration for people: `850ms`, `12.3s`, `4m 05s`, `3h 12m`, `2d 4h`.
pub fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{}ms", duration.as_millis()),
        1..=59 => format!("{:.1}s", duration.as_secs_f64()),
        60..=3_599 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..=86_399 => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Microseconds of a duration, as the scripts take them.
pub fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, millis) in [
            ("0", 0),
            ("500ms", 500),
            ("10s", 10_000),
            ("1h30m", 5_400_000),
            ("7d", 604_800_000),
            ("1d 2h", 93_600_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "10", "-1s", "ten seconds", "1000000d", "99999999999999999999d", "d"] {
            assert!(parse_duration(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_moment_prints_with_all_six_digits() {
        assert_eq!(Micros(1_763_617_179_120_000).to_string(), "2025-11-20T05:39:39.120000Z");
        assert_eq!(Micros::parse("2025-11-20T05:39:39.12Z"), Ok(Micros(1_763_617_179_120_000)));
        assert!(Micros::parse("tomorrow").is_err());
    }
}
