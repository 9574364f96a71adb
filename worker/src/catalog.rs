//! The task types that this node knows, each with what runs it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use windlass_shared::{
    config::{Config, TypeSpec},
    model::{TaskRecord, retry::RetryPolicy, time::parse_duration},
};

use crate::{
    built_in::{self, NotBuilt},
    executor::Executor,
    gateway::Gateway,
    sandbox::Host,
};

/// A task type.
pub(crate) struct Known {
    pub(crate) executor: Arc<dyn Executor>,
    timeout: Duration,
    /// Longest silence of an attempt, if there is one.
    pub(crate) progress_deadline: Option<Duration>,
    policy: RetryPolicy,
}

/// The task types of a node.
pub(crate) struct Catalog {
    types: HashMap<String, Known>,
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.types.keys()).finish()
    }
}

impl Catalog {
    /// Types from the configuration, and handlers of the program (which win). All faults are told at once.
    pub(crate) fn new(
        config: &Config,
        handlers: BTreeMap<String, Arc<dyn Executor>>,
        gateway: &Arc<Gateway>,
        host: &Host,
    ) -> Result<Self, Vec<String>> {
        let mut types: HashMap<String, Known> = HashMap::new();
        let mut faults = Vec::new();
        for name in config.type_names() {
            let Some(spec) = config.type_spec(&name) else { continue };
            match built_in::build(name.as_str(), &spec, config, gateway, host) {
                Ok(executor) => drop(types.insert(name.to_string(), Known::new(executor, &spec, config))),
                // A machine without CA certificates still runs what needs none; only what was asked for is a fault.
                Err(NotBuilt::Faults(why)) if !config.types.contains_key(&name) => {
                    let why = why.join("; ");
                    tracing::warn!(r#type = %name, %why, "this node does not offer a built-in type");
                }
                Err(NotBuilt::Unavailable(why)) => {
                    tracing::error!(r#type = %name, %why, "this node does not offer a type; the others run");
                }
                Err(NotBuilt::Faults(why)) => {
                    faults.extend(why.into_iter().map(|why| format!("types.{name}: {why}")));
                }
            }
        }
        types.retain(|name, _| {
            let spec = name.parse().ok().and_then(|name| config.type_spec(&name));
            let why = spec.and_then(|spec| built_in::unprotected(&spec, config, host));
            if let Some(why) = &why {
                tracing::error!(r#type = name, why, "this node does not offer a type; the others run");
            }
            why.is_none()
        });
        for (name, executor) in handlers {
            let spec = name
                .parse()
                .ok()
                .and_then(|name| config.type_spec(&name))
                .unwrap_or_else(|| TypeSpec::of_executor(&name));
            types.insert(name, Known::new(executor, &spec, config));
        }
        if faults.is_empty() { Ok(Self { types }) } else { Err(faults) }
    }

    pub(crate) fn get(&self, task_type: &str) -> Option<&Known> {
        self.types.get(task_type)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.types.keys().map(String::as_str)
    }
}

impl Known {
    fn new(executor: Arc<dyn Executor>, spec: &TypeSpec, config: &Config) -> Self {
        Self {
            executor,
            timeout: spec.timeout.unwrap_or(config.worker.timeout),
            progress_deadline: spec.progress_deadline,
            policy: spec.retry_policy(),
        }
    }

    /// What the task says goes before what its type says.
    pub(crate) fn timeout(&self, task: &TaskRecord) -> Duration {
        task.options.timeout_ms.map_or(self.timeout, Duration::from_millis)
    }

    /// What the task says goes before what its type says.
    pub(crate) fn policy(&self, task: &TaskRecord) -> RetryPolicy {
        let mut policy = self.policy.clone();
        if let Some(most) = task.options.max_attempts {
            policy.max_attempts = most;
        }
        if let Some(retry) = &task.options.retry {
            let read = |text: &Option<String>| text.as_deref().and_then(|text| parse_duration(text).ok());
            policy.base = read(&retry.base).unwrap_or(policy.base);
            policy.cap = read(&retry.cap).unwrap_or(policy.cap);
            policy.classes.extend(retry.classes.iter().map(|(class, wanted)| (class.clone(), *wanted)));
        }
        policy
    }
}
