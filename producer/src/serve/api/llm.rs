//! Money and models.

use axum::{Json as Send, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use windlass_llm::select::{Mode, Requirements, Weights, rank};
use windlass_shared::config::check_budget_scope;

use crate::{
    cli,
    commands::{
        budgets::{
            self,
            view::{BudgetView, shown, stored},
        },
        models::{known::Known, list, select::Selection},
    },
    serve::{
        app::App,
        auth::Caller,
        cursor::Page,
        extract::{Json, Path, Query},
        problem::{Answer, Kind, Problem},
    },
};

pub(super) fn looking() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(budgets)).routes(routes!(models)).routes(routes!(select))
}

pub(super) fn acting() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(set_budget, remove_budget)).routes(routes!(reset))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Past {
    /// Windows that are over, too.
    #[serde(default)]
    past: bool,
}

/// A budget is no larger.
const MOST_DOLLARS: f64 = 1e9;
/// Windows that are read.
const WINDOWS: usize = 1000;

/// What calls to models cost, and what is left of each budget
#[utoipa::path(get, path = "/v1/budgets", tag = "models", params(Past), responses((status = 200, body = Page<BudgetView>)))]
async fn budgets(
    State(app): State<App>,
    Query(Past { past }): Query<Past>,
) -> Answer<Send<Page<BudgetView>>> {
    Ok(Send(Page::whole(budgets::read(&app.context, &app.store, &[], past, WINDOWS).await?.0)))
}

/// A budget to set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Budget {
    /// Dollars, with at most nine decimals.
    #[schema(value_type = f64, minimum = 0, maximum = 1_000_000_000)]
    limit_usd: serde_json::Number,
    #[serde(default)]
    window: Window,
    #[serde(default)]
    on_limit: OnLimit,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Window {
    Hour,
    #[default]
    Day,
    Week,
    Total,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum OnLimit {
    /// The task fails.
    #[default]
    Refuse,
    /// The task waits for the next window.
    Wait,
    /// The next model is asked.
    Cheaper,
}

impl Budget {
    fn as_typed(&self, scope: String) -> cli::BudgetSet {
        let window = match self.window {
            Window::Hour => cli::Window::Hour,
            Window::Day => cli::Window::Day,
            Window::Week => cli::Window::Week,
            Window::Total => cli::Window::Total,
        };
        let on_limit = match self.on_limit {
            OnLimit::Refuse => cli::OnLimit::Refuse,
            OnLimit::Wait => cli::OnLimit::Wait,
            OnLimit::Cheaper => cli::OnLimit::Cheaper,
        };
        cli::BudgetSet { scope, limit: decimal(&self.limit_usd), window, on_limit }
    }
}

/// A JSON number without an exponent.
fn decimal(number: &serde_json::Number) -> String {
    let text = number.to_string();
    match number.as_f64() {
        Some(value) if text.contains(['e', 'E']) => format!("{value:.9}"),
        _ => text,
    }
}

fn check_scope(scope: &str) -> Answer<()> {
    check_budget_scope(scope).map_err(Problem::malformed)
}

/// Set a budget; it is in force at once
#[utoipa::path(put, path = "/v1/budgets/{scope}", tag = "models", params(("scope" = String, Path, description = "fleet, or tenant:NAME, queue:NAME, batch:NAME, each also with *", pattern = "^(fleet|(tenant|queue|batch):([A-Za-z0-9._@-]{1,200}|[*]))$")), request_body = Budget, responses((status = 200, body = BudgetView)))]
async fn set_budget(
    State(app): State<App>,
    caller: Caller,
    Path(scope): Path<String>,
    Json(budget): Json<Budget>,
) -> Answer<Send<BudgetView>> {
    check_scope(&scope)?;
    if budget.limit_usd.as_f64().is_none_or(|limit| !(0.0..=MOST_DOLLARS).contains(&limit)) {
        return Err(Problem::invalid(format!("limit_usd: use 0 to {MOST_DOLLARS}")));
    }
    let typed = budget.as_typed(scope.clone());
    let rule = budgets::rule(&typed)?;
    let with = [("limit", typed.limit.clone()), ("window", format!("{:?}", typed.window).to_lowercase())];
    app.act(&caller, "budgets set", vec![scope.clone()], &with, async {
        app.store.gate().set_budget(&rule).await?;
        let (set, _) = budgets::read(&app.context, &app.store, &[stored(&scope)], false, WINDOWS).await?;
        let found = set.into_iter().find(|budget| budget.scope == shown(&stored(&scope)));
        found.map(Send).ok_or_else(|| Problem::new(Kind::Internal, "the budget that was set is not there"))
    })
    .await
}

/// Remove a budget that was set; what was spent stays on record
#[utoipa::path(delete, path = "/v1/budgets/{scope}", tag = "models", params(("scope" = String, Path, pattern = "^(fleet|(tenant|queue|batch):([A-Za-z0-9._@-]{1,200}|[*]))$")), responses((status = 204, description = "Removed")))]
async fn remove_budget(
    State(app): State<App>,
    caller: Caller,
    Path(scope): Path<String>,
) -> Answer<StatusCode> {
    check_scope(&scope)?;
    app.act(&caller, "budgets remove", vec![scope.clone()], &[], async {
        if app.store.gate().remove_budget(&stored(&scope)).await? {
            Ok(StatusCode::NO_CONTENT)
        } else {
            Err(Problem::not_found(format!("no budget is set for {scope}")))
        }
    })
    .await
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Of this provider.
    provider: Option<String>,
    /// Those that are retired or not listed any more, too.
    #[serde(default)]
    all: bool,
}

/// The known models: window, prices, abilities, and what the fleet has seen of them
#[utoipa::path(get, path = "/v1/models", tag = "models", params(Which), responses((status = 200, body = Page<Value>)))]
async fn models(State(app): State<App>, Query(which): Query<Which>) -> Answer<Send<Page<Value>>> {
    let known = Known::read(&app.context, false).await?;
    let args =
        cli::ModelsList { provider: which.provider.into_iter().collect(), all: which.all, offline: false };
    let value =
        |view| serde_json::to_value(view).map_err(|error| Problem::new(Kind::Internal, error.to_string()));
    let items = list::views(&known, &args).0.into_iter().map(value).collect::<Answer<Vec<Value>>>()?;
    Ok(Send(Page::whole(items)))
}

/// What is asked of a model; and by what they are ranked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Ask {
    /// As the payload of an `llm` task has them: `category`, `complexity`, `quality`, `max_latency`, `max_cost_usd`, `tools`…
    #[serde(default)]
    #[schema(value_type = Option<std::collections::BTreeMap<String, Value>>)]
    requirements: Value,
    /// `balanced`, `cheapest`, `fastest` or `quality`.
    mode: Option<String>,
}

/// Which models would be chosen for a task, and why
#[utoipa::path(post, path = "/v1/models/select", tag = "models", request_body = Ask, responses((status = 200, body = Value)))]
async fn select(State(app): State<App>, Json(ask): Json<Ask>) -> Answer<Send<Value>> {
    let given = if ask.requirements.is_null() { json!({}) } else { ask.requirements };
    let requirements: Requirements =
        serde_json::from_value(given).map_err(|error| Problem::invalid(format!("requirements: {error}")))?;
    requirements.check().map_err(|faults| Problem::invalid(faults.join("; ")))?;
    let mode = ask.mode.as_deref().unwrap_or(&app.context.config.llm.mode);
    let mode: Mode = mode.parse().map_err(|why| Problem::invalid(format!("mode: {why}")))?;
    let known = Known::read(&app.context, false).await?;
    let ranking = rank(&known.catalog, &requirements, &known, &known, &Weights::of(mode))
        .map_err(|unknown| Problem::invalid(unknown.to_string()))?;
    let selection = Selection { requirements: &requirements, mode, ranking: &ranking };
    serde_json::to_value(&selection)
        .map(Send)
        .map_err(|error| Problem::new(Kind::Internal, error.to_string()))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Names {
    /// Models, keys (`PROVIDER/KEY`), hosts (`http:HOST:PORT`).
    #[schema(min_items = 1, max_items = 100)]
    names: Vec<String>,
}

/// A name, and whether it was left alone until now.
#[derive(Debug, Serialize, ToSchema)]
struct Reset {
    name: String,
    reset: bool,
}

/// Let what is left alone be called again: close breakers, end pauses
#[utoipa::path(post, path = "/v1/models/reset", tag = "models", request_body = Names, responses((status = 200, body = Page<Reset>)))]
async fn reset(
    State(app): State<App>,
    caller: Caller,
    Json(Names { names }): Json<Names>,
) -> Answer<Send<Page<Reset>>> {
    if names.is_empty() || names.len() > 100 {
        return Err(Problem::invalid("names: give 1 to 100 of them"));
    }
    app.act(&caller, "models reset", names.clone(), &[], async {
        let (gate, mut items) = (app.store.gate(), Vec::new());
        for name in names {
            let reset = gate.reset(&name).await?;
            items.push(Reset { name, reset });
        }
        Ok(Send(Page::whole(items)))
    })
    .await
}
