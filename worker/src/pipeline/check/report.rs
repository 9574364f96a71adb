//! Coverage, out of the reports of many tools.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

type Shape = LazyLock<Option<Regex>>;

/// The root element of Cobertura's XML.
static COBERTURA: Shape = LazyLock::new(|| Regex::new(r#"<coverage\b[^>]*\bline-rate="([0-9.]+)""#).ok());
/// `TOTAL  40  10  75%`, `coverage: 75.0% of statements`, `75%`
static TOTAL: Shape =
    LazyLock::new(|| Regex::new(r"(?m)^(?:TOTAL|total|All files)\b.*?([0-9]+(?:\.[0-9]+)?) ?%?").ok());
static PERCENT: Shape = LazyLock::new(|| Regex::new(r"([0-9]+(?:\.[0-9]+)?) ?%").ok());

/// The part of the lines that was run, from 0 to 1.
pub(crate) fn coverage(text: &str) -> Option<f64> {
    let text = text.trim();
    let part = if let Ok(value) = serde_json::from_str::<Value>(text) {
        of_json(&value)
    } else if text.contains("end_of_record") {
        lcov(text)
    } else {
        cobertura(text).or_else(|| table(text))
    };
    part.filter(|part| (0.0..=1.0).contains(part))
}

/// coverage.py (`totals.percent_covered`), Istanbul (`total.lines.pct`), llvm-cov (`data[0].totals.lines.percent`), or a
/// number: a part, or a percentage if above 1.
fn of_json(value: &Value) -> Option<f64> {
    let percentages = ["/totals/percent_covered", "/total/lines/pct", "/data/0/totals/lines/percent"];
    match value.as_f64() {
        Some(part) if part <= 1.0 => Some(part),
        Some(percent) => Some(percent / 100.0),
        None => {
            percentages.iter().find_map(|path| value.pointer(path)?.as_f64()).map(|percent| percent / 100.0)
        }
    }
}

fn lcov(text: &str) -> Option<f64> {
    let sum = |key: &str| -> f64 {
        text.lines().filter_map(|line| line.strip_prefix(key)?.trim().parse::<f64>().ok()).sum()
    };
    let (hit, found) = (sum("LH:"), sum("LF:"));
    (found > 0.0).then(|| hit / found)
}

fn cobertura(text: &str) -> Option<f64> {
    COBERTURA.as_ref()?.captures(text)?[1].parse().ok()
}

/// The line of the total, else the last percentage.
fn table(text: &str) -> Option<f64> {
    let total = TOTAL.as_ref()?.find_iter(text).last().map(|found| {
        let end = text[found.start()..].find('\n').map_or(text.len(), |end| found.start() + end);
        &text[found.start()..end]
    });
    let within = total.unwrap_or(text);
    let percent: f64 = PERCENT.as_ref()?.captures_iter(within).last()?[1].parse().ok()?;
    Some(percent / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_reports_are_read() {
        for (text, part) in [
            (r#"{"meta": {}, "files": {}, "totals": {"percent_covered": 87.5}}"#, Some(0.875)),
            (r#"{"total": {"lines": {"pct": 50}}}"#, Some(0.5)),
            (r#"{"data": [{"totals": {"lines": {"percent": 25.0}}}]}"#, Some(0.25)),
            ("0.8", Some(0.8)),
            ("80", Some(0.8)),
            ("SF:a\nLF:10\nLH:9\nend_of_record\nSF:b\nLF:10\nLH:6\nend_of_record\n", Some(0.75)),
            (r#"<?xml version="1.0"?><coverage version="7" line-rate="0.6" branch-rate="0">"#, Some(0.6)),
            ("Name  Stmts  Miss  Cover\na.py  10  1  90%\nTOTAL  40  10  75%\n2 passed 100%", Some(0.75)),
            ("ok  x  0.1s  coverage: 62.5% of statements", Some(0.625)),
            ("nothing", None),
            ("{}", None),
            ("-1", None),
            ("900", None),
            ("LF:0\nend_of_record", None),
        ] {
            assert_eq!(coverage(text), part, "{text}");
        }
    }
}
