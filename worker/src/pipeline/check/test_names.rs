//! `test_names`: there are enough tests, and each is named so that its runner finds it.
//!
//! The score is the part of the tests that is named well; 0 if there are fewer good ones than `min`.

use std::path::Path;

use windlass_shared::config::pipeline::{Language, TestNamesCheck};

use super::{
    super::Draft,
    finding::{Finding, in_file},
    names::{self, Names},
};
use crate::executor::{Failure, command::blocking};

/// Faults that are told.
const MOST_FAULTS: usize = 20;

#[derive(Debug)]
pub(super) struct TestNames(TestNamesCheck);

impl TestNames {
    pub(super) fn new(spec: TestNamesCheck) -> Result<Self, Vec<String>> {
        match spec.language {
            Some(language @ (Language::Json | Language::Toml)) => {
                Err(vec![format!("language: {} has no tests", language.as_str())])
            }
            _ => Ok(Self(spec)),
        }
    }

    pub(super) async fn find(&self, draft: &Draft) -> Result<Finding, Failure> {
        let spec = self.0;
        let subjects: Vec<(String, String)> =
            draft.subjects().into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
        blocking(move || Ok(judge(spec, &subjects))).await
    }
}

fn judge(spec: TestNamesCheck, subjects: &[(String, String)]) -> Finding {
    let (mut good, mut faults) = (0, Vec::new());
    for (name, text) in subjects {
        let language =
            Language::of_path(name).or_else(|| spec.language.or(name.is_empty().then_some(Language::Python)));
        let Some(language) =
            language.filter(|language| spec.language.is_none_or(|wanted| wanted == *language))
        else {
            continue;
        };
        let Names { good: here, faults: mut bad } = match names::of(language, text) {
            Ok(names) => names,
            Err(why) => Names { good: 0, faults: vec![format!("it does not parse: {why}")] },
        };
        if here > 0 && !name.is_empty() && !file_is_found(language, name) {
            bad.push(format!(
                "it holds tests, but its name is not that of a test file: {}",
                convention(language)
            ));
        }
        good += here;
        faults.extend(bad.into_iter().map(|fault| in_file(name, fault)));
    }
    if good < spec.min {
        faults.insert(0, format!("there are {good} tests that would be found, and {} are needed", spec.min));
    }
    if faults.is_empty() {
        return Finding::passed();
    }
    let score = if good < spec.min { 0.0 } else { good as f64 / (good + faults.len()) as f64 };
    faults.truncate(MOST_FAULTS);
    Finding::scored(false, score, faults.join("\n"))
}

/// Whether the language's runner looks into a file of this name.
fn file_is_found(language: Language, path: &str) -> bool {
    let name = Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    match language {
        Language::Python => stem.starts_with("test_") || stem.ends_with("_test"),
        Language::Go => stem.ends_with("_test"),
        Language::Javascript | Language::Typescript | Language::Tsx => {
            let kind = stem.rsplit_once('.').map(|(_, kind)| kind);
            matches!(kind, Some("test" | "spec")) || path.contains("__tests__/")
        }
        Language::Java => {
            stem.starts_with("Test")
                || ["Test", "Tests", "TestCase", "IT"].iter().any(|end| stem.ends_with(end))
        }
        _ => true,
    }
}

fn convention(language: Language) -> &'static str {
    match language {
        Language::Python => "use test_NAME.py",
        Language::Go => "use NAME_test.go",
        Language::Java => "use NAMETest.java",
        _ => "use NAME.test.js or NAME.spec.ts",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(language: Option<Language>, min: usize, files: &[(&str, &str)]) -> Finding {
        let subjects: Vec<_> =
            files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        judge(TestNamesCheck { language, min }, &subjects)
    }

    #[test]
    fn python_tests_are_found_as_pytest_finds_them() {
        let good = "def test_a(): pass\nclass TestB:\n    def test_c(self): pass\ndef helper(): pass\n";
        assert_eq!(run(None, 2, &[("", good)]), Finding::passed());
        assert_eq!(run(None, 2, &[("tests/test_x.py", good), ("README.md", "# hi")]), Finding::passed());
        let bad = "def testA(): pass\nclass B:\n    def test_c(self): pass\ndef test_d(): pass\ndef test_d(): pass\n\
            class TestE:\n    def __init__(self): pass\n    def test_f(self): pass\n";
        let found = run(None, 1, &[("", bad)]);
        for said in ["`testA`", "class `B`", "`test_d` is there twice", "class `TestE` has an `__init__`"] {
            assert!(found.message.contains(said), "{said}: {}", found.message);
        }
        assert!(!found.passed && found.score > 0.0 && found.score < 0.5, "{}", found.score);
        assert!(run(None, 1, &[("tests/auth.py", good)]).message.contains("use test_NAME.py"));
    }

    #[test]
    fn too_few_tests_score_nothing() {
        let none = run(None, 1, &[("", "x = 1\n")]);
        assert_eq!(
            (none.score, none.message.as_str()),
            (0.0, "there are 0 tests that would be found, and 1 are needed")
        );
        assert!(run(None, 1, &[("", "def test_a(:\n")]).message.contains("does not parse: line 1"));
    }

    #[test]
    fn other_languages_have_their_own_names() {
        for (name, good, bad, said) in [
            (
                "a.rs",
                "#[test]\nfn adds() {}\n#[tokio::test(flavor = \"x\")]\nasync fn waits() {}\n",
                "#[test]\nfn Adds() {}\n",
                "`Adds`",
            ),
            (
                "a.test.js",
                "describe('x', () => { it('adds', () => {}); test.skip(`b`, f) })",
                "it.only('a', f); it('', f)",
                ".only",
            ),
            (
                "a_test.go",
                "func TestAdd(t *testing.T) {}\nfunc Test_b(t *testing.T) {}\n",
                "func Testadd(t *testing.T) {}\n",
                "`Testadd`",
            ),
            (
                "ATest.java",
                "@Test\nvoid adds() {}\n@ParameterizedTest(name=\"x\") @ValueSource(ints={1})\npublic void b(int x) {}",
                "@Test\nvoid Adds() {}",
                "`Adds`",
            ),
        ] {
            assert_eq!(run(None, 2, &[(name, good)]), Finding::passed(), "{name}");
            let found = run(None, 0, &[(name, bad)]);
            assert!(found.message.contains(said), "{name}: {}", found.message);
        }
        assert!(
            run(None, 1, &[("util.go", "func TestAdd(t *testing.T) {}\n")]).message.contains("NAME_test.go")
        );
        assert!(run(Some(Language::Go), 1, &[("", "func TestAdd(t *testing.T) {}\n")]).passed);
    }
}
