//! What people rely on of the selector.

mod conditions;
mod properties;
mod scores;
mod words;

use super::*;
use crate::catalog::{Catalog, Entries, Model};

/// The four models that development tasks were first done with.
const FOUR: &str = r#"
[models."p/mistral-small"]
context = 32000
quality = 0.84
success = 0.95
latency = "880ms"
price = { input = 0.14, output = 0.14 }
specialisations = ["speed", "general"]
[models."p/llama-3.3"]
context = 131072
quality = 0.90
success = 0.92
latency = "1200ms"
price = { input = 0.18, output = 0.18 }
specialisations = ["general"]
[models."p/deepseek-chat"]
context = 65536
quality = 0.94
success = 0.90
latency = "1500ms"
price = { input = 0.14, output = 0.14 }
specialisations = ["code", "reasoning"]
capabilities = ["tools", "json"]
[models."p/gemini-flash"]
context = 1000000
quality = 0.86
success = 0.93
latency = "950ms"
price = { input = 0.075, output = 0.075 }
specialisations = ["speed", "general"]
"#;

fn catalog(text: &str) -> Catalog {
    let mut catalog = Catalog::empty();
    catalog.merge(Entries::from_toml(text, "test").unwrap()).unwrap();
    catalog
}

fn all_usable(_: &Model) -> State {
    State::Usable
}

fn ranked<'a>(catalog: &'a Catalog, need: &Requirements) -> Ranking<'a> {
    rank(catalog, need, &NothingMeasured, &all_usable, &Weights::default()).unwrap()
}

fn names<'a>(ranking: &'a Ranking<'_>) -> Vec<&'a str> {
    ranking.ranked.iter().map(|ranked| &*ranked.model.name).collect()
}

fn reasons(ranking: &Ranking<'_>, id: &str) -> Vec<Reason> {
    let left_out = ranking.left_out.iter().find(|left_out| left_out.model.id == id);
    left_out.map(|left_out| left_out.lacks.iter().map(|lack| lack.reason).collect()).unwrap_or_default()
}
