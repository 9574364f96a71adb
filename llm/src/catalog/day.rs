//! A day of the calendar.

use std::{fmt, str::FromStr};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// A day, written `2026-11-30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(Date);

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Day {
    type Err = String;

    /// Reads a day, or the day of a moment such as `2026-11-30T12:00:00Z`.
    fn from_str(text: &str) -> Result<Self, String> {
        let day = text.get(..10).filter(|_| matches!(text.as_bytes().get(10), None | Some(b'T' | b' ')));
        let day = day.and_then(|day| day.parse().ok()).map(Self);
        day.ok_or_else(|| "a day is written as 2026-11-30".to_owned())
    }
}

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_written_and_ordered() {
        let day: Day = "2026-11-30".parse().unwrap();
        assert_eq!(day.to_string(), "2026-11-30");
        assert_eq!("2026-11-30T23:59:59Z".parse(), Ok(day));
        assert!(day < "2026-12-01".parse().unwrap());
        for text in ["", "2026-13-01", "2026-02-30", "2026-11-3", "2026-11-30x", "20261130", "20é6-11-30"] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
    }
}
