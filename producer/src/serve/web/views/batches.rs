//! Batches: how far they are, what they cost, their results.

use axum::{Extension, extract::State};
use serde_json::{Value, json};
use windlass_shared::model::BatchName;

use crate::{
    commands::{
        budgets::{self, view::BudgetView},
        operate,
    },
    serve::{
        api::{batches, results as logs},
        app::App,
        problem::{Answer, Problem},
        web::{
            form::segment,
            page::{Ask, Path, Shown, value},
            session::{Sent, Who},
        },
    },
};

const PAGE: usize = 50;
const WINDOWS: usize = 1000;

/// What is known of money by batch: only where a budget has that scope.
async fn spent(app: &App, batch: Option<&BatchName>) -> Answer<Vec<BudgetView>> {
    let scopes: Vec<String> = batch.map(|batch| format!("batch:{batch}")).into_iter().collect();
    Ok(budgets::read(&app.context, &app.store, &scopes, true, WINDOWS).await?.0)
}

fn row(batch: &batches::Batch, spent: &[BudgetView]) -> Value {
    let scope = format!("batch:{}", batch.batch);
    let mut row = value(batch);
    row["budgets"] = value(&spent.iter().filter(|budget| budget.scope == scope).collect::<Vec<_>>());
    row["open"] = batch.counts.total.saturating_sub(batch.finished).into();
    row
}

pub(in crate::serve::web) async fn list(State(app): State<App>, Extension(visitor): Who) -> Shown {
    let page = batches::page(&app.store, visitor.query.get("cursor"), PAGE).await?;
    let spent = spent(&app, None).await?;
    let rows: Vec<Value> = page.items.iter().map(|batch| row(batch, &spent)).collect();
    let next = page.next_cursor.map(|cursor| {
        visitor.query.without(&["part", "did", "mark"]).with("cursor", &cursor).url("/batches")
    });
    visitor.page(
        "batches.html",
        "Batches",
        json!({ "rows": rows, "next": next, "went_on": visitor.query.get("cursor").is_some() }),
    )
}

pub(in crate::serve::web) async fn one(
    State(app): State<App>,
    Extension(visitor): Who,
    Path(batch): Path<BatchName>,
) -> Shown {
    let view = batches::view(&app.store, batch.clone(), None).await?;
    let view = view.ok_or_else(|| {
        Problem::not_found(format!("no batch {batch}: it is forgotten a day after it ended"))
    })?;
    let spent = spent(&app, Some(&batch)).await?;
    visitor.page("batch.html", &format!("Batch {batch}"), json!({ "batch": row(&view, &spent) }))
}

pub(in crate::serve::web) async fn results(
    State(app): State<App>,
    Extension(visitor): Who,
    Path(batch): Path<BatchName>,
) -> Shown {
    Ok(logs::download(app, visitor.caller, batch).await?)
}

pub(in crate::serve::web) async fn retry(
    State(app): State<App>,
    Extension(visitor): Who,
    Extension(form): Sent,
    Path(batch): Path<BatchName>,
) -> Shown {
    let text = format!("Every failed task of {batch} gets another life, with all of its attempts.");
    let ask = Ask { title: format!("Retry what failed of {batch}?"), text, verb: "Retry", typed: None };
    if let Some(asked) = visitor.asks(&form, &ask)? {
        return Ok(asked);
    }
    let work = async { Ok(operate::retry_batch(&app.store, &batch).await?) };
    let retried = app.act(&visitor.caller, "retry", vec![format!("batch:{batch}")], &[], work).await?;
    Ok(visitor.back(
        &form,
        &format!("/batches/{}", segment(batch.as_str())),
        &format!("{retried} tasks of {batch} were retried."),
    ))
}
