//! How templates write numbers, times and JSON.

use std::{fmt::Write, time::Duration};

use minijinja::{Environment, Value, escape_formatter, value::ValueKind};
use windlass_shared::model::time::human;

use super::form::{segment, task_path};

pub(super) fn add(environment: &mut Environment<'static>) {
    // What is not there is not said.
    environment.set_formatter(|out, state, value| {
        let nothing = Value::UNDEFINED;
        escape_formatter(out, state, if value.is_none() { &nothing } else { value })
    });
    environment.add_filter("num", num);
    environment.add_filter("dur", |ms: &Value| number(ms).map_or_else(String::new, duration));
    environment.add_filter("when", when);
    environment.add_filter("usd", usd);
    environment.add_filter("seg", |text: &Value| segment(&plain(text)));
    environment.add_filter("task_path", |reference: &Value| task_path(&plain(reference)));
    environment.add_filter("pct", |part: &Value, whole: &Value| percent(part, whole));
    environment.add_filter("percent", |part: &Value, whole: &Value| {
        percent(part, whole).split('.').next().unwrap_or_default().to_owned()
    });
    environment.add_filter("rate", |part: &Value| {
        number(part).map_or_else(String::new, |part| format!("{:.1} %", part * 100.0))
    });
    environment.add_filter("dec", |value: &Value| {
        number(value).map_or_else(String::new, |value| format!("{value:.2}"))
    });
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn number(value: &Value) -> Option<f64> {
    (value.kind() == ValueKind::Number).then(|| f64::try_from(value.clone()).ok()).flatten()
}

/// `12 345 678`, with spaces that are thin and do not break.
fn num(value: &Value) -> String {
    let Some(whole) = number(value) else { return String::new() };
    let digits = format!("{:.0}", whole.abs());
    let mut text = String::new();
    if whole < 0.0 {
        text.push('−');
    }
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

fn duration(ms: f64) -> String {
    human(Duration::from_secs_f64((ms / 1000.0).clamp(0.0, 1e12)))
}

fn usd(value: &Value) -> String {
    match number(value) {
        None => String::new(),
        Some(amount) if amount != 0.0 && amount.abs() < 0.01 => format!("${amount:.5}"),
        Some(amount) => format!("${amount:.2}"),
    }
}

fn percent(part: &Value, whole: &Value) -> String {
    match (number(part), number(whole)) {
        (Some(part), Some(whole)) if whole > 0.0 => {
            format!("{:.2}", (part / whole * 100.0).clamp(0.0, 100.0))
        }
        _ => "0".to_owned(),
    }
}

/// A moment as people say it; the exact one is beside it. The script of the page says the same.
fn when(value: &Value) -> Value {
    let Some((text, at)) =
        value.as_str().and_then(|text| Some((text, text.parse::<jiff::Timestamp>().ok()?)))
    else {
        return Value::from("");
    };
    let seconds = at.as_second() - jiff::Timestamp::now().as_second();
    // What `jiff` read as a time holds no mark-up, and the rest is made here.
    Value::from_safe_string(format!(
        "<time datetime=\"{}\" title=\"{}\">{}</time>",
        at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"),
        at.strftime("%Y-%m-%d %H:%M:%S UTC"),
        if text.is_empty() { String::new() } else { relative(seconds) }
    ))
}

fn relative(seconds: i64) -> String {
    let length = seconds.unsigned_abs();
    let text = match length {
        0..2 => return "now".to_owned(),
        2..60 => format!("{length}s"),
        60..3_600 => format!("{}m", length / 60),
        3_600..86_400 => format!("{}h {}m", length / 3_600, length / 60 % 60),
        _ => format!("{}d {}h", length / 86_400, length / 3_600 % 24),
    };
    if seconds < 0 { format!("{text} ago") } else { format!("in {text}") }
}

/// No line is moved further to the right than this.
const DEEPEST: usize = 32;

/// JSON on lines of its own. It is not read and written again, so that names stay in their order and numbers as they are.
pub(super) fn indent(text: &str) -> String {
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() * 2);
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let mut chars = text.chars().peekable();
    let line = |out: &mut String, depth: usize| _ = write!(out, "\n{:1$}", "", 2 * depth.min(DEEPEST));
    while let Some(c) = chars.next() {
        if quoted {
            out.push(c);
            (quoted, escaped) = (escaped || c != '"', !escaped && c == '\\');
            continue;
        }
        match c {
            '"' => {
                quoted = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                while chars.next_if(|next| next.is_whitespace()).is_some() {}
                if let Some(end) = chars.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_its_order_and_its_numbers() {
        let text = r#"{"b":1.10,"a":[ ],"c":{"x":"a\"{b}, c: d\\"},"big":12345678901234567890123}"#;
        let shown = indent(text);
        assert_eq!(
            shown,
            "{\n  \"b\": 1.10,\n  \"a\": [],\n  \"c\": {\n    \"x\": \"a\\\"{b}, c: d\\\\\"\n  },\n  \"big\": 12345678901234567890123\n}"
        );
        assert_eq!(indent("no JSON"), "no JSON");
        let deep = format!("{}{}", "[".repeat(120), "]".repeat(120));
        assert!(indent(&deep).len() < 120 * 2 * 70, "depth does not make it huge");
    }

    #[test]
    fn numbers_and_moments_are_told_as_people_say_them() {
        assert_eq!(num(&Value::from(12_345_678)), "12\u{202f}345\u{202f}678");
        assert_eq!((num(&Value::from(0)), num(&Value::from(-1234))), ("0".into(), "−1\u{202f}234".into()));
        assert_eq!(
            (relative(-7200), relative(90), relative(0)),
            ("2h 0m ago".into(), "in 1m".into(), "now".into())
        );
        assert_eq!((usd(&Value::from(0.0012)), usd(&Value::from(3))), ("$0.00120".into(), "$3.00".into()));
        assert_eq!(when(&Value::from("<b>")).to_string(), "");
    }
}
