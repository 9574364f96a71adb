//! Makes an executor from what the configuration says of a task type.

use std::sync::Arc;

use windlass_llm::{Endpoint, http_client};
use windlass_shared::config::{BUILT_IN, Config, Stdout, TypeSpec};

use crate::executor::{
    Executor,
    command::{CommandExecutor, CommandOptions, StdoutFormat},
    http::{HttpExecutor, HttpOptions},
    llm::{LlmExecutor, LlmOptions},
    noop::Noop,
    sleep::Sleep,
    template::TemplateExecutor,
};

/// The executor of a type, or why there is none.
pub(crate) fn build(spec: &TypeSpec, config: &Config) -> Result<Arc<dyn Executor>, String> {
    let executor: Arc<dyn Executor> = match spec.executor.as_str() {
        "noop" => Arc::new(Noop),
        "sleep" => Arc::new(Sleep),
        "command" => Arc::new(command(spec, config)),
        "http" => Arc::new(http(spec, config)?),
        "llm" => Arc::new(llm(spec, config)?),
        other => return Err(format!("executor {other:?} is not known: use one of {}", BUILT_IN.join(", "))),
    };
    match &spec.template {
        None => Ok(executor),
        Some(template) => TemplateExecutor::new(executor, template.clone())
            .map(|executor| Arc::new(executor) as Arc<dyn Executor>)
            .map_err(|failure| format!("template: {}", failure.message)),
    }
}

fn command(spec: &TypeSpec, config: &Config) -> CommandExecutor {
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
    })
}

fn http(spec: &TypeSpec, config: &Config) -> Result<HttpExecutor, String> {
    // What the type allows goes before what is allowed in general; an empty list allows any host.
    let hosts =
        [&spec.http.allow_hosts, &config.http.allow_hosts].into_iter().find(|hosts| !hosts.is_empty());
    let options = HttpOptions { allowed_hosts: hosts.cloned(), ..HttpOptions::default() };
    HttpExecutor::new(options).map_err(|error| error.to_string())
}

fn llm(spec: &TypeSpec, config: &Config) -> Result<LlmExecutor, String> {
    let (own, general) = (&spec.llm, &config.llm);
    // The general key belongs to the general server: a type with a server of its own never sends it there.
    let (base_url, api_key) = match &own.base_url {
        Some(base_url) => (Some(base_url), own.api_key.as_ref()),
        None => (general.base_url.as_ref(), own.api_key.as_ref().or(general.api_key.as_ref())),
    };
    let endpoint = base_url.map(|base_url| Endpoint {
        base_url: base_url.clone(),
        api_key: api_key.map(|key| key.expose().to_owned()),
        provider: provider(base_url),
    });
    let options = LlmOptions { endpoint, model: own.model.clone().or_else(|| general.model.clone()) };
    let http = http_client(reqwest::redirect::Policy::none()).map_err(|error| error.to_string())?;
    LlmExecutor::new(options, http).map_err(|error| error.to_string())
}

/// The host is the provider's name until the catalog of models gives better ones.
fn provider(base_url: &str) -> String {
    reqwest::Url::parse(base_url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}
