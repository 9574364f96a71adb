//! The way from a request to an answer: which models may answer (the selector), which of them may be called now
//! (limits, breakers, budgets: one question to Redis), the call, and what the fleet learns from it (one report).
//!
//! There is one authority on retries here, and one list of calls for a task ([`ledger`]): a provider's client never
//! retries, and the task's own policy decides only when no model could answer.

mod call;
mod candidates;
pub(crate) mod embed;
mod hash;
pub(crate) mod ledger;
mod live;
mod providers;
pub(crate) mod refresh;
mod report;
mod run;
mod semantic;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use tokio_util::task::TaskTracker;
use windlass_llm::{
    Catalog, Model, Provider,
    select::{Availability, Mode, Requirements, State as Usable},
};
use windlass_shared::{
    config::{BudgetSpec, CacheKind, Config, LimitSpec, LlmSettings, ProviderSpec},
    model::ErrorClass,
    store::{BreakerRule, BudgetRule, Gate, OnLimit},
};

use crate::executor::Failure;

pub(crate) use call::{Answered, Call, Who};
pub(crate) use ledger::Ledger;
use providers::OF_TYPE;
pub(crate) use providers::of_type;

/// A provider that can be called, with what the configuration says of it.
pub(crate) struct Served {
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) spec: ProviderSpec,
    /// Names of its keys as Redis knows them. A new key has a new name, so what is said of the old one is not held
    /// against it.
    pub(crate) keys: Vec<ServedKey>,
}

pub(crate) struct ServedKey {
    pub(crate) name: String,
    pub(crate) limits: LimitSpec,
}

/// The gateway of a node.
pub(crate) struct Gateway {
    served: BTreeMap<String, Served>,
    /// Providers that cannot be called, and why.
    unusable: BTreeMap<String, String>,
    /// The built-in catalog and the file's.
    base: Catalog,
    /// The same with what providers list.
    catalog: RwLock<Arc<Catalog>>,
    /// Models that no list names, but tasks.
    unlisted: Mutex<BTreeSet<String>>,
    /// Providers whose list of models was read.
    listed: Mutex<BTreeSet<String>>,
    gate: OnceLock<Gate>,
    live: live::LiveCache,
    semantic: semantic::SemanticCache,
    /// What compares requests for the semantic cache; without it nothing is found and nothing kept.
    encoder: OnceLock<embed::Encoder>,
    flights: call::Flights,
    /// What Redis is told beside the work.
    pub(crate) reports: TaskTracker,
    pub(crate) settings: LlmSettings,
    rule: BreakerRule,
    budgets: Vec<BudgetRule>,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("providers", &self.served.keys()).finish_non_exhaustive()
    }
}

/// The breaker as the configuration wants it; one that is switched off never opens, and another node's is passed.
pub(crate) fn breaker_rule(config: &Config) -> BreakerRule {
    if !config.breaker.enabled {
        return BreakerRule { threshold: u32::MAX, recovery: Duration::ZERO, probes: u32::MAX };
    }
    let settings = &config.breaker;
    BreakerRule { threshold: settings.threshold, recovery: settings.recovery, probes: settings.probes }
}

impl Gateway {
    /// A gateway as the configuration wants it. Speaks to nobody yet; faults are all told at once.
    pub(crate) fn new(config: &Config) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let base = catalog(config).unwrap_or_else(|more| {
            faults.extend(more);
            Catalog::default()
        });
        let (served, unusable) = providers::serve(config, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        let gateway = Self {
            served,
            unusable,
            catalog: RwLock::new(Arc::new(base.clone())),
            unlisted: Mutex::default(),
            base,
            gate: OnceLock::new(),
            live: live::LiveCache::default(),
            semantic: semantic::SemanticCache::new(&config.llm),
            encoder: OnceLock::new(),
            listed: Mutex::default(),
            flights: call::Flights::default(),
            reports: TaskTracker::new(),
            settings: config.llm.clone(),
            rule: breaker_rule(config),
            budgets: config.budgets.iter().map(budget).collect(),
        };
        if let Err(why) = gateway.choose_embeddings() {
            tracing::warn!(%why, "requests are not compared: the semantic cache finds nothing (setting llm.embeddings)");
        }
        Ok(gateway)
    }

    /// What compares requests for the semantic cache.
    fn choose_embeddings(&self) -> Result<(), String> {
        let chosen = self.settings.embeddings.as_str();
        if chosen == "built-in" {
            #[cfg(feature = "embedded")]
            self.encode_with(embed::Encoder::BuiltIn(Arc::new(crate::embedded::BuiltInEmbed::default())));
            #[cfg(not(feature = "embedded"))]
            if self.settings.cache == CacheKind::Semantic {
                return Err("this worker was built without an encoder: name PROVIDER/MODEL".into());
            }
            return Ok(());
        }
        let (provider, _) = chosen.split_once('/').ok_or("use `built-in`, or PROVIDER/MODEL")?;
        if !self.served.contains_key(provider) {
            let why = self.unusable.get(provider).map_or("it is not configured", String::as_str);
            return Err(format!("provider {provider} cannot be called: {why}"));
        }
        self.encode_with(embed::Encoder::Model(chosen.to_owned()));
        Ok(())
    }

    fn encode_with(&self, encoder: embed::Encoder) {
        _ = self.encoder.set(encoder);
    }

    /// Gives it the fleet's part of Redis. Before that every call fails.
    pub(crate) fn connect(&self, gate: Gate) {
        _ = self.gate.set(gate);
    }

    pub(crate) fn gate(&self) -> Result<&Gate, Failure> {
        self.gate.get().ok_or_else(|| Failure::internal("the gateway to models is not connected yet"))
    }

    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tokens that a request may have: the largest window among the models that may answer, less the answer's part.
    pub(crate) fn room(&self, need: &Requirements, max_tokens: Option<u32>) -> Option<usize> {
        let catalog = self.catalog();
        let names = self.provider_names();
        let named: Vec<&str> = need
            .models
            .iter()
            .filter_map(|name| catalog.find_among(name, &names).ok())
            .map(|model| model.id.as_str())
            .collect();
        let may = |model: &&Model| {
            self.served.contains_key(&model.provider)
                && (need.models.is_empty() || named.contains(&model.id.as_str()))
        };
        let model = catalog.models().filter(may).max_by_key(|model| model.context)?;
        let answer = max_tokens.or(model.max_output).unwrap_or(4096).min(model.context / 4);
        usize::try_from(model.context - answer).ok()
    }

    /// Waits a moment for Redis to answer what it was told last, before the worker ends.
    pub(crate) async fn told(&self) {
        self.reports.close();
        if tokio::time::timeout(LAST_WORDS, self.reports.wait()).await.is_err() {
            tracing::warn!("what was told of calls is not confirmed; their reservations may have to lapse");
        }
    }

    /// Tells the fleet what validation thought of an answer (score, and whether it passed), and that one was known.
    pub(crate) fn judged(
        &self,
        who: &Who,
        answered: &Answered,
        score: Option<(f64, bool)>,
        ledger: &mut Ledger,
    ) {
        let hit = answered.known;
        let Ok(gate) = self.gate() else { return };
        if score.is_some() || hit {
            ledger.report(report::judged(gate.clone(), who.clone(), answered.clone(), score, hit));
        }
    }

    /// A newer catalog, with what these providers list; models that no list names stay known.
    fn set_catalog(&self, mut catalog: Catalog, listed: impl Iterator<Item = String>) {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner).extend(listed);
        let unlisted = self.unlisted.lock().unwrap_or_else(PoisonError::into_inner);
        for id in unlisted.iter().filter(|id| catalog.get(id).is_none()).cloned().collect::<Vec<_>>() {
            _ = self.add_unlisted(&mut catalog, &id);
        }
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(catalog);
    }

    /// The names of the providers that can be called.
    pub(crate) fn provider_names(&self) -> Vec<String> {
        self.served.keys().cloned().collect()
    }

    /// The providers that any task may use: not the server that a type has for itself.
    pub(crate) fn common_providers(&self) -> Vec<String> {
        self.provider_names().into_iter().filter(|name| !name.starts_with(OF_TYPE)).collect()
    }

    /// Why nothing can be called, if so.
    pub(crate) fn nothing_to_call(&self) -> Option<String> {
        self.served.is_empty().then(|| {
            let why: Vec<&str> = self.unusable.values().map(String::as_str).collect();
            let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join("; ")) };
            format!(
                "no provider of models is configured{why}: set OPENAI_API_KEY, OPENROUTER_API_KEY or ANTHROPIC_API_KEY, \
                 or WINDLASS_LLM_BASE_URL for a server such as Ollama, or WINDLASS_EMBEDDED_MODEL, or declare \
                 [providers.NAME] in the worker's configuration"
            )
        })
    }

    /// Why none of these models can be called (of all, if there are none), if so.
    pub(crate) fn none_of(&self, route: &[String]) -> Option<String> {
        let catalog = self.catalog();
        let mut whys = Vec::new();
        for name in route {
            let id = self.named(name).ok()?;
            match catalog.find_among(&id, &self.provider_names()).ok().map(|model| self.state(model)) {
                Some(Usable::NoProvider { why }) => whys.push(why),
                _ => return None,
            }
        }
        whys.dedup();
        if whys.is_empty() { self.nothing_to_call() } else { Some(whys.join("; ")) }
    }

    pub(crate) fn unusable(&self) -> &BTreeMap<String, String> {
        &self.unusable
    }

    /// The model that a task or a type names, as the catalog knows it. A server of one's own may serve any model, so
    /// one that its provider is named with need not be in the catalog.
    pub(crate) fn named(&self, name: &str) -> Result<String, Failure> {
        let catalog = self.catalog();
        let names = self.provider_names();
        let known = catalog.find_among(name, &names).map(|model| (model.id.clone(), model.provider.clone()));
        // The name as it was given, since it may name a version.
        if let Ok((_, provider)) = &known
            && self.served.contains_key(provider)
        {
            return Ok(name.to_owned());
        }
        if let Some(id) = self.own(name) {
            self.admit_unlisted(&id)?;
            return Ok(id);
        }
        match known {
            // Known but not callable: the ranking tells why.
            Ok(_) => Ok(name.to_owned()),
            Err(unknown) => Err(match self.still_to_list(name) {
                Some(provider) => {
                    let message = format!("{unknown}; and {provider} has not told yet which models it has");
                    Failure::new(ErrorClass::Connection, message).wait(LISTED_SOON)
                }
                None => Failure::bad_request(unknown.to_string()),
            }),
        }
    }

    /// The provider of this model, if what it lists is not known yet.
    fn still_to_list(&self, name: &str) -> Option<String> {
        let (provider, _) = name.split_once('/')?;
        let lists = self.served.get(provider).is_some_and(|served| served.spec.list_models);
        let read = self.listed.lock().unwrap_or_else(PoisonError::into_inner).contains(provider);
        (lists && !read).then(|| provider.to_owned())
    }

    /// The catalog's name of a model of a server of one's own.
    fn own(&self, name: &str) -> Option<String> {
        let open = |provider: &str| {
            self.served
                .get(provider)
                .is_some_and(|s| ["local", "compatible"].contains(&s.spec.preset.as_str()))
        };
        if let Some((provider, rest)) = name.split_once('/')
            && open(provider)
            && !rest.is_empty()
        {
            return Some(name.to_owned());
        }
        let names_another = name.split_once('/').is_some_and(|(provider, _)| {
            self.served.contains_key(provider) || self.unusable.contains_key(provider)
        });
        if names_another {
            return None;
        }
        let mut own = self.served.keys().filter(|provider| open(provider));
        match (own.next(), own.next()) {
            (Some(only), None) => Some(format!("{only}/{name}")),
            _ => None,
        }
    }

    /// Takes up a model that no list names, with little known of it.
    fn admit_unlisted(&self, id: &str) -> Result<(), Failure> {
        if self.catalog().get(id).is_some() {
            return Ok(());
        }
        // The lock is held while the catalog changes, so that two changes do not lose one.
        let mut unlisted = self.unlisted.lock().unwrap_or_else(PoisonError::into_inner);
        if unlisted.len() >= MOST_UNLISTED {
            return Err(Failure::bad_request(format!(
                "model {id:?} is in no list, and neither are {MOST_UNLISTED} others that were asked for: add it to the catalog (llm.catalog)"
            )));
        }
        let mut catalog = Catalog::clone(&self.catalog());
        self.add_unlisted(&mut catalog, id)
            .map_err(|faults| Failure::bad_request(format!("model {id:?}: {}", faults.join("; "))))?;
        unlisted.insert(id.to_owned());
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(catalog);
        Ok(())
    }

    fn add_unlisted(&self, catalog: &mut Catalog, id: &str) -> Result<(), Vec<String>> {
        let key = serde_json::to_string(id).unwrap_or_default();
        let provider = id.split('/').next().unwrap_or_default();
        let is_local = self.served.get(provider).is_some_and(|served| served.spec.preset == "local");
        // What it cannot do is the server's to say; what runs on one's own machines costs nothing a call.
        let price = if is_local { "price = \"free\"\n" } else { "" };
        let abilities = "capabilities = [\"json\", \"schema\", \"streaming\", \"tools\"]";
        let text = format!("[models.{key}]\ncontext = {UNLISTED_CONTEXT}\n{abilities}\n{price}");
        catalog.merge(windlass_llm::catalog::Entries::from_toml(&text, "task")?)
    }
}

/// A worker that ends waits so long for Redis to hear of its last calls.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A task that names a model of a provider whose list is not known yet comes again.
const LISTED_SOON: Duration = Duration::from_secs(5);

/// More names that no list has are nobody's models.
const MOST_UNLISTED: usize = 1000;

/// What is assumed of a model that no list names; a longer request is the server's to refuse.
const UNLISTED_CONTEXT: u32 = 128_000;

impl Availability for Gateway {
    fn state(&self, model: &Model) -> Usable {
        if self.served.contains_key(&model.provider) {
            return Usable::Usable;
        }
        let why = self.unusable.get(&model.provider).cloned();
        let why = why.unwrap_or_else(|| format!("provider {} is not configured", model.provider));
        Usable::NoProvider { why }
    }
}

/// The built-in catalog, completed by the file's.
pub(crate) fn catalog(config: &Config) -> Result<Catalog, Vec<String>> {
    let mut catalog = Catalog::default();
    if let Some(path) = &config.llm.catalog {
        let origin = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| vec![format!("{origin}: cannot be read: {error}")])?;
        catalog.merge(windlass_llm::catalog::Entries::from_toml(&text, &origin)?)?;
    }
    Ok(catalog)
}

pub(crate) fn mode(word: &str) -> Mode {
    word.parse().unwrap_or_default()
}

fn budget(spec: &BudgetSpec) -> BudgetRule {
    BudgetRule {
        scope: if spec.scope == "fleet" { "fleet:".into() } else { spec.scope.clone() },
        limit: spec.limit,
        every: window(&spec.window),
        on_limit: match spec.on_limit.as_str() {
            "wait" => OnLimit::Wait,
            "cheaper" => OnLimit::Cheaper,
            _ => OnLimit::Refuse,
        },
    }
}

fn window(word: &str) -> Duration {
    match word {
        "hour" => Duration::from_hours(1),
        "day" => Duration::from_hours(24),
        "week" => Duration::from_hours(7 * 24),
        _ => Duration::ZERO,
    }
}

/// The class of the task's failure for the class of a call's.
pub(crate) fn class_of(class: windlass_llm::Class) -> ErrorClass {
    class.as_str().parse().unwrap_or(ErrorClass::Internal)
}

/// What decides about the models: the task's requirements, or the models that it names.
pub(crate) fn needs_cache(kind: CacheKind, requirements: &Requirements) -> bool {
    kind != CacheKind::Off && !requirements.tools
}
