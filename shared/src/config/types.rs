//! Task types: what the tables `[types.NAME]` declare.

use std::{collections::BTreeMap, str::FromStr, time::Duration};

use toml::Table;

use crate::model::{Priority, QueueName, RetryPolicy, TypeName, retry::Wanted};

use super::{
    file::ConfigFile, layers::Values, llm::LlmTypeSettings, sandbox::SandboxOfType, sections::HttpSettings,
    setting::Who, type_settings::TYPE_SETTINGS,
};

/// Types that exist without configuration. Each has the executor of its name.
pub const BUILT_IN: [&str; 5] = ["noop", "sleep", "command", "http", "llm"];

/// What is known about a task type. What is `None` comes from the submission or from the general settings.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeSpec {
    /// What runs the task. Whether it exists is the worker's to check.
    pub executor: String,
    /// What the type is for.
    pub description: Option<String>,
    /// Where its tasks go.
    pub queue: Option<QueueName>,
    /// How soon they run.
    pub priority: Option<Priority>,
    /// How long an attempt may take.
    pub timeout: Option<Duration>,
    /// Longest silence between two reports of progress, if they are demanded.
    pub progress_deadline: Option<Duration>,
    /// How often a task is tried.
    pub max_attempts: Option<u32>,
    /// Longest wait before the first retry.
    pub retry_base: Option<Duration>,
    /// Longest wait before any retry.
    pub retry_cap: Option<Duration>,
    /// Classes of error that are treated otherwise than usual.
    pub retry_classes: BTreeMap<String, Wanted>,
    /// Payload that each task's own payload completes; a JSON object.
    pub template: Option<serde_json::Value>,
    /// Options of the executor `command`.
    pub command: CommandOptions,
    /// Options of the executor `http`.
    pub http: HttpSettings,
    /// Options of the executor `llm`.
    pub llm: LlmTypeSettings,
    /// What its commands may do.
    pub sandbox: SandboxOfType,
}

/// Options of the executor `command`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOptions {
    /// Variables of the worker that the command sees.
    pub env_allow: Vec<String>,
    /// Exit codes that mean success.
    pub success_exit_codes: Vec<i32>,
    /// Exit codes after which the task is tried again; `None`: all that are in neither of the other lists.
    pub retry_exit_codes: Option<Vec<i32>>,
    /// Exit codes after which the task fails at once.
    pub fail_exit_codes: Vec<i32>,
    /// How the output is read.
    pub stdout: Stdout,
    /// Most bytes of output that are kept.
    pub max_output: usize,
}

/// How a command's output is read as the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stdout {
    /// As JSON if it is JSON, else as text.
    #[default]
    Auto,
    /// As JSON; anything else is an error.
    Json,
    /// As text.
    Text,
}

impl FromStr for Stdout {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err(format!("{text:?} is not valid: use auto, json or text")),
        }
    }
}

impl TypeSpec {
    /// What is known about a type with this executor when nothing is configured.
    pub fn of_executor(executor: &str) -> Self {
        let spec = Self::from_values(&Values::defaults(TYPE_SETTINGS));
        Self { executor: executor.to_owned(), ..spec }
    }

    /// The retry policy of a task of this type that does not say otherwise.
    pub fn retry_policy(&self) -> RetryPolicy {
        let usual = RetryPolicy::default();
        RetryPolicy {
            max_attempts: self.max_attempts.unwrap_or(usual.max_attempts),
            base: self.retry_base.unwrap_or(usual.base),
            cap: self.retry_cap.unwrap_or(usual.cap),
            classes: self.retry_classes.clone(),
        }
    }

    fn from_values(values: &Values) -> Self {
        let executor: Option<String> = values.get("executor");
        Self {
            executor: executor.unwrap_or_default(),
            description: values.get("description"),
            queue: values.get("queue"),
            priority: values.get("priority"),
            timeout: values.get("timeout"),
            progress_deadline: values.get("progress_deadline"),
            max_attempts: values.get("max_attempts"),
            retry_base: values.get("retry.base"),
            retry_cap: values.get("retry.cap"),
            retry_classes: values.get("retry.classes"),
            template: values.get("template"),
            command: CommandOptions::from_values(values),
            http: HttpSettings::from_values(values),
            llm: LlmTypeSettings::from_values(values),
            sandbox: SandboxOfType::from_values(values),
        }
    }
}

impl CommandOptions {
    fn from_values(values: &Values) -> Self {
        Self {
            env_allow: values.get("command.env_allow"),
            success_exit_codes: values.get("command.success_exit_codes"),
            retry_exit_codes: values.get("command.retry_exit_codes"),
            fail_exit_codes: values.get("command.fail_exit_codes"),
            stdout: values.get("command.stdout"),
            max_output: values.get("command.max_output"),
        }
    }

    /// An exit code that is in two lists. It would not be clear what it means.
    fn ambiguous_code(&self) -> Option<i32> {
        let lists = [&self.success_exit_codes, &self.fail_exit_codes];
        let retry = self.retry_exit_codes.iter();
        let mut codes: Vec<i32> = lists.into_iter().chain(retry).flat_map(|l| l.iter().copied()).collect();
        codes.sort_unstable();
        codes.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    }
}

/// Reads the types that `file` declares.
pub(super) fn read(
    file: &ConfigFile,
    program: Who,
    faults: &mut Vec<String>,
) -> BTreeMap<TypeName, TypeSpec> {
    let mut types = BTreeMap::new();
    // What a file declares itself goes before what it includes.
    for included in file.included(faults) {
        read_file(&included, program, &mut types, faults);
    }
    read_file(file, program, &mut types, faults);
    types
}

fn read_file(
    file: &ConfigFile,
    program: Who,
    types: &mut BTreeMap<TypeName, TypeSpec>,
    faults: &mut Vec<String>,
) {
    for (name, table) in file.tables("types", faults) {
        let spec = read_one(file, &format!("types.{name}"), table, program, faults);
        match TypeName::new(name) {
            Ok(name) => drop(types.insert(name, spec)),
            Err(error) => faults.push(format!("{}: types: {error}", file.name)),
        }
    }
}

fn read_one(
    file: &ConfigFile,
    root: &str,
    table: &Table,
    program: Who,
    faults: &mut Vec<String>,
) -> TypeSpec {
    let values = file.values(TYPE_SETTINGS, root, table, program, faults);
    let spec = TypeSpec::from_values(&values);
    if table.get("executor").is_none_or(|value| value.as_str() == Some("")) {
        let names = BUILT_IN.join(", ");
        faults.push(format!("{}: {root}.executor is missing: use one of {names}, or your own", file.name));
    }
    if let Some(code) = spec.command.ambiguous_code() {
        faults.push(format!(
            "{}: {root}.command: exit code {code} is named twice: name it in one list",
            file.name
        ));
    }
    spec
}
