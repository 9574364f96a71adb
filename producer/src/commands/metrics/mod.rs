//! `metrics`: totals of calls to models, and of queues.

mod figures;

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::try_join_all;
use serde::Serialize;
use windlass_shared::{
    model::{Micros, time::human},
    store::{Store, UsageRecord},
};

use self::figures::{Figures, FiguresView, by_name};
use crate::{
    cli::{self, By},
    context::Context,
    exit::Done,
    output::{self, Format},
};

const DAY: i64 = 24 * 3600 * 1_000_000;

/// What is printed as JSON.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Metrics {
    /// Start of the first day.
    pub(crate) since: Micros,
    days: u8,
    pub(crate) totals: FiguresView,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) models: Option<Vec<FiguresView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) types: Option<Vec<FiguresView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tenants: Option<Vec<FiguresView>>,
    /// Counted since each queue was first used.
    queues: BTreeMap<String, BTreeMap<String, u64>>,
}

/// `windlass metrics`.
pub(crate) async fn run(context: &Context, args: cli::Metrics) -> Done {
    let store = context.store().await?;
    let metrics = read(context, &store, &args).await?;
    match context.format {
        Some(Format::Json) => output::json(&metrics),
        Some(Format::Jsonl) => lines(metrics),
        Some(Format::Table) | None => tables(&metrics),
    }
}

/// Totals of the last days.
pub(crate) async fn read(context: &Context, store: &Store, args: &cli::Metrics) -> Done<Metrics> {
    let gate = store.gate();
    let today = store.now().await?.0.div_euclid(DAY);
    let first = today - i64::from(args.days) + 1;
    let wanted = |by: By| args.by.is_empty() || args.by.contains(&by);
    let records = try_join_all((first..=today).map(|day| gate.usage(day))).await?.concat();
    let of = |by: By, name: fn(&UsageRecord) -> &str| {
        let named = records.iter().map(|record| (name(record), &record.figures));
        wanted(by).then(|| by_name(named.filter(|(name, _)| !name.is_empty())))
    };
    let mut totals = Figures::default();
    for record in &records {
        totals.add(&record.figures);
    }
    Ok(Metrics {
        since: Micros(first * DAY),
        days: args.days,
        totals: totals.view(None),
        models: of(By::Model, |record| &record.model),
        types: of(By::Type, |record| &record.task_type),
        tenants: of(By::Tenant, |record| &record.tenant),
        queues: queues(context, store).await?,
    })
}

async fn queues(context: &Context, store: &Store) -> Done<BTreeMap<String, BTreeMap<String, u64>>> {
    let names = match context.named_queue() {
        Some(queue) => vec![queue.clone()],
        None => store.queues().await?,
    };
    let mut queues = BTreeMap::new();
    for name in names {
        queues.insert(name.to_string(), store.queue(&name).await?.view().await?.totals);
    }
    Ok(queues)
}

/// The parts with the name of what they are by.
fn parts(metrics: Metrics) -> impl Iterator<Item = FiguresView> {
    let Metrics { totals, models, types, tenants, .. } = metrics;
    let lists = [("total", Some(vec![totals])), ("model", models), ("type", types), ("tenant", tenants)];
    lists.into_iter().flat_map(|(by, views)| {
        views.unwrap_or_default().into_iter().map(move |view| FiguresView { by: Some(by), ..view })
    })
}

#[derive(Serialize)]
struct QueueLine<'a> {
    by: &'static str,
    name: &'a str,
    #[serde(flatten)]
    totals: &'a BTreeMap<String, u64>,
}

fn lines(mut metrics: Metrics) -> Done {
    let queues = std::mem::take(&mut metrics.queues);
    output::jsonl(&parts(metrics).collect::<Vec<_>>())?;
    let line = |(name, totals)| QueueLine { by: "queue", name, totals };
    output::jsonl(&queues.iter().map(|(name, totals)| line((name.as_str(), totals))).collect::<Vec<_>>())
}

const HEAD: [&str; 13] = [
    "BY",
    "NAME",
    "CALLS",
    "ERRORS",
    "HITS",
    "TOKENS IN",
    "TOKENS OUT",
    "COST",
    "UNPRICED",
    "TIME",
    "FIRST TOKEN",
    "PASSED",
    "SCORE",
];
const TOTALS: [&str; 5] = ["submitted", "completed", "failed", "cancelled", "expired"];

fn row(view: &FiguresView) -> Vec<String> {
    let time = |ms: Option<f64>| ms.map(|ms| human(Duration::from_secs_f64(ms / 1000.0))).unwrap_or_default();
    vec![
        view.by.unwrap_or_default().to_owned(),
        view.name.clone().unwrap_or_default(),
        view.calls.to_string(),
        errors(view),
        view.cache_hits.to_string(),
        view.input_tokens.to_string(),
        view.output_tokens.to_string(),
        view.cost_usd.to_string(),
        view.calls_of_unknown_cost.to_string(),
        time(view.mean_duration_ms),
        time(view.mean_first_token_ms),
        if view.validated == 0 { String::new() } else { format!("{} of {}", view.passed, view.validated) },
        view.mean_score.map(|score| format!("{score:.2}")).unwrap_or_default(),
    ]
}

/// How many failed, in percent, and of what.
fn errors(view: &FiguresView) -> String {
    let Some(rate) = view.error_rate.filter(|_| view.errors > 0) else { return view.errors.to_string() };
    let classes: Vec<String> = view.errors_by_class.iter().map(|(class, n)| format!("{class} {n}")).collect();
    format!("{} ({:.1} %: {})", view.errors, rate * 100.0, classes.join(", "))
}

fn tables(metrics: &Metrics) -> Done {
    let since = metrics.since.to_string();
    output::line(&format!("Calls to models since {}", since.replace(".000000Z", "Z")))?;
    let lists = [("model", &metrics.models), ("type", &metrics.types), ("tenant", &metrics.tenants)];
    let rows = lists.into_iter().flat_map(|(by, views)| {
        let by = Some(by);
        views.iter().flatten().map(move |view| row(&FiguresView { by, ..view.clone() }))
    });
    let total = row(&FiguresView { by: Some("total"), ..metrics.totals.clone() });
    output::table(&HEAD, std::iter::once(total).chain(rows))?;
    output::line("\nTasks since each queue was first used")?;
    let head: Vec<String> = TOTALS.iter().map(|word| word.to_uppercase()).collect();
    let head: Vec<&str> = std::iter::once("QUEUE").chain(head.iter().map(String::as_str)).collect();
    output::table(
        &head,
        metrics.queues.iter().map(|(name, totals)| {
            let count = |word: &&str| totals.get(*word).copied().unwrap_or(0).to_string();
            std::iter::once(name.clone()).chain(TOTALS.iter().map(count)).collect()
        }),
    )
}
