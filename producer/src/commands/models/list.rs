//! `models list`: the catalog, and what the fleet has seen.

use std::time::Duration;

use serde::Serialize;
use windlass_llm::{
    catalog::{Capability, Model},
    select::{Availability, Live, State},
};
use windlass_shared::model::time::human;

use super::known::Known;
use crate::{
    cli,
    context::Context,
    exit::Done,
    money::Usd,
    output::{self, Format, say},
};

/// A model as it is printed.
#[derive(Serialize)]
pub(crate) struct View<'a> {
    #[serde(flatten)]
    model: &'a Model,
    /// `usable` as far as is known here, `breaker_open`, `cooling` or `unavailable`.
    state: &'static str,
    /// For how long, or why.
    why: Option<String>,
    /// What the fleet has seen of it, old calls counting less.
    live: Option<Seen>,
}

#[derive(Serialize)]
struct Seen {
    calls: f64,
    success_rate: f64,
    mean_latency_ms: f64,
    validated: f64,
    mean_score: Option<f64>,
}

const HEAD: [&str; 11] =
    ["MODEL", "WINDOW", "ANSWER", "IN $/M", "OUT $/M", "QUALITY", "LATENCY", "CAN", "FOR", "SEEN", "STATE"];

/// `windlass models list`.
pub(super) async fn run(context: &Context, args: &cli::ModelsList) -> Done {
    let known = Known::read(context, args.offline).await?;
    known.check_providers(&args.provider)?;
    let (views, left_out) = views(&known, args);
    output::list(context.format.unwrap_or(Format::Table), &views, &HEAD, row)?;
    if left_out > 0 {
        say!("{left_out} models that are retired or no longer listed are left out: --all shows them");
    }
    Ok(())
}

/// The models that are asked for, and how many of them are left out since they are gone.
pub(crate) fn views<'a>(known: &'a Known, args: &cli::ModelsList) -> (Vec<View<'a>>, usize) {
    let today = known.today();
    let there = |model: &&Model| {
        let retired = model.retired.zip(today).is_some_and(|(retired, today)| retired <= today);
        args.all || (!retired && model.listed != Some(false))
    };
    let of_provider = |model: &&Model| args.provider.is_empty() || args.provider.contains(&model.provider);
    let all: Vec<&Model> = known.catalog.models().filter(of_provider).collect();
    let views: Vec<View<'_>> = all.iter().copied().filter(there).map(|model| view(model, known)).collect();
    let left_out = all.len() - views.len();
    (views, left_out)
}

fn view<'a>(model: &'a Model, known: &Known) -> View<'a> {
    let (state, why) = match known.state(model) {
        State::Usable => ("usable", None),
        State::BreakerOpen { left } => ("breaker_open", Some(format!("for another {}", human(left)))),
        State::Cooling { left } => ("cooling", Some(format!("for another {}", human(left)))),
        State::NoProvider { why } | State::Unavailable { why } => ("unavailable", Some(why)),
    };
    let live = known.of(&model.id, None).map(|figures| Seen {
        calls: rounded(figures.calls),
        success_rate: rounded(figures.success),
        mean_latency_ms: rounded(figures.latency.as_secs_f64() * 1000.0),
        validated: rounded(figures.scored),
        mean_score: figures.score.map(rounded),
    });
    View { model, state, why, live }
}

fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

fn row(view: &View<'_>) -> Vec<String> {
    let model = view.model;
    let price = model.price.as_ref();
    let amount = |nano: i64| Usd(nano).to_string();
    let can: Vec<&str> = model
        .capabilities
        .iter()
        .filter(|capability| **capability != Capability::Streaming)
        .map(|capability| capability.as_str())
        .collect();
    let seen = view.live.as_ref().filter(|seen| seen.calls >= 0.5).map(|seen| {
        let latency = human(Duration::from_secs_f64(seen.mean_latency_ms.max(0.0) / 1000.0));
        let score = seen.mean_score.map(|score| format!(", score {score:.2}")).unwrap_or_default();
        format!("{:.0} calls, {:.0} % fine, {latency}{score}", seen.calls, seen.success_rate * 100.0)
    });
    vec![
        model.id.clone(),
        model.context.to_string(),
        model.max_output.map(|most| most.to_string()).unwrap_or_default(),
        price.map_or_else(|| "unknown".into(), |price| amount(price.input.get())),
        price.map_or_else(|| "unknown".into(), |price| amount(price.output.get())),
        format!("{:.2}", model.quality),
        human(model.latency),
        can.join(","),
        model.specialisations.join(","),
        seen.unwrap_or_default(),
        view.why.as_ref().map_or_else(|| view.state.to_owned(), |why| format!("{}: {why}", view.state)),
    ]
}
