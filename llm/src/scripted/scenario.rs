//! A scenario: what the stand-in answers to which request. Written by people in TOML or JSON; `docs/scripted.md` says
//! how.

pub(crate) mod answer;
pub(crate) mod rule;
pub(crate) mod words;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use self::{
    answer::{Answer, What},
    rule::Rule,
    words::Span,
};

/// Largest scenario file, and largest file that an answer names.
const LARGEST: u64 = 64 * 1024 * 1024;

/// What the stand-in answers to which request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// For everything that is drawn at random.
    pub(crate) seed: u64,
    /// What the model listings say.
    pub(crate) models: Vec<Model>,
    /// The keys that are let in; with none, every request is.
    pub(crate) keys: Vec<String>,
    pub(crate) unmatched: Unmatched,
    pub(crate) latency: Option<Span>,
    pub(crate) tokens_per_second: Option<f64>,
    pub(crate) chunk: Option<usize>,
    pub(crate) style: Option<answer::Style>,
    #[serde(rename = "rule")]
    pub(crate) rules: Vec<Rule>,
}

/// What a request gets for which there is no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unmatched {
    /// What the stand-in says without a scenario.
    #[default]
    Default,
    /// HTTP 400 that says so.
    Error,
}

/// A model of the listing: its id, and whatever else is to be said of it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) struct Model {
    pub(crate) id: String,
    pub(crate) more: serde_json::Map<String, Value>,
}

impl TryFrom<Value> for Model {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::String(id) if !id.is_empty() => Ok(Self { id, more: serde_json::Map::new() }),
            Value::Object(mut more) => match more.remove("id") {
                Some(Value::String(id)) if !id.is_empty() => Ok(Self { id, more }),
                _ => Err("a model has an `id`".into()),
            },
            _ => Err("a model is an id, or a table with an `id`".into()),
        }
    }
}

/// A scenario that cannot be used.
#[derive(Debug, Error)]
#[error("{}{}: {message}", path.display(), line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct ScenarioError {
    path: PathBuf,
    line: Option<usize>,
    message: String,
}

impl ScenarioError {
    /// The line of the file, counted from 1, where that is known.
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

impl Scenario {
    /// Reads a file: JSON if its name ends in `.json`, otherwise TOML. Files that answers name are read too, beside it.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let fail = |message: String| ScenarioError { path: path.to_owned(), line: None, message };
        let text = read(path).map_err(fail)?;
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        let parsed = if is_json { from_json(&text) } else { from_toml(&text) };
        let scenario: Self =
            parsed.map_err(|(line, message)| ScenarioError { path: path.to_owned(), line, message })?;
        scenario.finish(path.parent().unwrap_or(Path::new(""))).map_err(fail)
    }

    /// Reads TOML. Files that answers name are sought in the working directory.
    pub fn from_toml(text: &str) -> Result<Self, ScenarioError> {
        let fail = |(line, message)| ScenarioError { path: PathBuf::from("the scenario"), line, message };
        let scenario: Self = from_toml(text).map_err(fail)?;
        scenario.finish(Path::new("")).map_err(|message| fail((None, message)))
    }

    /// How many rules it has.
    pub fn rules(&self) -> usize {
        self.rules.len()
    }

    /// Names the nameless, reads files, and checks what no single line shows.
    fn finish(mut self, beside: &Path) -> Result<Self, String> {
        if self.chunk == Some(0) {
            return Err("`chunk` is at least 1 character".into());
        }
        if self.tokens_per_second.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
            return Err("`tokens_per_second` is above 0".into());
        }
        let mut names = BTreeSet::new();
        for (index, rule) in self.rules.iter_mut().enumerate() {
            if rule.name.is_empty() {
                rule.name = format!("rule-{}", index + 1);
            }
            if !names.insert(rule.name.clone()) {
                return Err(format!("two rules are named `{}`", rule.name));
            }
            for answer in &mut rule.answers {
                read_file(answer, beside)
                    .map_err(|error| format!("rule `{}`, `file`: {error}", rule.name))?;
            }
        }
        Ok(self)
    }
}

fn read_file(answer: &mut Answer, beside: &Path) -> Result<(), String> {
    if let What::File(path) = &answer.what {
        let path = beside.join(path);
        let text = read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        answer.what = What::Text(text);
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > LARGEST {
        return Err(format!("the file is larger than {} MB", LARGEST / 1024 / 1024));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|_| "the file is not UTF-8".into())
}

type Fault = (Option<usize>, String);

fn from_toml(text: &str) -> Result<Scenario, Fault> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        (before.map(|before| before.matches('\n').count() + 1), error.message().to_owned())
    })
}

fn from_json(text: &str) -> Result<Scenario, Fault> {
    serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        // The line is told apart from the message.
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        (Some(error.line()), message)
    })
}
