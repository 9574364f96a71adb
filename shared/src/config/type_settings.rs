//! Every key of a table `[types.NAME]`, in one table, as [`super::SETTINGS`] is for the rest of the file.

use std::time::Duration;

use crate::model::{Priority, Protection, QueueName};

use super::{
    kind::{FOREVER, Kind, check},
    setting::{Setting, Who},
    settings::{CPU_TIME, FILE_SIZE, HOSTS, LARGEST, MEMORY, MODE, OPEN_FILES, PATHS, PROCESSES},
};

const INSTANT: Duration = Duration::from_millis(1);

const fn key(key: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Setting {
    Setting { key, env: &[], kind, default, help, who: Who::Both }
}

const fn worker_key(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Setting {
    Setting { who: Who::Worker, ..key(name, kind, default, help) }
}

/// Every key of a table `[types.NAME]`.
pub const TYPE_SETTINGS: &[Setting] = &[
    key(
        "executor",
        Kind::Name("noop, sleep, command, http, llm or an executor of your own", check_executor),
        "",
        "What runs the task. Required.",
    ),
    key("description", Kind::Text, "", "What the type is for."),
    key("queue", Kind::Name("the name of a queue", check::<QueueName>), "", "Where its tasks go."),
    key("priority", Kind::Name("critical, high, normal or low", check::<Priority>), "", "How soon they run."),
    key("timeout", Kind::Duration(INSTANT, FOREVER), "", "How long an attempt may take."),
    worker_key(
        "progress_deadline",
        Kind::Duration(INSTANT, FOREVER),
        "",
        "Longest silence between two reports of progress. Unless given, an attempt may be silent until its timeout.",
    ),
    key("max_attempts", Kind::Count(1, 1000), "", "How often a task is tried."),
    key("retry.base", Kind::Duration(Duration::ZERO, FOREVER), "", "Longest wait before the first retry."),
    key("retry.cap", Kind::Duration(Duration::ZERO, FOREVER), "", "Longest wait before any retry."),
    key("retry.classes", Kind::Classes, "", "Classes of error that are treated otherwise than usual."),
    key("template", Kind::Table, "", "Payload that each task's own payload completes."),
    worker_key(
        "command.env_allow",
        Kind::List("names of variables such as HOME,LANG", check_variable),
        "",
        "Variables of the worker that the command sees.",
    ),
    worker_key("command.success_exit_codes", Kind::Codes, "0", "Exit codes that mean success."),
    worker_key(
        "command.retry_exit_codes",
        Kind::Codes,
        "",
        "Exit codes after which the task is tried again. Unless given, all that mean neither success nor failure.",
    ),
    worker_key("command.fail_exit_codes", Kind::Codes, "", "Exit codes after which the task fails at once."),
    worker_key(
        "command.stdout",
        Kind::Choice(&["auto", "json", "text"]),
        "auto",
        "How the output is read as the result.",
    ),
    worker_key("command.max_output", Kind::Bytes(1, LARGEST), "1MiB", "Most output that is kept."),
    worker_key("sandbox.mode", MODE, "", "How its commands are shut in, instead of the general setting."),
    worker_key(
        "sandbox.require",
        Kind::List("protections such as files,network", check::<Protection>),
        "",
        "A node that cannot enforce these does not offer the type: files, network, limits, processes, privileges, isolation.",
    ),
    worker_key("sandbox.read", PATHS, "", "What its commands may read, besides the general paths."),
    worker_key("sandbox.write", PATHS, "", "What its commands may change, besides the general paths."),
    worker_key("sandbox.network", Kind::Flag, "", "Whether its commands have a network."),
    worker_key("sandbox.cpu_time", CPU_TIME, "", "CPU time of each of its processes."),
    worker_key("sandbox.memory", MEMORY, "", "Memory of each of its processes."),
    worker_key("sandbox.processes", PROCESSES, "", "Processes of a command at once."),
    worker_key("sandbox.file_size", FILE_SIZE, "", "Largest file that its commands may write."),
    worker_key("sandbox.open_files", OPEN_FILES, "", "Open files of each of its processes."),
    worker_key("http.allow_hosts", HOSTS, "", "The hosts that may be called, instead of the general ones."),
    worker_key("llm.base_url", Kind::HttpUrl, "", "The service, instead of the general one."),
    worker_key("llm.model", Kind::Text, "", "The model, where a task names none."),
    worker_key("llm.api_key", Kind::Secret, "", "The key, instead of the general one."),
    worker_key(
        "llm.route",
        Kind::List("models in order of preference", check_model),
        "",
        "The models that may answer, instead of those that the selector finds.",
    ),
    worker_key(
        "llm.category",
        Kind::Text,
        "",
        "Kind of work, for the selector and its statistics. Unless given, the type's name.",
    ),
    worker_key(
        "llm.requirements",
        Kind::Table,
        "",
        "What a model must have: see docs/models.md. A task's own go before them.",
    ),
    worker_key(
        "llm.mode",
        Kind::Choice(&["balanced", "cheapest", "fastest", "quality"]),
        "",
        "What the selector prefers, instead of the general setting.",
    ),
    worker_key(
        "llm.temperature",
        Kind::Name("a number from 0 to 2", check_temperature),
        "",
        "Where a task gives none.",
    ),
    worker_key("llm.max_tokens", Kind::Count(1, 10_000_000), "", "Longest answer, where a task gives none."),
    worker_key("llm.response_schema", Kind::Table, "", "JSON Schema of the answer, where a task gives none."),
    worker_key(
        "llm.extra",
        Kind::Table,
        "",
        "Fields of each request that only one provider knows, sent as they are.",
    ),
    worker_key(
        "llm.cache",
        Kind::Choice(&["off", "exact", "semantic"]),
        "",
        "Which answers are used again, instead of the general setting.",
    ),
    worker_key(
        "llm.repairs",
        Kind::Count(0, 10),
        "2",
        "How often a model may mend an answer that is not valid.",
    ),
    worker_key(
        "llm.on_invalid",
        Kind::Choice(&["fail", "escalate"]),
        "fail",
        "What happens when no model gave a valid answer: the task fails, or people decide (`windlass review`).",
    ),
    worker_key(
        "llm.on_refusal",
        Kind::Choice(&["rotate", "fail"]),
        "rotate",
        "Whether another provider is asked when one refuses for content.",
    ),
    worker_key("llm.pipeline", Kind::Table, "", "Stages and validators: see docs/pipeline.md."),
];

fn check_executor(text: &str) -> Result<(), String> {
    if text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        return Ok(());
    }
    Err(format!("{text:?} is not the name of an executor: use up to 64 letters, digits, '.', '_', '-'"))
}

/// The name of a model; whether there is one, the catalog says.
fn check_model(text: &str) -> Result<(), String> {
    if text.len() > 200 || text.chars().any(char::is_whitespace) {
        return Err(format!("{text:?} is not the name of a model"));
    }
    Ok(())
}

fn check_temperature(text: &str) -> Result<(), String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=2.0).contains(&number) => Ok(()),
        _ => Err(format!("{text:?} is not valid: use a number from 0 to 2")),
    }
}

fn check_variable(text: &str) -> Result<(), String> {
    if text.chars().any(|c| c == '=' || c.is_whitespace() || c.is_control()) {
        return Err(format!("{text:?} is not the name of a variable"));
    }
    Ok(())
}
