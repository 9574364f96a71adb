//! What providers say about their limits: with each answer, and in errors.
//!
//! | who | header | reset is |
//! | --- | --- | --- |
//! | `OpenAI` and most others | `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` | `6m0s`, `12ms` |
//! | OpenRouter | `x-ratelimit-{limit,remaining,reset}`, also within the error's `metadata.headers` | epoch, ms |
//! | Anthropic | `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}` | RFC 3339 |

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::http::{self, LONGEST_WAIT};

/// What a provider says about all of its limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitFacts {
    /// Calls.
    pub requests: LimitFact,
    /// Tokens of both kinds together.
    pub tokens: LimitFact,
    /// Tokens of requests.
    pub input_tokens: LimitFact,
    /// Tokens of answers.
    pub output_tokens: LimitFact,
}

/// What a provider says about one limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitFact {
    /// How much there is in all, in the span of time that the provider chose.
    pub limit: Option<u64>,
    /// How much is left.
    pub remaining: Option<u64>,
    /// Time until all of it is there again.
    pub reset: Option<Duration>,
}

impl LimitFacts {
    /// Reads an answer's headers.
    pub fn of_headers(headers: &HeaderMap) -> Self {
        let mut facts = Self::default();
        let mut now = None;
        for (name, value) in headers {
            if let (Some(field), Ok(value)) = (Field::of(name.as_str()), value.to_str()) {
                let now = *now.get_or_insert_with(|| http::now_millis(headers.get(DATE)));
                facts.set(&field, value, now);
            }
        }
        facts
    }

    /// Adds what the headers said that an error quotes.
    pub(crate) fn add_quoted(&mut self, headers: &Map<String, Value>, now: i64) {
        for (name, value) in headers {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if let Some(field) = Field::of(&name.to_ascii_lowercase()) {
                self.set(&field, &text, now);
            }
        }
    }

    /// Time until the last of the limits that are used up starts anew.
    pub fn exhausted_for(&self) -> Option<Duration> {
        let all = [self.requests, self.tokens, self.input_tokens, self.output_tokens];
        all.into_iter().filter(|fact| fact.remaining == Some(0)).filter_map(|fact| fact.reset).max()
    }

    fn set(&mut self, field: &Field, value: &str, now: i64) {
        let value = value.trim();
        let fact = match field.of {
            Of::Requests => &mut self.requests,
            Of::Tokens => &mut self.tokens,
            Of::InputTokens => &mut self.input_tokens,
            Of::OutputTokens => &mut self.output_tokens,
        };
        match field.is {
            Is::Limit => fact.limit = count(value).or(fact.limit),
            Is::Remaining => fact.remaining = count(value).or(fact.remaining),
            Is::Reset => fact.reset = reset(value, now).or(fact.reset),
        }
    }
}

/// Which figure a header holds.
struct Field {
    of: Of,
    is: Is,
}

enum Of {
    Requests,
    Tokens,
    InputTokens,
    OutputTokens,
}

enum Is {
    Limit,
    Remaining,
    Reset,
}

impl Field {
    fn of(name: &str) -> Option<Self> {
        if let Some(rest) = name.strip_prefix("x-ratelimit-") {
            let (is, of) = rest.split_once('-').unwrap_or((rest, "requests"));
            return Self::named(of, is);
        }
        let (of, is) = name.strip_prefix("anthropic-ratelimit-")?.rsplit_once('-')?;
        Self::named(of, is)
    }

    fn named(of: &str, is: &str) -> Option<Self> {
        let of = match of {
            "requests" => Of::Requests,
            "tokens" => Of::Tokens,
            "input-tokens" => Of::InputTokens,
            "output-tokens" => Of::OutputTokens,
            _ => return None,
        };
        let is = match is {
            "limit" => Is::Limit,
            "remaining" => Is::Remaining,
            "reset" => Is::Reset,
            _ => return None,
        };
        Some(Self { of, is })
    }
}

/// Some servers write counts as `99.0`. What is below zero is used up.
fn count(text: &str) -> Option<u64> {
    text.parse().ok().or_else(|| {
        let number: f64 = text.parse().ok()?;
        number.is_finite().then_some(number.max(0.0) as u64)
    })
}

/// Time from `now` (epoch, ms) until a reset: a number, a time with units, or a date.
fn reset(text: &str, now: i64) -> Option<Duration> {
    let until = |millis: i64| Duration::from_millis(u64::try_from(millis.saturating_sub(now)).unwrap_or(0));
    let wait = if let Ok(number) = text.parse::<f64>() {
        match number {
            // Nobody means a wait of thirty years: these are dates, in milliseconds or in seconds.
            1e12.. => until(number as i64),
            1e9.. => until((number * 1000.0) as i64),
            _ => Duration::try_from_secs_f64(number).ok()?,
        }
    } else if let Ok(date) = text.parse::<jiff::Timestamp>() {
        until(date.as_millisecond())
    } else {
        span(text)?
    };
    Some(wait.min(LONGEST_WAIT))
}

/// A time as Go writes it: `1h2m3.5s`, `12ms`.
fn span(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|at| *at > 0)?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let unit = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * unit;
        rest = after;
    }
    if text.is_empty() { None } else { Duration::try_from_secs_f64(seconds).ok() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_795_161_600_000;

    #[test]
    fn a_reset_is_a_span_a_number_or_a_date() {
        let millis = Duration::from_millis;
        for (text, expected) in [
            ("12ms", millis(12)),
            ("6m0s", millis(360_000)),
            ("1h2m3.5s", millis(3_723_500)),
            ("2.75s", millis(2750)),
            ("0s", millis(0)),
            ("30", millis(30_000)),
            ("1795161620", millis(20_000)),
            ("1795161601500", millis(1500)),
            ("2026-11-20T08:00:20Z", millis(20_000)),
            ("2026-11-20T07:00:00Z", millis(0)),
            ("99999h", LONGEST_WAIT),
        ] {
            assert_eq!(reset(text, NOW), Some(expected), "{text}");
        }
        for nonsense in ["", "soon", "-1", "3x", "s", "1.2.3s", "NaN", "µ", "5sé"] {
            assert_eq!(reset(nonsense, NOW), None, "{nonsense}");
        }
    }

    #[test]
    fn the_headers_of_each_provider_are_read() {
        let read = |headers: &[(&'static str, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            LimitFacts::of_headers(&headers.collect())
        };
        let openai = read(&[
            ("x-ratelimit-limit-requests", "500"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "120ms"),
            ("x-ratelimit-remaining-tokens", "149984"),
        ]);
        let requests =
            LimitFact { limit: Some(500), remaining: Some(0), reset: Some(Duration::from_millis(120)) };
        assert_eq!((openai.requests, openai.tokens.remaining), (requests, Some(149_984)));
        assert_eq!(openai.exhausted_for(), Some(Duration::from_millis(120)));
        let anthropic = read(&[
            ("date", "Fri, 20 Nov 2026 08:00:00 GMT"),
            ("anthropic-ratelimit-input-tokens-limit", "40000"),
            ("anthropic-ratelimit-input-tokens-remaining", "39000"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-11-20T08:00:30Z"),
            ("anthropic-ratelimit-unified-status", "allowed"),
        ]);
        assert_eq!(anthropic.input_tokens.reset, Some(Duration::from_secs(30)));
        assert_eq!((anthropic.input_tokens.limit, anthropic.exhausted_for()), (Some(40_000), None));
        assert_eq!(read(&[("x-ratelimit-limit", "20")]).requests.limit, Some(20));
    }

    #[test]
    fn headers_within_an_error_count_too() {
        let quoted = json!({"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": 0,
            "X-RateLimit-Reset": "1795161660000"});
        let mut facts = LimitFacts::default();
        facts.add_quoted(quoted.as_object().unwrap(), NOW);
        assert_eq!((facts.requests.limit, facts.exhausted_for()), (Some(20), Some(Duration::from_secs(60))));
    }
}
