//! The pipeline of an `llm` task, as the table `[types.NAME.llm.pipeline]` declares it.
//!
//! ```toml
//! [types.unit_test.llm.pipeline]
//! files = { max_file = "64KiB", max_total = "256KiB", max_files = 50 }
//! preprocess = ["files", "redact", { stage = "fit", by = "importance" }]
//! postprocess = [{ stage = "code", language = "python" }, { stage = "write", to = "tests/test_{{ stem }}.py" }]
//! validate = [{ validator = "syntax", language = "python" }, { validator = "execution", weight = 3 }]
//! hooks = { before = [{ argv = ["./announce"] }] }
//! threshold = 0.7
//! ```
//!
//! A stage or validator that needs nothing said is its name alone. These are plain data: regular expressions,
//! templates, patterns and schemas are checked by the worker, when it starts.

mod check;
mod language;
mod read;
mod stage;

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

pub use self::{
    check::{
        Amounts, CheckKind, CheckSpec, CommandCheck, CoverageCheck, ExecutionCheck, FilesPresentCheck,
        ForbiddenCheck, JudgeCheck, Must, RegexCheck, SchemaCheck, Severity, SyntaxCheck, TestNamesCheck,
        VALIDATORS,
    },
    language::Language,
    stage::{
        CodeStage, Expect, FilesStage, FitBy, FitStage, JsonStage, Pick, RedactStage, STAGES, StageSpec,
        TemplateStage, WriteStage,
    },
};

/// How an `llm` task becomes a request, and an answer becomes a result.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PipelineSpec {
    /// How much a task may bring as context.
    pub files: FileLimits,
    /// What makes the request, in order.
    pub preprocess: Vec<StageSpec>,
    /// What makes the result out of the answer, in order.
    pub postprocess: Vec<StageSpec>,
    /// What the result is judged by, in order.
    pub validate: Vec<CheckSpec>,
    /// Commands around it all.
    pub hooks: HooksSpec,
    /// The score, from 0 to 1, that a result needs besides having no error.
    pub threshold: f64,
}

/// How much a task may bring as context. Beyond it the task fails before a model is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileLimits {
    /// Bytes of one file.
    #[serde(deserialize_with = "read::bytes")]
    pub max_file: u64,
    /// Bytes of all files together.
    #[serde(deserialize_with = "read::bytes")]
    pub max_total: u64,
    /// Number of files.
    pub max_files: usize,
}

impl Default for FileLimits {
    fn default() -> Self {
        Self { max_file: 64 << 10, max_total: 256 << 10, max_files: 50 }
    }
}

/// Commands that are told what happens. They read JSON; what they write is not used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HooksSpec {
    /// Before the first stage. One that fails ends the attempt.
    pub before: Vec<CommandSpec>,
    /// After the last validator, whatever its verdict. One that fails ends the attempt.
    pub after: Vec<CommandSpec>,
    /// After a failure. One that fails changes nothing.
    pub error: Vec<CommandSpec>,
}

/// A command of the operator's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSpec {
    /// The program and its arguments, each of them a template; no shell is involved.
    #[serde(deserialize_with = "read::argv")]
    pub argv: Vec<String>,
    /// Added to the environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// How long it may take; the worker's general limit if absent.
    #[serde(default, deserialize_with = "read::some_duration")]
    pub timeout: Option<Duration>,
    /// Where it runs; a stage or hook in the source folder, a validator in the workspace, if absent.
    #[serde(default)]
    pub directory: Option<Directory>,
}

/// Where a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Directory {
    /// The folder that the task's files are read from; the workspace if there is none.
    Source,
    /// The attempt's own folder, which is gone afterwards.
    Workspace,
}

impl PipelineSpec {
    /// Reads the table, or says everything that is wrong with it, each fault with the key where it is.
    pub fn read(table: &Value) -> Result<Self, Vec<String>> {
        read::pipeline(table)
    }
}

impl<'de> Deserialize<'de> for PipelineSpec {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        Self::read(&Value::deserialize(input)?).map_err(|faults| D::Error::custom(faults.join("; ")))
    }
}

#[cfg(test)]
mod tests;
