//! JSON that came from outside and goes into a result.

use serde::Serialize;
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

use super::Failure;

/// A result as it is stored.
pub(super) fn result(value: &impl Serialize) -> Result<Box<RawValue>, Failure> {
    to_raw_value(value).map_err(|error| Failure::internal(format!("the result cannot be written: {error}")))
}

/// The bytes as JSON, on one line and otherwise unchanged, if they are JSON that any reader takes.
///
/// Numbers keep every digit, which they would not if they went through [`Value`]. It is parsed all the same, because
/// its parser refuses what other readers stumble over: numbers out of range, half a surrogate pair, deep nesting.
pub(super) fn parse(bytes: &[u8]) -> Option<Box<RawValue>> {
    let text = str::from_utf8(bytes).ok()?;
    serde_json::from_str::<Value>(text).ok()?;
    RawValue::from_string(on_one_line(text)).ok()
}

/// The bytes as a JSON string; what is not UTF-8 is replaced.
pub(super) fn text(bytes: &[u8]) -> Result<Box<RawValue>, Failure> {
    result(&String::from_utf8_lossy(bytes))
}

/// Takes out the white space between tokens, so that a result fits on a line of JSON Lines.
fn on_one_line(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let keep = |c: &char| {
        let keep = in_string || !c.is_ascii_whitespace();
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = in_string,
            '"' => in_string = !in_string,
            _ => {}
        }
        keep
    };
    json.chars().filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<String> {
        parse(text.as_bytes()).map(|raw| raw.get().to_owned())
    }

    #[test]
    fn json_is_kept_to_the_digit_and_put_on_one_line() {
        let text = "{\n  \"a b\": [1, 12345678901234567890123456789],\r\n\t\"q\": \"\\\" x\\\\\" , \"r\" : 1.10\n}\n";
        let expected = r#"{"a b":[1,12345678901234567890123456789],"q":"\" x\\","r":1.10}"#;
        assert_eq!(parsed(text).as_deref(), Some(expected));
    }

    #[test]
    fn what_other_readers_stumble_over_is_no_json() {
        for text in ["", "hello", "{", "1 2", "1e999", r#""\ud800""#, &"[".repeat(500), &nested(500)] {
            assert_eq!(parsed(text), None, "{text}");
        }
        assert_eq!(parse(&[b'"', 0xff, b'"']).map(|raw| raw.get().to_owned()), None);
        assert_eq!(text(&[b'a', 0xff]).unwrap().get(), "\"a\u{fffd}\"");
    }

    fn nested(depth: usize) -> String {
        "[".repeat(depth) + &"]".repeat(depth)
    }
}
