//! The stages before and after the call of a model.

use serde::Deserialize;
use serde_json::Value;

use super::{CommandSpec, Language, read};

/// The names of all stages.
pub const STAGES: [&str; 9] =
    ["template", "files", "fit", "redact", "code", "json", "patch", "write", "command"];

/// Those that make a request, and those that need an answer. The rest may stand on either side.
pub(super) const BEFORE: [&str; 3] = ["template", "files", "fit"];
pub(super) const AFTER: [&str; 4] = ["code", "json", "patch", "write"];

/// One stage.
#[derive(Debug, Clone, PartialEq)]
pub enum StageSpec {
    /// Writes the system text and the prompt.
    Template(TemplateStage),
    /// Reads the task's files.
    Files(FilesStage),
    /// Makes the request fit the model's context window.
    Fit(FitStage),
    /// Takes secrets out.
    Redact(RedactStage),
    /// Takes the code out of the answer.
    Code(CodeStage),
    /// Takes the JSON out of the answer.
    Json(JsonStage),
    /// Applies the unified diff in the answer to the task's files.
    Patch,
    /// Writes what was made into the workspace.
    Write(WriteStage),
    /// Any program: reads the draft as JSON, writes the fields that change.
    Command(CommandSpec),
}

impl StageSpec {
    /// The stage of this name with these options; `None` if there is none.
    pub(super) fn read(name: &str, options: Value) -> Option<Result<Self, String>> {
        Some(match name {
            "template" => read::typed(options).and_then(TemplateStage::checked).map(Self::Template),
            "files" => read::typed(options).map(Self::Files),
            "fit" => read::typed(options).map(Self::Fit),
            "redact" => read::typed(options).map(Self::Redact),
            "code" => read::typed(options).map(Self::Code),
            "json" => read::typed(options).map(Self::Json),
            "patch" => read::typed::<Nothing>(options).map(|_| Self::Patch),
            "write" => read::typed(options).map(Self::Write),
            "command" => read::typed(options).map(Self::Command),
            _ => return None,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Options of `template`. The task's fields are its variables.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TemplateStage {
    /// Replaces the system text.
    pub system: Option<String>,
    /// Replaces the task's instruction.
    pub prompt: Option<String>,
}

impl TemplateStage {
    fn checked(self) -> Result<Self, String> {
        if self.system.is_none() && self.prompt.is_none() {
            return Err("give `system`, `prompt` or both".into());
        }
        Ok(self)
    }
}

/// Options of `files`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilesStage {
    /// Patterns of files that every task of the type gets, besides those that it names itself.
    pub context: Vec<String>,
    /// Whether the files are laid into the workspace too, where what is produced can be run with them.
    pub copy: bool,
}

impl Default for FilesStage {
    fn default() -> Self {
        Self { context: Vec::new(), copy: true }
    }
}

/// Options of `fit`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FitStage {
    /// What goes first.
    pub by: FitBy,
    /// The request's limit in tokens, if it is to be below the model's.
    pub max_tokens: Option<usize>,
    /// Tokens that later stages will add.
    pub reserve: usize,
}

/// What is left out of a request that is too long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FitBy {
    /// The oldest messages, then the files named last.
    Sliding,
    /// The least important files, then the oldest messages.
    #[default]
    Importance,
    /// The same, but a model's summary takes their place.
    Summary,
}

/// Options of `redact`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedactStage {
    /// More kinds of secret: a name and a regular expression each.
    pub patterns: std::collections::BTreeMap<String, String>,
    /// Whether long random strings are taken for secrets.
    pub entropy: bool,
}

impl Default for RedactStage {
    fn default() -> Self {
        Self { patterns: std::collections::BTreeMap::new(), entropy: true }
    }
}

/// Options of `code`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CodeStage {
    /// Only blocks of this language, where the answer says.
    pub language: Option<Language>,
    /// Which of several blocks.
    pub pick: Pick,
}

/// Which of several blocks of code is the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// All, one after the other.
    #[default]
    All,
    /// The first.
    First,
    /// The last.
    Last,
    /// The longest.
    Longest,
}

/// Options of `json`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JsonStage {
    /// What kind of value to look for.
    pub expect: Expect,
}

/// A kind of JSON value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// An object or an array.
    #[default]
    Any,
    /// An object.
    Object,
    /// An array.
    Array,
}

/// Options of `write`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WriteStage {
    /// Template of the path for an answer that is one text; without it, only files with names are written.
    pub to: Option<String>,
}
