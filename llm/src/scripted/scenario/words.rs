//! The small words of a scenario file: durations, ranges, patterns. Each is checked while the file is read, so that
//! a fault is told with its line.

use std::{fmt, time::Duration};

use axum::http::{HeaderName, HeaderValue};
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

/// Longest wait that a scenario may ask for.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

fn duration(text: &str) -> Result<Duration, String> {
    if text.trim() == "0" {
        return Ok(Duration::ZERO);
    }
    let read = text.trim().parse::<jiff::SignedDuration>().ok().and_then(|read| read.try_into().ok());
    match read {
        Some(duration) if duration <= LONGEST => Ok(duration),
        Some(_) => Err("a duration is at most 24h".into()),
        None => Err("expected a duration such as \"250ms\", \"2s\" or \"1m\"".into()),
    }
}

/// A time such as `250ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Time(pub(crate) Duration);

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        duration(&text).map(Self)
    }
}

/// A time, or a range of times (`100ms..300ms`) from which each call draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Span {
    least: Duration,
    most: Duration,
}

impl Span {
    pub(crate) fn fixed(time: Duration) -> Self {
        Self { least: time, most: time }
    }

    pub(crate) fn draw(self, random: &mut fastrand::Rng) -> Duration {
        self.least + self.most.saturating_sub(self.least).mul_f64(random.f64())
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (least, most) = text.split_once("..").unwrap_or((&text, &text));
        let (least, most) = (duration(least)?, duration(most)?);
        if least > most {
            return Err("a range of durations goes from the shorter to the longer".into());
        }
        Ok(Self { least, most })
    }
}

/// A regular expression.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Pattern(regex::Regex);

impl Pattern {
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        regex::Regex::new(&text).map(Self).map_err(|error| {
            let why = error.to_string();
            let last = why.lines().last().unwrap_or_default();
            format!("not a regular expression: {}", last.trim_start_matches("error: "))
        })
    }
}

/// A model's name, or a pattern with `*` and `?`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Name {
    exact: String,
    glob: globset::GlobMatcher,
}

impl Name {
    pub(crate) fn matches(&self, name: &str) -> bool {
        self.exact == name || self.glob.is_match(name)
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let glob = globset::Glob::new(&text).map_err(|error| format!("not a pattern: {}", error.kind()))?;
        Ok(Self { glob: glob.compile_matcher(), exact: text })
    }
}

/// Which calls, counted from 1: `3`, `"2-4"`, `"3-"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbers {
    first: u64,
    last: u64,
}

impl Numbers {
    pub(crate) fn contains(self, number: u64) -> bool {
        (self.first..=self.last).contains(&number)
    }

    fn read(text: &str) -> Option<Self> {
        let (first, last) = match text.split_once('-') {
            Some((first, "")) => (first.parse().ok()?, u64::MAX),
            Some((first, last)) => (first.parse().ok()?, last.parse().ok()?),
            None => (text.parse().ok()?, text.parse().ok()?),
        };
        (first >= 1 && first <= last).then_some(Self { first, last })
    }
}

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = Word::deserialize(deserializer)?;
        Self::read(&word.0)
            .ok_or_else(|| de::Error::custom("expected the number of a call from 1, or \"2-4\", or \"3-\""))
    }
}

/// A word that may also be written as a number: `429` and `"429"` are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) String);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordVisitor)
    }
}

struct WordVisitor;

impl Visitor<'_> for WordVisitor {
    type Value = Word;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word or a whole number")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Word, E> {
        Ok(Word(word.to_owned()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Word, E> {
        Ok(Word(number.to_string()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Word, E> {
        Ok(Word(number.to_string()))
    }
}

/// Headers to send.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "std::collections::BTreeMap<String, String>")]
pub(crate) struct Headers(pub(crate) Vec<(HeaderName, HeaderValue)>);

impl TryFrom<std::collections::BTreeMap<String, String>> for Headers {
    type Error = String;

    fn try_from(map: std::collections::BTreeMap<String, String>) -> Result<Self, String> {
        let one = |(name, value): (String, String)| {
            let header = HeaderName::try_from(&name).map_err(|_| format!("`{name}` is no header's name"))?;
            // These two say how the answer is framed, and that is decided elsewhere.
            if header == "content-length" || header == "transfer-encoding" {
                return Err(format!("`{name}` cannot be set"));
            }
            let value =
                HeaderValue::try_from(value).map_err(|_| format!("the value of `{name}` cannot be sent"))?;
            Ok((header, value))
        };
        map.into_iter().map(one).collect::<Result<_, _>>().map(Self)
    }
}

/// A header's name.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Header(pub(crate) HeaderName);

impl TryFrom<String> for Header {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        HeaderName::try_from(text).map(Self).map_err(|_| "not a header's name".into())
    }
}
