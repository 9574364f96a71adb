//! The tests in a text, by the conventions of its language. Python is parsed; the others are read by patterns.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::Regex;
use windlass_shared::config::pipeline::Language;

use super::python;

/// How many tests are named well, and what is wrong with the others.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) good: usize,
    pub(super) faults: Vec<String>,
}

/// The tests of a text; or why it does not parse.
pub(super) fn of(language: Language, text: &str) -> Result<Names, String> {
    Ok(match language {
        Language::Python => python(&python::parse(text)?),
        Language::Rust => matched(&RUST, text, |name| {
            (name.chars().any(char::is_uppercase)).then(|| format!("test `{name}`: use snake_case"))
        }),
        Language::Go => matched(&GO, text, |name| {
            let rest = name.strip_prefix("Test").unwrap_or_default();
            let lower = rest.starts_with(char::is_lowercase) || name.starts_with('t');
            lower.then(|| format!("test `{name}` is not found: use TestName"))
        }),
        Language::Java => matched(&JAVA, text, |name| {
            name.starts_with(char::is_uppercase).then(|| format!("test `{name}`: begin with a small letter"))
        }),
        Language::Javascript | Language::Typescript | Language::Tsx => javascript(text),
        Language::Json | Language::Toml => Names::default(),
    })
}

fn python(functions: &[python::Function]) -> Names {
    let mut names = Names::default();
    let (mut seen, mut classes) = (BTreeSet::new(), BTreeSet::new());
    for function in functions.iter().filter(|function| function.name.starts_with("test")) {
        let name = &function.name;
        let class = function.class.as_ref();
        let fault = match class {
            _ if !name.starts_with("test_") => Some(format!("test `{name}`: use test_name")),
            Some(class) if !class.is_case && !class.name.starts_with("Test") => {
                Some(format!("class `{}` is not found: its name must begin with Test", class.name))
            }
            Some(class) if !class.is_case && class.has_init => {
                Some(format!("class `{}` has an `__init__`, so it is not found", class.name))
            }
            _ if !seen.insert((class.map(|class| &class.name), name)) => {
                Some(format!("test `{name}` is there twice: only the last one is run"))
            }
            _ => None,
        };
        match fault {
            None => names.good += 1,
            // One fault a class.
            Some(fault) if fault.starts_with("class") && !classes.insert(fault.clone()) => {}
            Some(fault) => names.faults.push(fault),
        }
    }
    names
}

type Shape = LazyLock<Option<Regex>>;

static RUST: Shape = LazyLock::new(|| {
    Regex::new(r"#\[\s*(?:\w+::)*(?:test|rstest|test_case)\b[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*(?:pub(?:\([^)]*\))?\s+)?(?:async\s+)?fn\s+(\w+)").ok()
});
static GO: Shape =
    LazyLock::new(|| Regex::new(r"(?m)^func\s+([Tt]est\w*)\s*\(\s*\w+\s+\*testing\.T\s*\)").ok());
static JAVA: Shape = LazyLock::new(|| {
    Regex::new(r"@(?:Parameterized|Repeated)?Test\b(?:\s*\([^)]*\))?\s*(?:@\w+(?:\s*\([^)]*\))?\s*)*(?:(?:public|protected|private|static|final)\s+)*\w+\s+(\w+)\s*\(").ok()
});
static JAVASCRIPT: Shape = LazyLock::new(|| {
    Regex::new(r#"(?:^|[^\w.])(?:it|test)((?:\.\w+)*)\s*\(\s*(?:"([^"\n]*)"|'([^'\n]*)'|`([^`]*)`)"#).ok()
});

/// The names that a shape finds, each judged.
fn matched(shape: &Shape, text: &str, fault: impl Fn(&str) -> Option<String>) -> Names {
    let mut names = Names::default();
    for captures in shape.iter().flat_map(|shape| shape.captures_iter(text)) {
        match fault(&captures[1]) {
            None => names.good += 1,
            Some(fault) => names.faults.push(fault),
        }
    }
    names
}

fn javascript(text: &str) -> Names {
    let mut names = Names::default();
    for captures in JAVASCRIPT.iter().flat_map(|shape| shape.captures_iter(text)) {
        let title = (2..=4).find_map(|group| captures.get(group)).map_or("", |title| title.as_str().trim());
        if captures[1].contains(".only") {
            names.faults.push(format!("test {title:?} is marked .only, so that others are not run"));
        } else if title.is_empty() {
            names.faults.push("a test has no title".into());
        } else {
            names.good += 1;
        }
    }
    names
}
