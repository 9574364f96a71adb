//! `command`: runs any program, in any language, in a workspace of its own.
//!
//! | field | meaning |
//! | --- | --- |
//! | `argv` | the program and its arguments; no shell is involved |
//! | `stdin` | text is written as it is, anything else as JSON; if absent, the task as JSON |
//! | `env` | added to the environment, which holds only what is allowed through |
//! | `files` | written into the workspace first, by relative path |
//! | `collect` | patterns of files in the workspace that become part of the result |
//!
//! A line `::progress JSON` on standard error reports progress. Exit codes decide what a failure means.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use globset::GlobSet;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use windlass_shared::model::{ErrorClass, Trace};

use super::{
    Executor, Failure, Job,
    collect::{collect, globs},
    json,
    process::{self, Ended, Program},
};
use crate::{
    sandbox::{Author, Sandbox},
    workspace::Workspace,
};

/// What a command sees of the worker's environment, unless the configuration allows more. No secret is among it.
const ENV: [&str; 6] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"];

/// How much of standard error a failure's message repeats, in characters.
const QUOTED: usize = 500;

/// How a command's standard output becomes its result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StdoutFormat {
    /// As JSON if it is JSON, otherwise as text.
    #[default]
    Auto,
    /// As JSON; anything else is a failure.
    Json,
    /// As text, even if it is JSON.
    Text,
}

/// How commands are run.
#[derive(Debug, Clone)]
pub struct CommandOptions {
    /// Variables of the worker's environment that commands see, besides `PATH`, `HOME`, `LANG`, `LC_ALL`, `TZ`, `TMPDIR`.
    pub env_allow: Vec<String>,
    /// Exit codes that mean success.
    pub success_exit_codes: Vec<i32>,
    /// Exit codes after which to try again. If absent, all that are in neither of the other lists.
    pub retry_exit_codes: Option<Vec<i32>>,
    /// Exit codes after which not to try again.
    pub fail_exit_codes: Vec<i32>,
    /// How standard output becomes the result.
    pub stdout: StdoutFormat,
    /// Bytes of standard output, beyond which it is a failure, and of standard error, beyond which it is cut.
    pub max_output: usize,
    /// Where workspaces are made.
    pub workspace_root: PathBuf,
    /// What commands may do.
    pub sandbox: Sandbox,
}

impl Default for CommandOptions {
    fn default() -> Self {
        Self {
            env_allow: Vec::new(),
            success_exit_codes: vec![0],
            retry_exit_codes: None,
            fail_exit_codes: Vec::new(),
            stdout: StdoutFormat::Auto,
            max_output: 1024 * 1024,
            workspace_root: env::temp_dir(),
            sandbox: Sandbox::default(),
        }
    }
}

/// Runs commands.
#[derive(Debug, Clone, Default)]
pub struct CommandExecutor {
    options: CommandOptions,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    argv: Vec<String>,
    #[serde(default, deserialize_with = "given")]
    stdin: Option<Box<RawValue>>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    collect: Vec<String>,
}

/// `null` is a value that is given, unlike a field that is absent.
fn given<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(input).map(Some)
}

/// The task as a command reads it.
#[derive(Serialize)]
struct Task<'a> {
    id: &'a str,
    queue: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    attempt: u32,
    payload: &'a RawValue,
    metadata: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Output<'a> {
    exit_code: i32,
    stdout: Box<RawValue>,
    stderr: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<BTreeMap<String, String>>,
}

#[async_trait]
impl Executor for CommandExecutor {
    async fn execute(&self, job: &Job) -> Result<Box<RawValue>, Failure> {
        let payload: Payload = job.read_payload()?;
        let globs = globs(&payload.collect)?;
        let stdin = stdin(&payload, job)?;
        let workspace = self.workspace(payload.files).await?;
        let program = Program {
            argv: &payload.argv,
            env: self.environment(&payload.env, job, workspace.path())?,
            directory: workspace.path(),
            stdin: &stdin,
            max_output: self.options.max_output,
            sandbox: self.options.sandbox.policy(Author::Person, workspace.path(), None),
        };
        let ended = process::run(&program, &job.progress).await?;
        let exit_code = self.exit_code(&ended)?;
        let stdout = self.stdout(&ended.stdout)?;
        let files = if globs.is_empty() { None } else { Some(collected(&workspace, globs).await?) };
        workspace.remove().await;
        json::result(&Output { exit_code, stdout, stderr: &ended.stderr, files })
    }
}

impl CommandExecutor {
    /// Runs commands as `options` say.
    pub fn new(options: CommandOptions) -> Self {
        Self { options }
    }

    async fn workspace(&self, files: BTreeMap<String, String>) -> Result<Workspace, Failure> {
        let root = self.options.workspace_root.clone();
        blocking(move || {
            let workspace = Workspace::create(&root)?;
            files.iter().try_for_each(|(name, text)| workspace.write(name, text))?;
            Ok(workspace)
        })
        .await
    }

    fn environment(
        &self,
        extra: &BTreeMap<String, String>,
        job: &Job,
        workspace: &Path,
    ) -> Result<BTreeMap<OsString, OsString>, Failure> {
        if let Some(name) = extra.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
            return Err(Failure::bad_request(format!("variable name {name:?} in `env` is not valid")));
        }
        let mut passed = inherited(&self.options.env_allow);
        self.options.sandbox.at_home_in(workspace, &mut passed);
        // A task that names another trace wins.
        for (name, value) in job.trace.iter().flat_map(Trace::variables) {
            passed.insert(name.into(), value.into());
        }
        let extra = extra.iter().map(|(name, value)| (name.into(), value.into()));
        let ours = [
            ("WINDLASS_TASK_ID", job.reference.id.as_str().into()),
            ("WINDLASS_QUEUE", job.reference.queue.as_str().into()),
            ("WINDLASS_ATTEMPT", job.attempt.to_string().into()),
            ("WINDLASS_WORKSPACE", workspace.into()),
        ];
        // The later ones win.
        Ok(passed.into_iter().chain(extra).chain(ours.map(|(name, value)| (name.into(), value))).collect())
    }

    /// The exit code if it means success, else the failure that it means.
    fn exit_code(&self, ended: &Ended) -> Result<i32, Failure> {
        let quoted = quoted(ended);
        let Some(code) = ended.status.code() else {
            let message = format!("the command was ended by {}{quoted}", ended.status);
            return Err(Failure::new(ErrorClass::ExitCode, message));
        };
        if self.options.success_exit_codes.contains(&code) {
            return Ok(code);
        }
        let failure = Failure::new(ErrorClass::ExitCode, format!("exit code {code}{quoted}"));
        let retry = self.options.retry_exit_codes.as_ref().is_none_or(|codes| codes.contains(&code));
        let fail = self.options.fail_exit_codes.contains(&code);
        Err(if fail || !retry { failure.permanent() } else { failure })
    }

    fn stdout(&self, bytes: &[u8]) -> Result<Box<RawValue>, Failure> {
        let parsed = || json::parse(bytes);
        match self.options.stdout {
            StdoutFormat::Text => json::text(bytes),
            StdoutFormat::Auto => parsed().map_or_else(|| json::text(bytes), Ok),
            StdoutFormat::Json => parsed()
                .ok_or_else(|| Failure::new(ErrorClass::MalformedOutput, "the command's stdout is not JSON")),
        }
    }
}

/// What commands see of the worker's environment: the usual variables, and those of `allow`.
pub(crate) fn inherited(allow: &[String]) -> BTreeMap<OsString, OsString> {
    let allowed = ENV.into_iter().chain(allow.iter().map(String::as_str));
    allowed.filter_map(|name| Some((name.into(), env::var_os(name)?))).collect()
}

/// What goes to standard input.
fn stdin(payload: &Payload, job: &Job) -> Result<Vec<u8>, Failure> {
    let Some(given) = &payload.stdin else {
        return task(job);
    };
    let text = serde_json::from_str::<String>(given.get());
    Ok(text.unwrap_or_else(|_| given.get().to_owned()).into_bytes())
}

fn task(job: &Job) -> Result<Vec<u8>, Failure> {
    let task = Task {
        id: job.reference.id.as_str(),
        queue: job.reference.queue.as_str(),
        kind: job.task_type.as_str(),
        attempt: job.attempt,
        payload: job.submitted(),
        metadata: job.metadata.as_deref(),
    };
    Ok(json::result(&task)?.get().as_bytes().to_owned())
}

/// What a limit has to do with it, and the end of standard error, where the reason stands.
fn quoted(ended: &Ended) -> String {
    let hint = ended.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("{hint}{}", end_of(&ended.stderr))
}

/// The end of standard error, where the reason stands.
pub(crate) fn end_of(stderr: &str) -> String {
    let text = stderr.trim();
    let start = text.char_indices().rev().nth(QUOTED - 1).map_or(0, |(at, _)| at);
    if text.is_empty() { String::new() } else { format!(": {}", &text[start..]) }
}

async fn collected(workspace: &Workspace, globs: GlobSet) -> Result<BTreeMap<String, String>, Failure> {
    let root = workspace.path().to_owned();
    blocking(move || collect(&root, &globs)).await
}

/// Work on files, away from the runtime's threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Failure::internal(format!("work on files broke off: {error}"))))
}

#[cfg(test)]
mod tests;
