//! Commands of a pipeline: stages, hooks, validators and the tests that are produced.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;
use serde_json::Value;
use tokio::time::timeout;
use windlass_shared::{
    config::pipeline::{CommandSpec, Directory},
    model::{ErrorClass, time::human},
};

use super::{Draft, Env, redact, template::Template};
use crate::{
    executor::{
        Failure,
        command::end_of,
        process::{self, Ended},
    },
    sandbox::{self, Author, Policy},
};

/// Most bytes that a command may write to stdout.
pub(super) const MAX_OUTPUT: usize = 4 << 20;

/// A command whose arguments are templates that compile.
#[derive(Debug)]
pub(super) struct Program {
    argv: Vec<Template>,
    env: BTreeMap<String, String>,
    timeout: Option<Duration>,
    directory: Directory,
    /// What the program needs, where the configuration names it by its path.
    folders: Vec<PathBuf>,
    /// Who wrote what it runs; a hook, which only tells others what happens, is not shut in.
    pub(super) author: Option<Author>,
}

impl Program {
    /// Of these parts, in this folder.
    pub(super) fn new(
        argv: &[String],
        env: &BTreeMap<String, String>,
        timeout: Option<Duration>,
        directory: Directory,
    ) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let mut templates = Vec::new();
        for (index, text) in argv.iter().enumerate() {
            match Template::new(text) {
                Ok(template) => templates.push(template),
                Err(fault) => faults.push(format!("argv[{index}]: {fault}")),
            }
        }
        for name in env.keys().filter(|name| name.is_empty() || name.contains(['=', '\0'])) {
            faults.push(format!("env: {name:?} is not the name of a variable"));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        // A name that is made of what a task or a model says gives nobody access.
        let fixed = argv.first().filter(|name| !name.contains('{'));
        let folders = fixed.map(|name| sandbox::of_program(name)).unwrap_or_default();
        Ok(Self {
            argv: templates,
            env: env.clone(),
            timeout,
            directory,
            folders,
            author: Some(Author::Person),
        })
    }

    /// Of a stage or hook, which run in the source folder unless they say otherwise.
    pub(super) fn of_spec(spec: &CommandSpec) -> Result<Self, Vec<String>> {
        let directory = spec.directory.unwrap_or(Directory::Source);
        Self::new(&spec.argv, &spec.env, spec.timeout, directory)
    }

    /// The program and its arguments for this draft.
    pub(super) fn argv(&self, draft: &Draft, env: &Env) -> Result<Vec<String>, Failure> {
        let mut scope = draft.scope();
        let path = |path: &Path| Value::from(path.to_string_lossy().into_owned());
        scope.insert("workspace".into(), path(env.workspace));
        scope.insert("source".into(), env.source.map_or(Value::Null, path));
        self.argv.iter().map(|part| part.render("`argv`", &scope)).collect()
    }

    /// Runs it to its end, whatever its exit code. Dropping the future kills it and all that it started.
    pub(super) async fn run(&self, draft: &Draft, stdin: &[u8], env: &Env<'_>) -> Result<Ended, Failure> {
        let argv = self.argv(draft, env)?;
        self.run_as(&argv, stdin, env).await
    }

    /// The same with other arguments.
    pub(super) async fn run_as(
        &self,
        argv: &[String],
        stdin: &[u8],
        env: &Env<'_>,
    ) -> Result<Ended, Failure> {
        let program = process::Program {
            argv,
            env: self.environment(env),
            directory: match self.directory {
                Directory::Source => env.source.unwrap_or(env.workspace),
                Directory::Workspace => env.workspace,
            },
            stdin,
            max_output: MAX_OUTPUT,
            sandbox: self.policy(env),
        };
        let limit = self.timeout.unwrap_or(env.timeout);
        timeout(limit, process::run(&program, env.progress)).await.unwrap_or_else(|_| {
            let name = argv.first().map_or("", String::as_str);
            let message = format!("{name:?} took longer than {} and was ended", human(limit));
            Err(Failure::new(ErrorClass::Timeout, message))
        })
    }

    fn policy(&self, env: &Env) -> Option<Policy> {
        let mut policy = env.sandbox.policy(self.author?, env.workspace, env.source)?;
        policy.read.extend(self.folders.iter().cloned());
        Some(policy)
    }

    fn environment(&self, env: &Env) -> BTreeMap<std::ffi::OsString, std::ffi::OsString> {
        let mut variables = env.environment.clone();
        if self.author.is_some() {
            env.sandbox.at_home_in(env.workspace, &mut variables);
        }
        // A repaired file may have the size and the second of the one before it, which is how Python knows what it
        // compiled already.
        variables.insert("PYTHONDONTWRITEBYTECODE".into(), "1".into());
        variables.extend(self.env.iter().map(|(name, value)| (name.into(), value.into())));
        variables.insert("WINDLASS_WORKSPACE".into(), env.workspace.into());
        if let Some(source) = env.source {
            variables.insert("WINDLASS_SOURCE".into(), source.into());
        }
        variables
    }
}

/// JSON for a command to read.
pub(super) fn json(value: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(value)
        .map_err(|error| Failure::internal(format!("a draft cannot be written: {error}")))
}

/// How a command ended, and the end of what it said on standard error, without secrets.
pub(super) fn ending(ended: &Ended) -> String {
    let how = match ended.status.code() {
        Some(code) => format!("exit code {code}"),
        None => format!("ended by {}", ended.status),
    };
    let hint = ended.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("{how}{hint}{}", end_of(&redact::clean(&ended.stderr)))
}
