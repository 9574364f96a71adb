//! Providers of models and budgets: what the tables `[providers.NAME]` and `[budgets.NAME]` declare.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use toml::{Table, Value as Toml};

use super::{
    file::ConfigFile,
    kind::{FOREVER, Kind},
    layers::Values,
    secret::Secret,
    setting::{Setting, Who},
    settings::LARGEST,
};

/// The formats and habits that a provider may have.
pub const PRESETS: [&str; 8] =
    ["openai", "openrouter", "anthropic", "cohere", "huggingface", "local", "compatible", "embedded"];

/// Variables of other tools that hold the key of a provider.
const KEY_VARIABLES: [(&str, &str); 6] = [
    ("openai", "OPENAI_API_KEY"),
    ("openrouter", "OPENROUTER_API_KEY"),
    ("anthropic", "ANTHROPIC_API_KEY"),
    ("cohere", "COHERE_API_KEY"),
    ("cohere", "CO_API_KEY"),
    ("huggingface", "HF_TOKEN"),
];

const SECOND: Duration = Duration::from_secs(1);
const MOST: u64 = 1_000_000_000_000;

const fn key(key: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Setting {
    Setting { key, env: &[], kind, default, help, who: Who::Worker }
}

/// Every key of a table `[providers.NAME]`.
pub const PROVIDER_SETTINGS: &[Setting] = &[
    key(
        "preset",
        Kind::Choice(&PRESETS),
        "",
        "Format and habits. Unless given, those of the provider's name.",
    ),
    key(
        "base_url",
        Kind::HttpUrl,
        "",
        "Address before `/chat/completions` or `/messages`. Unless given, the preset's.",
    ),
    key(
        "api_key",
        Kind::Secret,
        "",
        "The key. Unless given, from the preset's usual variable (`OPENAI_API_KEY`, `OPENROUTER_API_KEY`, `ANTHROPIC_API_KEY`, `COHERE_API_KEY`, `HF_TOKEN`).",
    ),
    key("organization", Kind::Text, "", "Organisation that calls with the key are billed to."),
    key("project", Kind::Text, "", "Project that calls with the key are billed to."),
    key("headers", Kind::Table, "", "Further headers of each call. Not for secrets."),
    key("model_path", Kind::Path, "", "File with the weights of an embedded model (GGUF)."),
    key("connect_timeout", Kind::Duration(Duration::ZERO, FOREVER), "10s", "Longest time to connect."),
    key(
        "first_token_timeout",
        Kind::Duration(Duration::ZERO, FOREVER),
        "2m",
        "Longest time until an answer begins.",
    ),
    key("idle_timeout", Kind::Duration(Duration::ZERO, FOREVER), "1m", "Longest pause within an answer."),
    key("total_timeout", Kind::Duration(SECOND, FOREVER), "10m", "Longest time of a call."),
    key("max_answer", Kind::Bytes(1024, LARGEST), "16MiB", "Largest answer that is read."),
    key("stream", Kind::Flag, "true", "Ask for answers as streams, which tells stalled ones from slow ones."),
    key(
        "list_models",
        Kind::Flag,
        "",
        "Read the provider's list of models into the fleet's catalog, at the start and every six hours. Unless given, for `local` and `openrouter`.",
    ),
    key(
        "limits.requests_per_minute",
        Kind::Count(0, MOST),
        "0",
        "Requests a minute with all keys; 0: no limit.",
    ),
    key("limits.input_tokens_per_minute", Kind::Count(0, MOST), "0", "Input tokens a minute; 0: no limit."),
    key("limits.output_tokens_per_minute", Kind::Count(0, MOST), "0", "Output tokens a minute; 0: no limit."),
    key("limits.concurrent", Kind::Count(0, MOST), "0", "Calls at once; 0: no limit."),
];

/// Every key of a table `[providers.NAME.keys.KEY]`.
pub const KEY_SETTINGS: &[Setting] = &[
    key("api_key", Kind::Secret, "", "The key. Required."),
    key("organization", Kind::Text, "", "Organisation that calls with the key are billed to."),
    key("project", Kind::Text, "", "Project that calls with the key are billed to."),
    key(
        "limits.requests_per_minute",
        Kind::Count(0, MOST),
        "0",
        "Requests a minute with this key; 0: no limit.",
    ),
    key("limits.input_tokens_per_minute", Kind::Count(0, MOST), "0", "Input tokens a minute; 0: no limit."),
    key("limits.output_tokens_per_minute", Kind::Count(0, MOST), "0", "Output tokens a minute; 0: no limit."),
    key("limits.concurrent", Kind::Count(0, MOST), "0", "Calls at once; 0: no limit."),
];

/// Every key of a table `[budgets.NAME]`.
pub const BUDGET_SETTINGS: &[Setting] = &[
    key(
        "scope",
        Kind::Name("fleet, or tenant:NAME, queue:NAME, batch:NAME, each also with *", check_budget_scope),
        "",
        "Whose calls it bounds. With `*` each tenant (queue, batch) has this much for itself. Required.",
    ),
    key("limit_usd", Kind::Name("dollars such as 5.00", check_dollars), "", "How much. Required."),
    key(
        "window",
        Kind::Choice(&["hour", "day", "week", "total"]),
        "day",
        "For how long, in UTC; weeks begin on Thursday.",
    ),
    key(
        "on_limit",
        Kind::Choice(&["refuse", "wait", "cheaper"]),
        "refuse",
        "What happens when it is spent: the task fails, waits for the next window, or asks a cheaper model.",
    ),
];

/// Limits a minute, and calls at once; 0: no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimitSpec {
    /// Requests a minute.
    pub requests: u64,
    /// Input tokens a minute.
    pub input_tokens: u64,
    /// Output tokens a minute.
    pub output_tokens: u64,
    /// Calls at once.
    pub concurrent: u64,
}

/// One key of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySpec {
    /// Its name.
    pub name: String,
    /// The key itself.
    pub value: Secret,
    /// Who is billed.
    pub organization: Option<String>,
    /// What is billed.
    pub project: Option<String>,
    /// Limits of calls with this key.
    pub limits: LimitSpec,
}

/// A provider of models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSpec {
    /// Its name.
    pub name: String,
    /// One of [`PRESETS`].
    pub preset: String,
    /// Its address, where it is not the preset's.
    pub base_url: Option<String>,
    /// Its keys; none for one that needs none.
    pub keys: Vec<KeySpec>,
    /// A key is in a file that this program does not read.
    pub key_elsewhere: bool,
    /// Further headers.
    pub headers: BTreeMap<String, String>,
    /// Weights of an embedded model.
    pub model_path: Option<PathBuf>,
    /// Longest time to connect.
    pub connect_timeout: Duration,
    /// Longest time until an answer begins.
    pub first_token_timeout: Duration,
    /// Longest pause within an answer.
    pub idle_timeout: Duration,
    /// Longest time of a call.
    pub total_timeout: Duration,
    /// Largest answer that is read, bytes.
    pub max_answer: usize,
    /// Ask for streams.
    pub stream: bool,
    /// Read its list of models.
    pub list_models: bool,
    /// Limits of all its keys together.
    pub limits: LimitSpec,
}

/// A budget as the file declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetSpec {
    /// Whose calls it bounds: `fleet`, `tenant:NAME`, ...
    pub scope: String,
    /// Nano-dollars.
    pub limit: i64,
    /// `hour`, `day`, `week` or `total`.
    pub window: String,
    /// `refuse`, `wait` or `cheaper`.
    pub on_limit: String,
}

impl ProviderSpec {
    /// A provider with the usual settings.
    pub fn of_preset(name: &str, preset: &str) -> Self {
        Self::from_values(name, preset, &Values::defaults(PROVIDER_SETTINGS))
    }

    fn from_values(name: &str, preset: &str, values: &Values) -> Self {
        let headers: Option<serde_json::Value> = values.get("headers");
        let headers = headers.as_ref().and_then(serde_json::Value::as_object);
        let text =
            |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let api_key: Option<Secret> = values.get("api_key");
        let first = api_key.map(|value| KeySpec {
            name: "default".into(),
            value,
            organization: values.get("organization"),
            project: values.get("project"),
            limits: LimitSpec::default(),
        });
        Self {
            name: name.to_owned(),
            preset: preset.to_owned(),
            base_url: values.get("base_url"),
            key_elsewhere: first.is_none() && values.given("api_key").origin != "default",
            keys: first.into_iter().collect(),
            headers: headers.into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect(),
            model_path: values.get("model_path"),
            connect_timeout: values.get("connect_timeout"),
            first_token_timeout: values.get("first_token_timeout"),
            idle_timeout: values.get("idle_timeout"),
            total_timeout: values.get("total_timeout"),
            max_answer: values.get("max_answer"),
            stream: values.get("stream"),
            list_models: values
                .get::<Option<bool>>("list_models")
                .unwrap_or(preset == "local" || preset == "openrouter"),
            limits: LimitSpec::from_values(values),
        }
    }

    /// The variables that may hold its key.
    pub fn key_variables(&self) -> Vec<&'static str> {
        KEY_VARIABLES.iter().filter(|(preset, _)| *preset == self.preset).map(|(_, name)| *name).collect()
    }

    /// It cannot be called without a key.
    pub fn needs_key(&self) -> bool {
        !["local", "compatible", "embedded"].contains(&self.preset.as_str())
    }
}

impl LimitSpec {
    fn from_values(values: &Values) -> Self {
        let number = |name: &str| -> usize { values.get(&format!("limits.{name}")) };
        Self {
            requests: number("requests_per_minute") as u64,
            input_tokens: number("input_tokens_per_minute") as u64,
            output_tokens: number("output_tokens_per_minute") as u64,
            concurrent: number("concurrent") as u64,
        }
    }
}

/// Reads the providers that `file` declares, with keys from the environment where it gives none.
pub(super) fn read(
    file: Option<&ConfigFile>,
    env: &BTreeMap<String, String>,
    program: Who,
    faults: &mut Vec<String>,
) -> BTreeMap<String, ProviderSpec> {
    let mut providers = BTreeMap::new();
    for (name, table) in file.iter().flat_map(|file| file.tables("providers", faults)).collect::<Vec<_>>() {
        let Some(file) = file else { continue };
        if let Some(spec) = read_one(file, name, table, env, program, faults) {
            providers.insert(name.to_owned(), spec);
        }
    }
    providers
}

/// A provider for each key that the environment holds under its usual name.
pub(super) fn implied(env: &BTreeMap<String, String>) -> Vec<ProviderSpec> {
    let presets: BTreeSet<&str> = KEY_VARIABLES.iter().map(|(preset, _)| *preset).collect();
    presets
        .into_iter()
        .map(|preset| ProviderSpec::of_preset(preset, preset))
        .filter_map(|mut spec| {
            spec.keys.push(key_of_environment(&spec, env)?);
            Some(spec)
        })
        .collect()
}

fn key_of_environment(spec: &ProviderSpec, env: &BTreeMap<String, String>) -> Option<KeySpec> {
    let found = |name: &&str| env.get(*name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let value = spec.key_variables().iter().find_map(found)?;
    Some(KeySpec {
        name: "default".into(),
        value: Secret::new(value),
        organization: None,
        project: None,
        limits: LimitSpec::default(),
    })
}

fn read_one(
    file: &ConfigFile,
    name: &str,
    table: &Table,
    env: &BTreeMap<String, String>,
    program: Who,
    faults: &mut Vec<String>,
) -> Option<ProviderSpec> {
    let root = format!("providers.{name}");
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.len() > 40 || !name.chars().all(plain) {
        faults.push(format!(
            "{}: {root}: a provider's name has up to 40 letters, digits, '.', '_', '-'",
            file.name
        ));
        return None;
    }
    let mut table = table.clone();
    let keys = table.remove("keys");
    let values = file.values(PROVIDER_SETTINGS, &root, &table, program, faults);
    let preset: Option<String> = values.get("preset");
    let Some(preset) = preset.or_else(|| PRESETS.contains(&name).then(|| name.to_owned())) else {
        faults.push(format!("{}: {root}.preset is missing: use one of {}", file.name, PRESETS.join(", ")));
        return None;
    };
    let mut spec = ProviderSpec::from_values(name, &preset, &values);
    spec.key_elsewhere |= program == Who::Producer && keys.is_some();
    spec.keys.extend(read_keys(file, &root, keys, program, faults));
    if spec.keys.is_empty() {
        spec.keys.extend(key_of_environment(&spec, env));
    }
    if preset == "compatible" && spec.base_url.is_none() {
        faults.push(format!(
            "{}: {root}.base_url is missing: a compatible provider has no usual one",
            file.name
        ));
    }
    if preset == "embedded" && spec.model_path.is_none() {
        faults.push(format!("{}: {root}.model_path is missing: name the file with the weights", file.name));
    }
    Some(spec)
}

fn read_keys(
    file: &ConfigFile,
    root: &str,
    keys: Option<Toml>,
    program: Who,
    faults: &mut Vec<String>,
) -> Vec<KeySpec> {
    let Some(keys) = keys else { return Vec::new() };
    let Toml::Table(keys) = keys else {
        faults.push(format!("{}: {root}.keys must be a table of tables", file.name));
        return Vec::new();
    };
    let mut read = Vec::new();
    for (name, table) in &keys {
        let root = format!("{root}.keys.{name}");
        let Toml::Table(table) = table else {
            faults.push(format!("{}: {root} must be a table", file.name));
            continue;
        };
        let values = file.values(KEY_SETTINGS, &root, table, program, faults);
        match values.get::<Option<Secret>>("api_key") {
            Some(value) => read.push(KeySpec {
                name: name.clone(),
                value,
                organization: values.get("organization"),
                project: values.get("project"),
                limits: LimitSpec::from_values(&values),
            }),
            // The producer does not read the files that hold keys.
            None if program == Who::Producer => {}
            None => faults.push(format!("{}: {root}.api_key is missing: give it or api_key_file", file.name)),
        }
    }
    read
}

/// Reads the budgets that `file` declares.
pub(super) fn read_budgets(
    file: Option<&ConfigFile>,
    program: Who,
    faults: &mut Vec<String>,
) -> Vec<BudgetSpec> {
    let mut budgets = Vec::new();
    let Some(file) = file else { return budgets };
    for (name, table) in file.tables("budgets", faults) {
        let root = format!("budgets.{name}");
        let values = file.values(BUDGET_SETTINGS, &root, table, program, faults);
        let (scope, limit): (Option<String>, Option<String>) = (values.get("scope"), values.get("limit_usd"));
        let (Some(scope), Some(limit)) = (scope, limit.as_deref().and_then(dollars)) else {
            faults.push(format!("{}: {root} needs a scope and limit_usd", file.name));
            continue;
        };
        if budgets.iter().any(|known: &BudgetSpec| known.scope == scope) {
            faults.push(format!("{}: {root}: {scope} has a budget already; give one a scope", file.name));
            continue;
        }
        budgets.push(BudgetSpec {
            scope,
            limit,
            window: values.get("window"),
            on_limit: values.get("on_limit"),
        });
    }
    budgets
}

/// Says what is wrong with the scope of a budget, if anything is.
pub fn check_budget_scope(text: &str) -> Result<(), String> {
    let name_ok = |name: &str| {
        let plain = |c: char| c.is_alphanumeric() || "._-@".contains(c);
        name == "*" || (!name.is_empty() && name.len() <= 200 && name.chars().all(plain))
    };
    match text.split_once(':') {
        None if text == "fleet" => Ok(()),
        Some(("tenant" | "queue" | "batch", name)) if name_ok(name) => Ok(()),
        _ => Err(format!(
            "{text:?} is not the scope of a budget: use fleet, or tenant:NAME, queue:NAME or batch:NAME (or * for any name)"
        )),
    }
}

fn check_dollars(text: &str) -> Result<(), String> {
    dollars(text).map(drop).ok_or_else(|| format!("{text:?} is not an amount: use dollars such as 5.00"))
}

/// Dollars as nano-dollars, exactly; at most nine decimals.
pub fn dollars(text: &str) -> Option<i64> {
    let text = text.trim().trim_start_matches('$');
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && part.is_empty()) || part.len() > 9 || !digits(whole) || !digits(part) {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let part: i64 = format!("{part:0<9}").parse().ok()?;
    whole.checked_mul(1_000_000_000)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_exactly() {
        for (text, nano) in [
            ("1", 1_000_000_000),
            ("0.01", 10_000_000),
            ("$5.00", 5_000_000_000),
            (".5", 500_000_000),
            ("0", 0),
        ] {
            assert_eq!(dollars(text), Some(nano), "{text}");
        }
        for bad in ["", "-1", "1e3", "1.0000000001", "99999999999999", "one", "$"] {
            assert_eq!(dollars(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_scope_is_a_kind_and_a_name() {
        for good in ["fleet", "tenant:acme", "queue:*", "batch:b-1"] {
            assert_eq!(check_budget_scope(good), Ok(()), "{good}");
        }
        for bad in ["", "acme", "tenant:", "tenant:a b", "user:x", "fleet:x"] {
            assert!(check_budget_scope(bad).is_err(), "{bad}");
        }
    }
}
