//! `json`: the first balanced JSON value of an answer, out of its fence and the words around it.

use serde_json::{Value, error::Category};
use windlass_shared::{
    config::pipeline::{Expect, JsonStage},
    model::ErrorClass,
};

use super::{super::Draft, fences::blocks};
use crate::executor::Failure;

/// Places where a value may begin that are tried.
const MOST_TRIES: usize = 1000;

#[derive(Debug)]
pub(crate) struct Json(JsonStage);

impl Json {
    pub(super) fn new(spec: JsonStage) -> Self {
        Self(spec)
    }

    pub(super) fn run(&self, draft: &mut Draft) -> Result<(), Failure> {
        let (value, text) = first(&draft.output, self.0.expect)
            .map_err(|why| Failure::new(ErrorClass::MalformedOutput, why))?;
        draft.output = text.to_owned();
        draft.json = Some(value);
        Ok(())
    }
}

/// The first object or array, and its text. Blocks marked as JSON are looked at before the rest.
pub(crate) fn first(answer: &str, expect: Expect) -> Result<(Value, &str), String> {
    let marked =
        blocks(answer).into_iter().filter(|block| block.language.starts_with("json")).map(|block| block.code);
    let mut why = None;
    for text in marked.chain([answer]) {
        match find(text, expect) {
            Ok(found) => return Ok(found),
            // The block's fault says more than that of the words around it.
            Err(fault) => why = why.or(Some(fault)),
        }
    }
    Err(why.unwrap_or_default())
}

fn find(text: &str, expect: Expect) -> Result<(Value, &str), String> {
    let begins: &[char] = match expect {
        Expect::Any => &['{', '['],
        Expect::Object => &['{'],
        Expect::Array => &['['],
    };
    let mut first_fault = None;
    for (start, _) in text.match_indices(begins).take(MOST_TRIES) {
        let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) => return Ok((value, &text[start..start + values.byte_offset()])),
            // What is within a value that was cut is not the answer.
            Some(Err(error)) if error.classify() == Category::Eof => {
                return Err("the JSON in the answer has no end: it was cut".into());
            }
            Some(Err(error)) => first_fault = first_fault.or(Some(error.to_string())),
            None => {}
        }
    }
    Err(match first_fault {
        Some(fault) => format!("the answer holds no valid JSON: {fault}"),
        None => "the answer holds no JSON".into(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_value_is_found_wherever_it_stands() {
        for answer in [
            r#"{"a": [1, "}"]}"#,
            "Sure: {\"a\": [1, \"}\"]} Hope it helps {x}",
            "```json\n{\"a\": [1, \"}\"]}\n```",
            "As in {this}:\n```json\n{\"a\": [1, \"}\"]}\n```\nbye",
            "```\n{\"a\": [1, \"}\"]}\n```",
        ] {
            let (value, text) = first(answer, Expect::Any).unwrap();
            assert_eq!((value, text), (json!({"a": [1, "}"]}), r#"{"a": [1, "}"]}"#), "{answer}");
        }
        assert_eq!(first("see [1]: {\"a\": 1}", Expect::Object).unwrap().0, json!({"a": 1}));
        assert_eq!(first("{\"a\": [1]}", Expect::Array).unwrap().0, json!([1]));
    }

    #[test]
    fn what_is_cut_or_wrong_is_not_taken_in_part() {
        for (answer, said) in [
            ("", "no JSON"),
            ("no braces", "no JSON"),
            ("[[1], [2], [", "it was cut"),
            ("{\"a\": {\"b\": 1}", "it was cut"),
            ("{'a': 1}", "no valid JSON: key must be a string at line 1 column 2"),
            ("```json\n{\"a\": 1\n```", "it was cut"),
        ] {
            let why = first(answer, Expect::Any).unwrap_err();
            assert!(why.contains(said), "{answer}: {why}");
        }
    }

    #[test]
    fn hostile_depth_and_length_end_soon() {
        let started = std::time::Instant::now();
        for text in [
            "[".repeat(1_000_000),
            "{\"a\":".repeat(300_000),
            "[ ".repeat(500_000),
            format!("{}\"{}", "[".repeat(1000), "x".repeat(1_000_000)),
        ] {
            assert!(first(&text, Expect::Any).is_err());
        }
        assert!(started.elapsed().as_secs() < 30);
    }
}
