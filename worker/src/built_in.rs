//! Makes an executor from what the configuration says of a task type.

use std::sync::Arc;

use windlass_shared::{
    config::{BUILT_IN, Config, SandboxMode, Stdout, TypeSpec},
    model::Protection,
};

use crate::{
    executor::{
        Executor,
        command::{CommandExecutor, CommandOptions, StdoutFormat},
        http::{Guard, HttpExecutor, HttpOptions},
        llm::{LlmExecutor, Unusable},
        noop::Noop,
        sleep::Sleep,
        template::TemplateExecutor,
    },
    gateway::{Gateway, breaker_rule},
    sandbox::{Host, Sandbox},
};

/// Why there is no executor for a type.
pub(crate) enum NotBuilt {
    /// The configuration is wrong.
    Faults(Vec<String>),
    /// This node lacks something that another may have, such as a key.
    Unavailable(String),
}

/// The executor of a type, or why there is none.
pub(crate) fn build(
    name: &str,
    spec: &TypeSpec,
    config: &Config,
    gateway: &Arc<Gateway>,
    host: &Host,
) -> Result<Arc<dyn Executor>, NotBuilt> {
    let fault = |why: String| NotBuilt::Faults(vec![why]);
    let executor: Arc<dyn Executor> = match spec.executor.as_str() {
        "noop" => Arc::new(Noop),
        "sleep" => Arc::new(Sleep),
        "command" => Arc::new(command(spec, config, host)),
        "http" => Arc::new(http(spec, config, gateway).map_err(fault)?),
        "llm" => match LlmExecutor::new(Arc::clone(gateway), name, spec, config, host) {
            Ok(executor) => Arc::new(executor),
            Err(Unusable::Faults(faults)) => return Err(NotBuilt::Faults(faults)),
            Err(Unusable::NoProvider(why)) => return Err(NotBuilt::Unavailable(why)),
        },
        other => {
            return Err(fault(format!(
                "executor {other:?} is not known: use one of {}",
                BUILT_IN.join(", ")
            )));
        }
    };
    match &spec.template {
        None => Ok(executor),
        Some(template) => TemplateExecutor::new(executor, template.clone())
            .map(|executor| Arc::new(executor) as Arc<dyn Executor>)
            .map_err(|failure| fault(format!("template: {}", failure.message))),
    }
}

/// What keeps this node from offering a type: protections that it needs and that are not enforced here.
pub(crate) fn unprotected(spec: &TypeSpec, config: &Config, host: &Host) -> Option<String> {
    let settings = config.sandbox.for_type(&spec.sandbox);
    let mut needed = spec.sandbox.require.clone();
    let pipeline = spec.llm.pipeline.is_some();
    if settings.mode == SandboxMode::Required && (spec.executor == "command" || pipeline) {
        needed.extend([Protection::Files, Protection::Limits, Protection::Processes, Protection::Privileges]);
        if !settings.network.unwrap_or(!pipeline) {
            needed.push(Protection::Network);
        }
    }
    if settings.mode == SandboxMode::Off && !needed.is_empty() {
        return Some("it requires protections, and its sandbox.mode is off".to_owned());
    }
    needed.sort_unstable();
    needed.dedup();
    let lacking = host.lacks(&needed)?;
    Some(format!("it requires protections that this host does not enforce: {lacking}"))
}

fn command(spec: &TypeSpec, config: &Config, host: &Host) -> CommandExecutor {
    let said = &spec.command;
    CommandExecutor::new(CommandOptions {
        env_allow: said.env_allow.clone(),
        success_exit_codes: said.success_exit_codes.clone(),
        retry_exit_codes: said.retry_exit_codes.clone(),
        fail_exit_codes: said.fail_exit_codes.clone(),
        stdout: match said.stdout {
            Stdout::Auto => StdoutFormat::Auto,
            Stdout::Json => StdoutFormat::Json,
            Stdout::Text => StdoutFormat::Text,
        },
        max_output: said.max_output,
        workspace_root: config.worker.workspace.clone(),
        sandbox: Sandbox::new(config.sandbox.for_type(&spec.sandbox), host),
    })
}

fn http(spec: &TypeSpec, config: &Config, gateway: &Arc<Gateway>) -> Result<HttpExecutor, String> {
    // What the type allows goes before what is allowed in general; an empty list allows any host.
    let hosts =
        [&spec.http.allow_hosts, &config.http.allow_hosts].into_iter().find(|hosts| !hosts.is_empty());
    let options = HttpOptions { allowed_hosts: hosts.cloned(), ..HttpOptions::default() };
    let executor = HttpExecutor::new(options).map_err(|error| error.to_string())?;
    Ok(executor.guarded(Guard::new(Arc::clone(gateway), breaker_rule(config))))
}
