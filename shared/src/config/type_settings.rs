//! Every key of a table `[types.NAME]`, in one table, as [`super::SETTINGS`] is for the rest of the file.

use std::time::Duration;

use crate::model::{Priority, QueueName};

use super::{
    kind::{FOREVER, Kind, check},
    setting::{Setting, Who},
    settings::{HOSTS, LARGEST},
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
    worker_key("http.allow_hosts", HOSTS, "", "The hosts that may be called, instead of the general ones."),
    worker_key("llm.base_url", Kind::HttpUrl, "", "The service, instead of the general one."),
    worker_key("llm.model", Kind::Text, "", "The model, where a task names none."),
    worker_key("llm.api_key", Kind::Secret, "", "The key, instead of the general one."),
];

fn check_executor(text: &str) -> Result<(), String> {
    if text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        return Ok(());
    }
    Err(format!("{text:?} is not the name of an executor: use up to 64 letters, digits, '.', '_', '-'"))
}

fn check_variable(text: &str) -> Result<(), String> {
    if text.chars().any(|c| c == '=' || c.is_whitespace() || c.is_control()) {
        return Err(format!("{text:?} is not the name of a variable"));
    }
    Ok(())
}
