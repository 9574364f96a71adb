//! The configuration of both programs: defaults, then a TOML file, then the environment, then the command line.
//!
//! [`SETTINGS`] is the one list of what can be set. Reading is strict and complete: an unknown key is a fault, and
//! all faults are told at once. Nothing here prints a secret.

mod env;
mod fault;
mod file;
mod kind;
mod layers;
mod list;
mod llm;
pub mod pipeline;
mod providers;
mod redact;
mod reference;
mod sandbox;
mod secret;
mod sections;
mod setting;
mod settings;
mod sources;
#[cfg(test)]
mod tests;
mod tokens;
mod type_settings;
mod types;
mod value;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use crate::model::{Namespace, TypeName};

use self::{file::ConfigFile, layers::Values};

pub use self::{
    fault::ConfigFaults,
    kind::{Check, Kind},
    llm::{BreakerSettings, CacheKind, LlmSettings, LlmTypeSettings},
    pipeline::PipelineSpec,
    providers::{
        BUDGET_SETTINGS, BudgetSpec, KEY_SETTINGS, KeySpec, LimitSpec, PRESETS, PROVIDER_SETTINGS,
        ProviderSpec, check_budget_scope, dollars,
    },
    redact::redact_url,
    reference::reference_markdown,
    sandbox::{SandboxMode, SandboxOfType, SandboxSettings},
    secret::{Secret, Url},
    sections::{
        ClaimCheckSettings, HttpSettings, KubernetesSettings, LogSettings, MetricsSettings, RedisSettings,
        SealingSettings, ServeSettings, SubmitSettings, WorkerSettings,
    },
    setting::{Setting, Who},
    settings::SETTINGS,
    sources::{Flag, Sources},
    tokens::{Role, TOKEN_SETTINGS, TokenHash, TokenSpec, check_token_name, new_token, read_tokens_file},
    type_settings::TYPE_SETTINGS,
    types::{BUILT_IN, CommandOptions, Stdout, TypeSpec},
};

/// The services that belong to variables of other tools.
const IMPLIED_BASE_URLS: [(&str, &str); 2] =
    [("OPENROUTER_API_KEY", "https://openrouter.ai/api/v1"), ("OPENAI_API_KEY", "https://api.openai.com/v1")];

/// The configuration, checked and typed.
#[derive(Debug, Clone)]
pub struct Config {
    /// How Redis is reached.
    pub redis: RedisSettings,
    /// What is encrypted before it reaches Redis.
    pub sealing: SealingSettings,
    /// What is kept in an object store instead of Redis.
    pub claim_check: ClaimCheckSettings,
    /// First part of every key in Redis.
    pub namespace: Namespace,
    /// Who acts, for the operators' log.
    pub operator: Option<String>,
    /// What is logged, and how.
    pub log: LogSettings,
    /// What a worker tells the cluster that it runs in.
    pub kubernetes: KubernetesSettings,
    /// Who is told the metrics.
    pub metrics: MetricsSettings,
    /// How tasks are submitted.
    pub submit: SubmitSettings,
    /// How the HTTP API and the web page are served.
    pub serve: ServeSettings,
    /// How a worker works.
    pub worker: WorkerSettings,
    /// What `http` tasks may do.
    pub http: HttpSettings,
    /// What commands may do.
    pub sandbox: SandboxSettings,
    /// The files that were read: configuration and secrets. Commands must not see them.
    pub files: Vec<PathBuf>,
    /// How `llm` tasks use models.
    pub llm: LlmSettings,
    /// When models and hosts that fail are left alone.
    pub breaker: BreakerSettings,
    /// The providers that the file declares, and those whose keys the environment holds.
    pub providers: BTreeMap<String, ProviderSpec>,
    /// The budgets that the file declares.
    pub budgets: Vec<BudgetSpec>,
    /// Who may use the HTTP API.
    pub tokens: Vec<TokenSpec>,
    /// The task types that the file declares. [`Config::type_spec`] knows the built-in ones too.
    pub types: BTreeMap<TypeName, TypeSpec>,
    /// What is probably not meant, for the log.
    pub warnings: Vec<String>,
    values: Values,
}

/// A setting as it is in force.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Effective {
    /// Its key.
    pub key: &'static str,
    /// What it holds, as text and without secrets; empty if nothing.
    pub value: String,
    /// Where that came from: `default`, the path of the file, a variable or a flag.
    pub origin: String,
}

impl Config {
    /// Reads the configuration, or says everything that is wrong with it.
    pub fn load(sources: Sources) -> Result<Self, ConfigFaults> {
        let Sources { file, env, flags, who } = sources;
        let mut faults = Vec::new();
        let file = file.and_then(|path| ConfigFile::read(&path, &mut faults));
        let mut values = Values::defaults(&SETTINGS);
        for entry in file.iter().flat_map(|file| file.entries(&mut faults)).collect::<Vec<_>>() {
            values.apply(entry, &mut faults);
        }
        let mut later = env::entries(&env, &mut faults);
        let mut warnings = env::near_misses(&env);
        warnings.extend(env::replaced_secrets(&values, &later));
        later.extend(env::flag_entries(flags, &mut faults));
        for entry in later {
            values.apply(entry, &mut faults);
        }
        values.read_secrets(who, &mut faults);
        let own_service = values.get::<Option<String>>("llm.base_url").is_some();
        imply_base_url(&mut values);
        let mut providers = providers::read(file.as_ref(), &env, who, &mut faults);
        // With a service of one's own, a key in the environment may be there by chance.
        if !own_service {
            for implied in providers::implied(&env) {
                providers.entry(implied.name.clone()).or_insert(implied);
            }
        }
        let budgets = providers::read_budgets(file.as_ref(), who, &mut faults);
        let tokens = tokens::read(file.as_ref(), who, &mut faults);
        let files = private_files(file.as_ref(), &env);
        let types = file.map(|file| types::read(&file, who, &mut faults)).unwrap_or_default();
        let sealing = SealingSettings::from_values(&values, &mut faults);
        if faults.is_empty() {
            let declared = Self::from_values(values);
            Ok(Self { sealing, files, providers, budgets, tokens, types, warnings, ..declared })
        } else {
            Err(ConfigFaults(faults))
        }
    }

    fn from_values(values: Values) -> Self {
        Self {
            redis: RedisSettings::from_values(&values),
            sealing: SealingSettings::default(),
            claim_check: ClaimCheckSettings::from_values(&values),
            namespace: values.get("namespace"),
            operator: values.get("operator"),
            log: LogSettings::from_values(&values),
            kubernetes: KubernetesSettings::from_values(&values),
            metrics: MetricsSettings::from_values(&values),
            submit: SubmitSettings::from_values(&values),
            serve: ServeSettings::from_values(&values),
            worker: WorkerSettings::from_values(&values),
            http: HttpSettings::from_values(&values),
            sandbox: SandboxSettings::from_values(&values),
            files: Vec::new(),
            llm: LlmSettings::from_values(&values),
            breaker: BreakerSettings::from_values(&values),
            types: BTreeMap::new(),
            providers: BTreeMap::new(),
            budgets: Vec::new(),
            tokens: Vec::new(),
            warnings: Vec::new(),
            values,
        }
    }

    /// The settings that concern `program`, as they are in force.
    pub fn effective(&self, program: Who) -> Vec<Effective> {
        let effective = |setting: &Setting| {
            let given = self.values.given(setting.key);
            Effective { key: setting.key, value: given.shown.clone(), origin: given.origin.clone() }
        };
        SETTINGS.iter().filter(|setting| setting.who.concerns(program)).map(effective).collect()
    }

    /// What is known about a task type: what the file declares, else what is built in.
    pub fn type_spec(&self, name: &TypeName) -> Option<TypeSpec> {
        let built_in = || BUILT_IN.contains(&name.as_str()).then(|| TypeSpec::of_executor(name.as_str()));
        self.types.get(name).cloned().or_else(built_in)
    }

    /// The names of all types, declared and built in.
    pub fn type_names(&self) -> BTreeSet<TypeName> {
        let built_in = BUILT_IN.iter().filter_map(|name| TypeName::new(name).ok());
        self.types.keys().cloned().chain(built_in).collect()
    }
}

/// The files that a configuration is made of, and those that it takes secrets from.
fn private_files(file: Option<&ConfigFile>, env: &BTreeMap<String, String>) -> Vec<PathBuf> {
    let named = env.iter().filter(|(name, path)| name.ends_with("_FILE") && !path.is_empty());
    let named = named.map(|(_, path)| PathBuf::from(path));
    file.map(ConfigFile::private_files).into_iter().flatten().chain(named).collect()
}

/// A key from another tool's variable is for that tool's service, unless one was named.
fn imply_base_url(values: &mut Values) {
    let origin = values.given("llm.api_key").origin.clone();
    let implied = IMPLIED_BASE_URLS.iter().find(|(variable, _)| *variable == origin);
    if let (Some((_, url)), None) = (implied, values.get::<Option<String>>("llm.base_url")) {
        values.imply("llm.base_url", url, origin);
    }
}
