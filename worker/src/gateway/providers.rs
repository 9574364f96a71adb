//! The providers that the configuration names, ready to be called.

use std::{collections::BTreeMap, sync::Arc};

use windlass_llm::{ApiKey, HttpProvider, Preset, Provider, ProviderOptions};
use windlass_shared::config::{Config, KeySpec, LimitSpec, ProviderSpec};

use super::{Served, ServedKey};

/// All providers that can be called, and those that cannot, with the reason.
pub(super) fn serve(
    config: &Config,
    faults: &mut Vec<String>,
) -> (BTreeMap<String, Served>, BTreeMap<String, String>) {
    let (mut served, mut unusable) = (BTreeMap::new(), BTreeMap::new());
    for spec in specs(config) {
        match provider(&spec) {
            Ok(provider) => {
                let keys = key_names(&spec);
                served.insert(spec.name.clone(), Served { provider, spec, keys });
            }
            Err(Unusable::Fault(why)) => faults.push(format!("providers.{}: {why}", spec.name)),
            Err(Unusable::Missing(why)) => {
                unusable.insert(spec.name.clone(), format!("provider {}: {why}", spec.name));
            }
            Err(Unusable::NoKey) => {
                let why = format!(
                    "provider {} has no key: set {}, or providers.{}.api_key_file in the worker's configuration",
                    spec.name,
                    spec.key_variables().first().unwrap_or(&"its key"),
                    spec.name
                );
                unusable.insert(spec.name.clone(), why);
            }
        }
    }
    (served, unusable)
}

/// Those of the file and the environment, the general service, and the model within the worker.
pub(crate) fn specs(config: &Config) -> Vec<ProviderSpec> {
    let mut specs: Vec<ProviderSpec> = config.providers.values().cloned().collect();
    let mut add = |spec: ProviderSpec| {
        if !specs.iter().any(|known| known.name == spec.name) {
            specs.push(spec);
        }
    };
    if let Some(base_url) = &config.llm.base_url {
        add(general(base_url, config.llm.api_key.as_ref()));
    }
    for (name, spec) in &config.types {
        if let Some(base_url) = &spec.llm.base_url {
            // A type with a server of its own never gets another server's key.
            let own = general(base_url, spec.llm.api_key.as_ref());
            add(ProviderSpec { name: of_type(name.as_str()), ..own });
        }
    }
    if let Some(path) = &config.llm.embedded_model {
        let spec = ProviderSpec::of_preset("embedded", "embedded");
        add(ProviderSpec { model_path: Some(path.clone()), ..spec });
    }
    specs
}

/// What the names of providers begin with that a type has for itself.
pub(super) const OF_TYPE: &str = "type:";

/// The name of the provider that a type has for itself.
pub(crate) fn of_type(task_type: &str) -> String {
    format!("{OF_TYPE}{task_type}")
}

/// The service of `llm.base_url`: known by its host, else a server of one's own.
fn general(base_url: &str, key: Option<&windlass_shared::config::Secret>) -> ProviderSpec {
    let host = reqwest::Url::parse(base_url).ok().and_then(|url| url.host_str().map(str::to_owned));
    let host = host.unwrap_or_default();
    let preset = Preset::ALL.into_iter().find(|preset| {
        preset.base_url().and_then(|url| reqwest::Url::parse(url).ok()).is_some_and(|url| {
            url.host_str() == Some(host.as_str()) && !matches!(preset, Preset::Local | Preset::Compatible)
        })
    });
    let (name, preset) = match preset {
        Some(preset) => (preset.as_str().to_owned(), preset.as_str()),
        // What runs on machines of one's own costs nothing a call; of any other server nothing is known.
        None if is_private(&host) => ("local".to_owned(), "local"),
        None => ("local".to_owned(), "compatible"),
    };
    let mut spec = ProviderSpec::of_preset(&name, preset);
    spec.base_url = Some(base_url.to_owned());
    spec.keys.extend(key.map(|value| KeySpec {
        name: "default".into(),
        value: value.clone(),
        organization: None,
        project: None,
        limits: LimitSpec::default(),
    }));
    spec
}

/// A host of one's own network, by its name or address.
fn is_private(host: &str) -> bool {
    match host.trim_matches(['[', ']']).parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Ok(std::net::IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local(),
        Err(_) => {
            !host.contains('.') || [".local", ".internal", ".lan"].iter().any(|end| host.ends_with(end))
        }
    }
}

enum Unusable {
    NoKey,
    /// This build or this machine lacks something.
    Missing(String),
    Fault(String),
}

fn provider(spec: &ProviderSpec) -> Result<Arc<dyn Provider>, Unusable> {
    if spec.preset == "embedded" {
        return embedded(spec);
    }
    if spec.keys.is_empty() && spec.needs_key() {
        return Err(Unusable::NoKey);
    }
    let preset: Preset =
        spec.preset.parse().map_err(|_| Unusable::Fault(format!("preset {:?} is not known", spec.preset)))?;
    let key = |key: &KeySpec| ApiKey {
        name: key.name.clone(),
        value: key.value.expose().to_owned(),
        organization: key.organization.clone(),
        project: key.project.clone(),
    };
    let options = ProviderOptions {
        base_url: spec.base_url.clone(),
        keys: spec.keys.iter().map(key).collect(),
        headers: spec.headers.clone(),
        connect_timeout: spec.connect_timeout,
        first_token_timeout: spec.first_token_timeout,
        idle_timeout: spec.idle_timeout,
        total_timeout: spec.total_timeout,
        max_answer: spec.max_answer,
        stream: spec.stream,
        ..ProviderOptions::new(spec.name.clone(), preset)
    };
    match HttpProvider::new(options) {
        Ok(provider) => Ok(Arc::new(provider)),
        Err(error) => Err(Unusable::Fault(error.to_string())),
    }
}

#[cfg(feature = "embedded")]
fn embedded(spec: &ProviderSpec) -> Result<Arc<dyn Provider>, Unusable> {
    let Some(path) = &spec.model_path else { return Err(Unusable::Fault("model_path is missing".into())) };
    match crate::embedded::EmbeddedProvider::new(&spec.name, path, spec.total_timeout) {
        Ok(provider) => Ok(Arc::new(provider)),
        Err(why) => Err(Unusable::Missing(why)),
    }
}

#[cfg(not(feature = "embedded"))]
fn embedded(_: &ProviderSpec) -> Result<Arc<dyn Provider>, Unusable> {
    Err(Unusable::Missing(
        "this worker was built without the embedded model: build it with `--features embedded`".into(),
    ))
}

/// The names that Redis knows the keys by: the given name and a few letters that change with the key.
fn key_names(spec: &ProviderSpec) -> Vec<ServedKey> {
    if spec.keys.is_empty() {
        return vec![ServedKey { name: "none".into(), limits: LimitSpec::default() }];
    }
    let name = |key: &KeySpec| {
        let hash =
            blake3::derive_key("windlass 2026 name of a provider's key", key.value.expose().as_bytes());
        format!("{}-{:02x}{:02x}{:02x}", key.name, hash[0], hash[1], hash[2])
    };
    spec.keys.iter().map(|key| ServedKey { name: name(key), limits: key.limits }).collect()
}
