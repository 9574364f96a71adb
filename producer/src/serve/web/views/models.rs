//! Models: what they did, what they cost, whether they may be called; and the budgets.

use axum::{Extension, extract::State};
use serde_json::{Value, json};

use crate::{
    cli,
    commands::{
        budgets, metrics,
        models::{known::Known, list},
    },
    serve::{
        app::App,
        problem::Problem,
        web::{
            page::{Ask, Shown, value},
            session::{Sent, Who},
        },
    },
};

const WINDOWS: usize = 1000;

/// How many days back the figures go, today included.
fn days(given: Option<&str>) -> u8 {
    given.and_then(|days| days.parse().ok()).filter(|days| (1..=40).contains(days)).unwrap_or(7)
}

pub(in crate::serve::web) async fn page(State(app): State<App>, Extension(visitor): Who) -> Shown {
    let days = days(visitor.query.get("days"));
    let used = metrics::read(&app.context, &app.store, &cli::Metrics { by: Vec::new(), days }).await?;
    let known = Known::read(&app.context, false).await?;
    let args = cli::ModelsList { provider: Vec::new(), all: false, offline: false };
    let catalog: Vec<Value> = list::views(&known, &args).0.iter().map(value).collect();
    let budgets = budgets::read(&app.context, &app.store, &[], false, WINDOWS).await?.0;
    let budgets: Vec<Value> = budgets
        .iter()
        .map(|budget| {
            let mut row = value(budget);
            row["spent_out"] = budget.is_spent().into();
            row
        })
        .collect();
    let apart: Vec<&Value> = catalog.iter().filter(|model| model["state"] != "usable").collect();
    visitor.page(
        "models.html",
        "Models and money",
        json!({
            "days": days, "since": value(&used.since), "totals": value(&used.totals), "models": value(&used.models),
            "types": value(&used.types), "tenants": value(&used.tenants), "catalog": catalog, "apart": apart, "budgets": budgets,
        }),
    )
}

/// Lets a model be called again before its pause is over.
pub(in crate::serve::web) async fn reset(
    State(app): State<App>,
    Extension(visitor): Who,
    Extension(form): Sent,
) -> Shown {
    let name = form.get("name").ok_or_else(|| Problem::invalid("name: say which model"))?.to_owned();
    let text = format!(
        "{name} is called again at once. If what was wrong with it still is, it is left alone again after some more failures."
    );
    let ask = Ask { title: format!("Call {name} again?"), text, verb: "Call again", typed: None };
    if let Some(asked) = visitor.asks(&form, &ask)? {
        return Ok(asked);
    }
    let work = async { Ok(app.store.gate().reset(&name).await?) };
    let reset = app.act(&visitor.caller, "models reset", vec![name.clone()], &[], work).await?;
    let did = if reset {
        format!("{name} may be called again.")
    } else {
        format!("{name} was not left alone by itself: a key of its provider may be.")
    };
    Ok(visitor.back(&form, "/models", &did))
}
