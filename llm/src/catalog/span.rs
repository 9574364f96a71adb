//! Spans of time as people write them in catalogs and requirements: `880ms`, `1.5s`, `2m`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Reads a span.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let at = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let second = match unit.trim() {
        "ms" => 0.001,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(BAD.to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| BAD)?;
    // Whole milliseconds: finer spans are not told apart here.
    let ms = (number * second * 1000.0).round();
    if ms > MAX_MS { Err("a span is at most a day".to_owned()) } else { Ok(Duration::from_millis(ms as u64)) }
}

const BAD: &str = "a span is written as 880ms, 1.5s, 2m or 1h";
const MAX_MS: f64 = 24.0 * 3600.0 * 1000.0;

/// Writes a span in the largest unit of milliseconds and seconds that loses nothing readers care about.
pub(crate) fn show(span: Duration) -> String {
    let ms = span.as_millis();
    if ms < 1000 { format!("{ms}ms") } else { format!("{}s", ms as f64 / 1000.0) }
}

/// For `#[serde(with)]`.
pub(crate) fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show(*span))
}

/// For `#[serde(with)]`.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// The same where there may be none.
pub(crate) mod option {
    use super::{Deserialize, Deserializer, Duration, Error, Serializer, parse, show};

    #[expect(clippy::ref_option, reason = "serde passes a reference")]
    pub(crate) fn serialize<S: Serializer>(
        span: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match span {
            Some(span) => serializer.serialize_some(&show(*span)),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| parse(&text)).transpose().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written() {
        for (text, ms, shown) in [
            ("880ms", 880, "880ms"),
            ("1.5s", 1_500, "1.5s"),
            ("2m", 120_000, "120s"),
            ("3000ms", 3_000, "3s"),
            ("0s", 0, "0ms"),
            (" 1 h ", 3_600_000, "3600s"),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
            assert_eq!(show(Duration::from_millis(ms)), shown);
        }
        for text in ["", "s", "5", "-1s", "1.2.3s", "NaNs", "1d", "99999h", "1e9s", "é"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
