//! What a setting may hold: how its text is read, and how that is said to people.

use std::{fmt::Display, path::PathBuf, str::FromStr, time::Duration};

use crate::{model::time::parse_duration, sealing::KeyRing};

use super::{
    fault::all,
    list,
    redact::{check_http_url, check_redis_url},
    secret::{Secret, Url},
    value::Value,
};

/// Says what is wrong with a text, if anything is.
pub type Check = fn(&str) -> Result<(), String>;

/// What a setting may hold.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any text.
    Text,
    /// A text that `check` accepts; the first part says what it is.
    Name(&'static str, Check),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A whole number in a range.
    Count(u64, u64),
    /// A number of bytes in a range, such as `64KiB`.
    Bytes(u64, u64),
    /// A duration in a range, such as `1h30m`.
    Duration(Duration, Duration),
    /// A path. In a file, relative to the file's folder.
    Path,
    /// The URL of a Redis; may hold a password.
    RedisUrl,
    /// The URL of a service; holds no password.
    HttpUrl,
    /// A key or a password, by value or (`_file`, `_FILE`) by the file that holds it.
    Secret,
    /// Keys that seal and open; the same ways.
    KeyRing,
    /// Queues with weights: `default,other=3`.
    Queues,
    /// Labels: `zone=a,pod=b`.
    Labels,
    /// Texts that `check` accepts, separated by commas; the first part says what they are.
    List(&'static str, Check),
    /// Exit codes.
    Codes,
    /// Classes of error and what to do about them: `timeout=fail`.
    Classes,
    /// Any table.
    Table,
}

/// Longest duration there is, a hundred years: no limit.
pub(super) const FOREVER: Duration = Duration::from_hours(100 * 365 * 24);

const UNITS: [(&str, u64); 5] = [("", 1), ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

impl Kind {
    /// Whether several values can be given, so that none is a value too.
    pub(super) fn is_list(self) -> bool {
        self.is_pairs() || matches!(self, Self::List(..) | Self::Codes)
    }

    /// Whether a table of names and values can be given.
    pub(super) fn is_pairs(self) -> bool {
        matches!(self, Self::Queues | Self::Labels | Self::Classes)
    }

    /// Whether it is never shown.
    pub(super) fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::KeyRing)
    }

    /// Whether it may be given by the file that holds it: secrets, and what may hold one.
    pub(super) fn may_be_a_file(self) -> bool {
        self.is_secret() || matches!(self, Self::RedisUrl)
    }

    /// Reads a text that is not empty, or says what is allowed.
    pub(super) fn read(self, text: &str) -> Result<Value, String> {
        let text = text.trim();
        let owned = || text.to_owned();
        match self {
            Self::Text => Ok(Value::Text(owned())),
            Self::Name(_, check) => check(text).map(|()| Value::Text(owned())),
            Self::Choice(words) if words.contains(&text) => Ok(Value::Text(owned())),
            Self::Count(min, max) => self.number(text, text.parse().ok(), min, max),
            Self::Bytes(min, max) => self.number(text, bytes(text), min, max),
            Self::Duration(min, max) => self.duration(text, min, max),
            Self::Path => Ok(Value::Path(PathBuf::from(text))),
            Self::RedisUrl => check_redis_url(text).map(|()| Value::Url(Url::new(text))),
            Self::HttpUrl => check_http_url(text).map(|()| Value::Text(owned())),
            Self::Secret => secret(text).map(Value::Secret),
            Self::KeyRing => KeyRing::parse(text).map(Value::KeyRing),
            Self::Queues => list::queues(text).map(Value::Queues),
            Self::Labels => list::labels(text).map(Value::Labels),
            Self::List(_, check) => {
                all(list::items(text).map(|item| check(item).map(|()| item.to_owned()))).map(Value::List)
            }
            Self::Codes => list::codes(text).map(Value::Codes),
            Self::Classes => list::classes(text).map(Value::Classes),
            Self::Table => serde_json::from_str(text).map(Value::Json).map_err(|e| e.to_string()),
            Self::Flag => flag(text).map(Value::Flag).ok_or_else(|| self.bad(text)),
            Self::Choice(_) => Err(self.bad(text)),
        }
    }

    fn bad(self, text: &str) -> String {
        format!("{text:?} is not valid: use {}", self.describe())
    }

    fn number(self, text: &str, number: Option<u64>, min: u64, max: u64) -> Result<Value, String> {
        let number = number.filter(|n| (min..=max).contains(n));
        number.map(Value::Number).ok_or_else(|| self.bad(text))
    }

    fn duration(self, text: &str, min: Duration, max: Duration) -> Result<Value, String> {
        match parse_duration(text)? {
            duration if (min..=max).contains(&duration) => Ok(Value::Duration(duration)),
            _ => Err(self.bad(text)),
        }
    }

    /// What is allowed, for messages and the reference.
    pub fn describe(self) -> String {
        match self {
            Self::Text => "text".into(),
            Self::Name(what, _) | Self::List(what, _) => what.into(),
            Self::Choice([first @ .., last]) => format!("{} or {last}", first.join(", ")),
            Self::Choice([]) => "nothing".into(),
            Self::Flag => "true or false".into(),
            Self::Count(min, max) => format!("a whole number from {min} to {max}"),
            Self::Bytes(_, max) => format!("a size such as 64KiB, at most {}", short_size(max)),
            Self::Duration(min, max) if max == FOREVER && min.is_zero() => {
                "a duration such as 30s or 1h30m".into()
            }
            Self::Duration(min, max) if max == FOREVER => {
                format!("a duration such as 1h30m, at least {}", short(min))
            }
            Self::Duration(min, max) => format!("a duration from {} to {}", short(min), short(max)),
            Self::Path => "a path".into(),
            Self::RedisUrl => "a URL such as redis://HOST:PORT or rediss://HOST:PORT".into(),
            Self::HttpUrl => "a URL such as https://HOST/PATH".into(),
            Self::Secret => "a key or password".into(),
            Self::KeyRing => {
                "keys as `windlass keys generate` makes them, separated by commas or line breaks".into()
            }
            Self::Queues => "queues with weights from 1 to 100, such as default,other=3".into(),
            Self::Labels => "labels such as zone=a,pod=b".into(),
            Self::Codes => "exit codes from 0 to 255, such as 0,75".into(),
            Self::Classes => "classes of error with retry or fail, such as timeout=fail".into(),
            Self::Table => "a table".into(),
        }
    }
}

/// A [`Check`] that reads the text as a `T`.
pub(super) fn check<T: FromStr<Err: Display>>(text: &str) -> Result<(), String> {
    text.parse::<T>().map(drop).map_err(|e| e.to_string())
}

fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// A number of bytes such as `64KiB`.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, size) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()))?;
    number.parse::<u64>().ok()?.checked_mul(*size)
}

/// A key ends up in a header, where a line break would end it.
fn secret(text: &str) -> Result<Secret, String> {
    if text.contains(char::is_control) {
        return Err("it holds a line break or another control character: use one line".into());
    }
    Ok(Secret::new(text))
}

fn short_size(bytes: u64) -> String {
    let fits = |(_, size): &&(&str, u64)| bytes >= *size && bytes.is_multiple_of(*size);
    UNITS
        .iter()
        .rev()
        .find(fits)
        .map_or_else(|| bytes.to_string(), |(unit, size)| format!("{}{unit}", bytes / size))
}

fn short(duration: Duration) -> String {
    match (duration.as_secs(), duration.subsec_millis()) {
        (seconds, 0) if seconds > 0 && seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        (seconds, 0) => format!("{seconds}s"),
        _ => format!("{}ms", duration.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, size) in
            [("0", 0), ("1048576", 1 << 20), ("64KiB", 65_536), ("1 mib", 1 << 20), ("2GiB", 2 << 30)]
        {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for bad in ["", "MiB", "-1", "1.5MiB", "1MB", "99999999999GiB", "1 KiB KiB"] {
            assert_eq!(bytes(bad), None, "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_value_out_of_range_is_told_the_range() {
        let second = Duration::from_secs(1);
        for (kind, text, said) in [
            (Kind::Count(1, 9), "10", "a whole number from 1 to 9"),
            (Kind::Count(1, 9), "many", "a whole number from 1 to 9"),
            (Kind::Bytes(1, 1 << 20), "2MiB", "at most 1MiB"),
            (Kind::Duration(second, 3600 * second), "2h", "a duration from 1s to 1h"),
            (Kind::Duration(second, FOREVER), "1ms", "at least 1s"),
            (Kind::Choice(&["human", "json"]), "xml", "human or json"),
            (Kind::Flag, "maybe", "true or false"),
        ] {
            let error = kind.read(text).unwrap_err();
            assert!(error.contains(said) && error.contains(text), "{error}");
        }
    }

    #[test]
    fn a_refused_secret_is_not_in_the_message() {
        assert!(!Kind::Secret.read("hun\nter2").unwrap_err().contains("hun"));
    }
}
