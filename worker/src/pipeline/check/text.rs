//! `regex`, `forbidden`, `max_length`, `files_present`: what a text or its files look like.

use regex::Regex;
use windlass_shared::config::pipeline::{Amounts, FilesPresentCheck, ForbiddenCheck, Must, RegexCheck};

use super::{
    super::{Draft, Env, source, template::Template},
    finding::{Finding, in_file, line},
};
use crate::executor::Failure;

/// Compiles a pattern of the configuration.
pub(super) fn pattern(key: &str, text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| format!("{key}: {error}"))
}

/// `regex`: the answer's text matches, or does not.
#[derive(Debug)]
pub(super) struct Pattern {
    pattern: Regex,
    must: Must,
}

impl Pattern {
    pub(super) fn new(spec: &RegexCheck) -> Result<Self, Vec<String>> {
        let pattern = pattern("pattern", &spec.pattern).map_err(|fault| vec![fault])?;
        Ok(Self { pattern, must: spec.must })
    }

    pub(super) fn find(&self, draft: &Draft) -> Finding {
        match (self.must, self.pattern.find(&draft.output)) {
            (Must::Match, None) => Finding::failed(format!("the answer does not match {}", self.pattern)),
            (Must::NotMatch, Some(found)) => {
                let line = line(&draft.output, found.start());
                Finding::failed(format!("line {line} of the answer matches {}", self.pattern))
            }
            _ => Finding::passed(),
        }
    }
}

/// `forbidden`: neither the text nor a file matches any of the patterns.
#[derive(Debug)]
pub(super) struct Forbidden(Vec<Regex>);

impl Forbidden {
    pub(super) fn new(spec: &ForbiddenCheck) -> Result<Self, Vec<String>> {
        let compiled = spec
            .patterns
            .iter()
            .enumerate()
            .map(|(index, text)| pattern(&format!("patterns[{index}]"), text));
        let (good, bad): (Vec<_>, Vec<_>) = compiled.partition(Result::is_ok);
        let faults: Vec<String> = bad.into_iter().filter_map(Result::err).collect();
        if faults.is_empty() { Ok(Self(good.into_iter().flatten().collect())) } else { Err(faults) }
    }

    pub(super) fn find(&self, draft: &Draft) -> Finding {
        let files = draft.files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        // What is in a file of the same text is told once.
        let output =
            Some(("", draft.output.as_str())).filter(|_| !draft.files.values().any(|t| *t == draft.output));
        let mut faults = Vec::new();
        for (name, text) in files.chain(output) {
            for pattern in &self.0 {
                if let Some(found) = pattern.find(text) {
                    let line = line(text, found.start());
                    faults.push(in_file(name, format!("line {line} holds what is forbidden: {pattern}")));
                }
            }
        }
        Finding::of_faults(&faults)
    }
}

/// `max_length`: the text is no longer than this.
#[derive(Debug)]
pub(super) struct MaxLength(Amounts);

impl MaxLength {
    pub(super) fn new(spec: Amounts) -> Self {
        Self(spec)
    }

    pub(super) fn find(&self, draft: &Draft, env: &Env) -> Finding {
        let text = &draft.output;
        let counts = [
            ("characters", self.0.chars, self.0.chars.map(|_| text.chars().count())),
            ("lines", self.0.lines, self.0.lines.map(|_| text.lines().count())),
            ("tokens", self.0.tokens, self.0.tokens.map(|_| (env.tokens)(text))),
        ];
        let over = counts.into_iter().filter_map(|(unit, most, length)| Some((unit, most?, length?)));
        let faults: Vec<String> = over
            .filter(|(_, most, length)| length > most)
            .map(|(unit, most, length)| format!("the answer has {length} {unit}, and {most} are allowed"))
            .collect();
        Finding::of_faults(&faults)
    }
}

/// `files_present`: each pattern matches a file that was made.
#[derive(Debug)]
pub(super) struct FilesPresent(Vec<Template>);

impl FilesPresent {
    pub(super) fn new(spec: &FilesPresentCheck) -> Result<Self, Vec<String>> {
        let compiled = spec.files.iter().enumerate().map(|(index, text)| {
            Template::new(text).map_err(|fault| vec![format!("files[{index}]: {fault}")])
        });
        compiled.collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn find(&self, draft: &Draft) -> Result<Finding, Failure> {
        let scope = draft.scope();
        let mut missing = Vec::new();
        for template in &self.0 {
            let pattern = template.render("`files`", &scope)?;
            let globs = source::globs(std::slice::from_ref(&pattern))
                .map_err(|why| Failure::bad_request(format!("`files`: {why}")))?;
            if !draft.files.keys().any(|name| globs.is_match(name)) {
                missing.push(pattern);
            }
        }
        if missing.is_empty() {
            return Ok(Finding::passed());
        }
        let made: Vec<&str> = draft.files.keys().map(String::as_str).collect();
        let made = if made.is_empty() { "none".to_owned() } else { made.join(", ") };
        let score = 1.0 - missing.len() as f64 / self.0.len() as f64;
        let message = format!("these files are missing: {}; made were: {made}", missing.join(", "));
        Ok(Finding::scored(false, score, message))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::pipeline::{
        Draft,
        testing::{World, validator},
        verdict::Check,
    };

    async fn check(entry: Value, draft: &Draft) -> Check {
        let world = World::new();
        validator(&entry).validate(draft, &world.env()).await.unwrap().checks.remove(0)
    }

    fn answered(text: &str) -> Draft {
        Draft { output: text.into(), ..Draft::default() }
    }

    #[tokio::test]
    async fn a_text_matches_or_does_not() {
        let draft = answered("one\ntwo 2\n");
        for (pattern, must, passed) in [
            ("two", "match", true),
            ("three", "match", false),
            (r"\d", "not_match", false),
            ("x", "not_match", true),
        ] {
            let check = check(json!({"validator": "regex", "pattern": pattern, "must": must}), &draft).await;
            assert_eq!(
                (check.passed, check.score),
                (passed, f64::from(u8::from(passed))),
                "{pattern}: {}",
                check.message
            );
        }
        let line = check(json!({"validator": "regex", "pattern": r"\d", "must": "not_match"}), &draft).await;
        assert_eq!(line.message, r"line 2 of the answer matches \d");
    }

    #[tokio::test]
    async fn a_pattern_that_would_explode_elsewhere_takes_linear_time() {
        let draft = answered(&"a".repeat(1_000_000));
        let entry = json!({"validator": "regex", "pattern": "^(a+)+(a|a)*(a|aa)+$b", "must": "not_match"});
        assert!(check(entry, &draft).await.passed);
    }

    #[tokio::test]
    async fn forbidden_content_is_found_in_files_too() {
        let mut draft = answered("fine");
        draft.files.insert("a.py".into(), "x = 1\neval(x)\n".into());
        let found =
            check(json!({"validator": "forbidden", "patterns": [r"eval\(", "os.system"]}), &draft).await;
        assert_eq!(
            (found.passed, found.message.as_str()),
            (false, r"a.py: line 2 holds what is forbidden: eval\(")
        );
        assert!(check(json!({"validator": "forbidden", "patterns": ["exec"]}), &draft).await.passed);
    }

    #[tokio::test]
    async fn length_is_counted_in_each_unit() {
        let long = check(
            json!({"validator": "max_length", "chars": 9, "lines": 1, "tokens": 3}),
            &answered("äöü ß\nx y z"),
        )
        .await;
        assert_eq!(
            long.message,
            "the answer has 11 characters, and 9 are allowed\nthe answer has 2 lines, and 1 are allowed\nthe answer has 5 tokens, and 3 are allowed"
        );
        assert!(check(json!({"validator": "max_length", "chars": 5}), &answered("äöü ß")).await.passed);
    }

    #[tokio::test]
    async fn files_are_there_or_named() {
        let mut draft = Draft::of_payload(&json!({"target_file": "a/auth.py"})).unwrap();
        draft.files.insert("tests/test_auth.py".into(), "x".into());
        let entry = json!({"validator": "files_present", "files": ["tests/test_{{ stem }}.py", "docs/*.md"]});
        let half = check(entry, &draft).await;
        assert_eq!((half.passed, half.score), (false, 0.5));
        assert_eq!(half.message, "these files are missing: docs/*.md; made were: tests/test_auth.py");
        assert!(check(json!({"validator": "files_present", "files": ["tests/*.py"]}), &draft).await.passed);
    }
}
