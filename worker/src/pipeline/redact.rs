//! Finds secrets in text and puts `[redacted:KIND]` in their place.
//!
//! Found are keys of known shapes, private keys, tokens, passwords in URLs and in assignments of a literal, and, by
//! one rule, long random strings: at least 32 characters of `A-Z a-z 0-9 + / _ -`, of which at least a tenth are
//! capital letters, a tenth small letters and a twentieth digits, with at least 4.2 bits of entropy a character.
//! Hexadecimal digests (4 bits at most), UUIDs and ordinary names stay.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use regex::{Captures, Regex};
use serde_json::Value;

/// Kinds and shapes. Where a shape has a group `s`, that is the secret; else all of it is.
const SHAPES: &[(&str, &str)] = &[
    (
        "private_key",
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)",
    ),
    ("aws_key", r"\b(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{16}\b"),
    ("github_token", r"\b(?:gh[pousr]_[0-9A-Za-z]{30,255}|github_pat_[0-9A-Za-z_]{30,255})\b"),
    ("gitlab_token", r"\bglpat-[0-9A-Za-z_-]{20,}"),
    ("slack_token", r"\bxox[abeoprs]-[0-9A-Za-z-]{10,}"),
    ("stripe_key", r"\b[rs]k_(?:live|test)_[0-9A-Za-z]{16,}"),
    ("google_key", r"\bAIza[0-9A-Za-z_-]{35}"),
    ("pypi_token", r"\bpypi-[0-9A-Za-z_-]{40,}"),
    ("npm_token", r"\bnpm_[0-9A-Za-z]{36}\b"),
    ("huggingface_token", r"\bhf_[0-9A-Za-z]{30,}\b"),
    ("api_key", r"\bsk-(?:ant-|or-|proj-|svcacct-)?[0-9A-Za-z_-]{20,}"),
    ("jwt", r"\beyJ[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]*"),
    ("bearer", r"(?i)\b(?:bearer|basic)\s+(?P<s>[0-9a-z._~+/-]{16,}=*)"),
    ("url_password", r"\b[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@'\x22<>]*:(?P<s>[^\s/@'\x22<>{}$]+)@"),
    // A literal in quotes after a name that says what it is: password = "…", "api_key": '…', --token="…".
    (
        "password",
        r#"(?i)(?:passw(?:or)?d|passphrase|pwd|secret|token|api_?-?key|access_?-?key|auth_?-?key|credential)[0-9a-z_]{0,20}["']?\s*(?::\s*[a-z\[\]., |]{1,30})?(?:=>|:=|=|:)\s*[bru]{0,2}(?:"(?P<s>[^"\s]{4,})"|'(?P<t>[^'\s]{4,})')"#,
    ),
    // A line of an environment file: DB_PASSWORD=…
    (
        "password",
        r"(?m)^[ \t]*(?:export[ \t]+)?[A-Z0-9_]*(?:PASSWORD|PASSWD|SECRET|TOKEN|API_KEY|ACCESS_KEY)[A-Z0-9_]*=(?P<s>[^\s'\x22$(]{4,})$",
    ),
];

const LONG: &str = r"[A-Za-z0-9+/_-]{32,}={0,2}";

/// What stands in a secret's place begins with this.
const MARK: &str = "[redacted:";

static BUILT_IN: LazyLock<Vec<(Arc<str>, Regex)>> = LazyLock::new(|| {
    SHAPES.iter().filter_map(|(kind, shape)| Some(((*kind).into(), Regex::new(shape).ok()?))).collect()
});
static RANDOM: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(LONG).ok());

/// How many secrets of each kind were found.
pub(super) type Found = BTreeMap<Arc<str>, usize>;

/// Finds secrets.
#[derive(Debug, Clone)]
pub(super) struct Redactor {
    own: Vec<(Arc<str>, Regex)>,
    entropy: bool,
}

impl Default for Redactor {
    fn default() -> Self {
        Self { own: Vec::new(), entropy: true }
    }
}

impl Redactor {
    /// The built-in kinds and these.
    pub(super) fn new(patterns: &BTreeMap<String, String>, entropy: bool) -> Result<Self, Vec<String>> {
        let (mut own, mut faults) = (Vec::new(), Vec::new());
        for (kind, pattern) in patterns {
            match Regex::new(pattern) {
                Ok(regex) if regex.is_match("") => {
                    faults.push(format!("patterns.{kind}: it matches nothing at all"));
                }
                Ok(regex) => own.push((kind.as_str().into(), regex)),
                Err(error) => faults.push(format!("patterns.{kind}: {error}")),
            }
        }
        if faults.is_empty() { Ok(Self { own, entropy }) } else { Err(faults) }
    }

    /// The text without its secrets, which are counted.
    pub(super) fn redact<'t>(&self, text: &'t str, found: &mut Found) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for (kind, shape) in self.own.iter().chain(BUILT_IN.iter()) {
            replace(&mut text, shape, kind, found, |_| true);
        }
        if let Some(long) = RANDOM.as_ref().filter(|_| self.entropy) {
            replace(&mut text, long, &"high_entropy".into(), found, random);
        }
        text
    }

    /// The same in place.
    pub(super) fn redact_text(&self, text: &mut String, found: &mut Found) {
        if let Cow::Owned(clean) = self.redact(text, found) {
            *text = clean;
        }
    }

    /// The same in every string of a JSON value.
    pub(super) fn redact_json(&self, value: &mut Value, found: &mut Found) {
        match value {
            Value::String(text) => self.redact_text(text, found),
            Value::Array(items) => items.iter_mut().for_each(|item| self.redact_json(item, found)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.redact_json(field, found)),
            _ => {}
        }
    }
}

/// A text of ours or of a command's for people and models: without secrets.
pub(super) fn clean(text: &str) -> String {
    Redactor::default().redact(text, &mut Found::new()).into_owned()
}

fn replace(
    text: &mut Cow<str>,
    shape: &Regex,
    kind: &Arc<str>,
    found: &mut Found,
    is: impl Fn(&str) -> bool,
) {
    let mut count = 0;
    let replaced = shape.replace_all(text, |captures: &Captures| {
        let all = captures.get_match();
        let secret = captures.name("s").or_else(|| captures.name("t")).unwrap_or(all);
        if secret.as_str().contains(MARK) || placeholder(secret.as_str()) || !is(secret.as_str()) {
            return all.as_str().to_owned();
        }
        count += 1;
        let (start, end) = (secret.start() - all.start(), secret.end() - all.start());
        format!("{}{MARK}{kind}]{}", &all.as_str()[..start], &all.as_str()[end..])
    });
    if count > 0 {
        *text = Cow::Owned(replaced.into_owned());
        *found.entry(kind.clone()).or_default() += count;
    }
}

/// What stands for a secret to be put there: `${TOKEN}`, `{{ token }}`, `<token>`, `********`, `your-api-key`.
fn placeholder(secret: &str) -> bool {
    let first = secret.chars().next().unwrap_or_default();
    secret.starts_with("${")
        || secret.starts_with("{{")
        || secret.starts_with('<')
        || secret.starts_with("your")
        || secret.chars().all(|c| c == first)
}

fn random(text: &str) -> bool {
    let text = text.trim_end_matches('=');
    let length = text.len();
    let share = |is: fn(&u8) -> bool| text.as_bytes().iter().filter(|byte| is(byte)).count();
    share(u8::is_ascii_uppercase) * 10 >= length
        && share(u8::is_ascii_lowercase) * 10 >= length
        && share(u8::is_ascii_digit) * 20 >= length
        && entropy(text) >= 4.2
}

/// Bits a byte.
fn entropy(text: &str) -> f64 {
    let mut counts = [0_usize; 256];
    text.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let share = |count: &usize| *count as f64 / text.len() as f64;
    counts.iter().filter(|count| **count > 0).map(share).map(|p| -p * p.log2()).sum()
}

#[cfg(test)]
mod tests;
