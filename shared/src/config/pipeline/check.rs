//! The validators.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Language, read};

/// The names of all validators.
pub const VALIDATORS: [&str; 11] = [
    "syntax",
    "json_schema",
    "regex",
    "test_names",
    "forbidden",
    "coverage",
    "execution",
    "judge",
    "command",
    "files_present",
    "max_length",
];

/// One validator and what its finding weighs.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckSpec {
    /// What it is called in results; the validator's name unless given.
    pub name: String,
    /// What its failure means.
    pub severity: Severity,
    /// Its part in the score; not negative.
    pub weight: f64,
    /// What it checks.
    pub kind: CheckKind,
}

/// What the failure of a validator means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The result does not pass.
    #[default]
    Error,
    /// The score is lower.
    Warning,
    /// It is only told.
    Info,
}

/// What a validator checks.
#[derive(Debug, Clone, PartialEq)]
pub enum CheckKind {
    /// The text parses.
    Syntax(SyntaxCheck),
    /// The JSON follows a schema.
    JsonSchema(SchemaCheck),
    /// A regular expression matches, or does not.
    Regex(RegexCheck),
    /// There are tests, and they are named so that they are found and run.
    TestNames(TestNamesCheck),
    /// Nothing that may not be there is.
    Forbidden(ForbiddenCheck),
    /// Enough of the code is run by its tests.
    Coverage(CoverageCheck),
    /// A command, usually the tests, ends well in the workspace.
    Execution(ExecutionCheck),
    /// A model finds it good.
    Judge(JudgeCheck),
    /// A command of the operator's finds it good.
    Command(CommandCheck),
    /// These files were made.
    FilesPresent(FilesPresentCheck),
    /// It is no longer than this.
    MaxLength(Amounts),
}

impl CheckKind {
    /// The validator of this name with these options; `None` if there is none.
    pub(super) fn read(name: &str, options: Value) -> Option<Result<Self, String>> {
        Some(match name {
            "syntax" => read::typed(options).map(Self::Syntax),
            "json_schema" => read::typed(options).map(Self::JsonSchema),
            "regex" => read::typed(options).map(Self::Regex),
            "test_names" => read::typed(options).map(Self::TestNames),
            "forbidden" => read::typed(options).map(Self::Forbidden),
            "coverage" => read::typed(options).map(Self::Coverage),
            "execution" => read::typed(options).map(Self::Execution),
            "judge" => read::typed(options).map(Self::Judge),
            "command" => read::typed(options).map(Self::Command),
            "files_present" => read::typed(options).map(Self::FilesPresent),
            "max_length" => read::typed(options).and_then(Amounts::checked).map(Self::MaxLength),
            _ => return None,
        })
    }
}

/// Options of `syntax`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyntaxCheck {
    /// The language; of produced files, those with an extension of it are checked.
    pub language: Language,
    /// Whether Python is compiled by `python3` too, which finds more.
    #[serde(default)]
    pub compile: bool,
}

/// Options of `json_schema`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaCheck {
    /// The schema. It refers to nothing outside of itself.
    pub schema: Value,
}

/// Options of `regex`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegexCheck {
    /// The regular expression, in the syntax of the crate `regex`: no look-around, linear time.
    pub pattern: String,
    /// Whether it has to match the text.
    #[serde(default)]
    pub must: Must,
}

/// Whether a pattern has to match.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Must {
    /// It does.
    #[default]
    Match,
    /// It must not.
    NotMatch,
}

/// Options of `test_names`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TestNamesCheck {
    /// The language of the tests; that of the file names if absent, else Python.
    pub language: Option<Language>,
    /// The fewest tests there may be.
    pub min: usize,
}

impl Default for TestNamesCheck {
    fn default() -> Self {
        Self { language: None, min: 1 }
    }
}

/// Options of `forbidden`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForbiddenCheck {
    /// Regular expressions, none of which may match the text or a produced file.
    #[serde(deserialize_with = "read::some_texts")]
    pub patterns: Vec<String>,
}

/// Options of `coverage`. Without `argv` and `report`, pytest is run under coverage.py.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoverageCheck {
    /// The least part of the lines, from 0 to 1.
    #[serde(deserialize_with = "read::fraction")]
    pub min: f64,
    /// Run first. What it writes is read if there is no `report`.
    #[serde(default, deserialize_with = "read::some_argv")]
    pub argv: Option<Vec<String>>,
    /// A file in the workspace: JSON of coverage.py or Istanbul, lcov, Cobertura XML, or text with a percentage.
    #[serde(default)]
    pub report: Option<String>,
    /// Added to the environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// How long each command may take.
    #[serde(default, deserialize_with = "read::some_duration")]
    pub timeout: Option<Duration>,
}

/// Options of `execution`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutionCheck {
    /// What is run, each part a template. pytest, unless given.
    #[serde(default = "pytest", deserialize_with = "read::argv")]
    pub argv: Vec<String>,
    /// Added to the environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// How long it may take.
    #[serde(default, deserialize_with = "read::some_duration")]
    pub timeout: Option<Duration>,
    /// A regular expression that what it writes has to match as well, since produced code could end it early.
    #[serde(default)]
    pub expect: Option<String>,
}

fn pytest() -> Vec<String> {
    ["python3", "-m", "pytest", "-q"].map(str::to_owned).to_vec()
}

/// Options of `judge`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgeCheck {
    /// Template of what is asked; what is to be judged is put after it.
    pub prompt: String,
    /// The least score, from 0 to 1.
    #[serde(default = "good", deserialize_with = "read::fraction")]
    pub min: f64,
    /// Most tokens of the judge's answer.
    #[serde(default = "judgement")]
    pub max_tokens: u32,
}

fn good() -> f64 {
    0.7
}

fn judgement() -> u32 {
    512
}

/// Options of `command`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandCheck {
    /// The program and its arguments, each a template.
    #[serde(deserialize_with = "read::argv")]
    pub argv: Vec<String>,
    /// Added to the environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// How long it may take.
    #[serde(default, deserialize_with = "read::some_duration")]
    pub timeout: Option<Duration>,
    /// Where it runs; the workspace if absent.
    #[serde(default)]
    pub directory: Option<super::Directory>,
    /// The least score that it may give, from 0 to 1.
    #[serde(default, deserialize_with = "read::fraction")]
    pub min: f64,
}

/// Options of `files_present`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesPresentCheck {
    /// Patterns (each also a template) that each match at least one produced file.
    #[serde(deserialize_with = "read::some_texts")]
    pub files: Vec<String>,
}

/// Options of `max_length`: at least one of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Amounts {
    /// Most characters.
    pub chars: Option<usize>,
    /// Most lines.
    pub lines: Option<usize>,
    /// Most tokens.
    pub tokens: Option<usize>,
}

impl Amounts {
    fn checked(self) -> Result<Self, String> {
        if self == Self::default() {
            return Err("give `chars`, `lines` or `tokens`".into());
        }
        Ok(self)
    }
}
