//! `budgets`: what calls to models cost, and what is left.

pub(crate) mod view;

use std::time::Duration;

use windlass_shared::{
    config::{BudgetSpec, check_budget_scope, dollars},
    model::BatchName,
    store::{BudgetRule, OnLimit, Store},
};

use self::view::{BudgetView, Rules, length, shown, stored, views};
use crate::{
    cli::{self, BudgetSet, BudgetsCommand, Window},
    context::Context,
    exit::{Done, Failure},
    output::{self, Format, say},
};

const HEAD: [&str; 11] =
    ["SCOPE", "WINDOW", "SINCE", "LIMIT", "SPENT", "RESERVED", "LEFT", "CALLS", "OPEN", "ON LIMIT", "SET IN"];

fn row(budget: &BudgetView) -> Vec<String> {
    let money = [budget.limit_usd, budget.spent_usd, budget.reserved_usd, budget.left_usd];
    let mut row = vec![
        budget.scope.clone(),
        budget.window.clone(),
        budget.since.map(|since| since.to_string().replace(".000000Z", "Z")).unwrap_or_default(),
    ];
    row.extend(money.map(|money| money.to_string()));
    row.extend([budget.calls, budget.open_calls].map(|n| n.to_string()));
    row.push(budget.on_limit.map(word).unwrap_or_default().to_owned());
    row.push(budget.set_in.unwrap_or("elsewhere").to_owned());
    row
}

/// `windlass budgets`.
pub(crate) async fn run(context: &Context, args: cli::Budgets) -> Done {
    match args.command {
        Some(BudgetsCommand::Set(set)) => self::set(context, &set).await,
        Some(BudgetsCommand::Remove(remove)) => self::remove(context, &remove.scopes).await,
        None => list(context, &args).await,
    }
}

async fn list(context: &Context, args: &cli::Budgets) -> Done {
    let scopes = scopes(&args.scopes)?;
    let store = context.store().await?;
    let (budgets, all) = read(context, &store, &scopes, args.past, usize::from(args.limit)).await?;
    output::asked(context.format.unwrap_or(Format::Table), scopes.len() == 1, &budgets, &HEAD, row)?;
    if !all {
        say!("only the latest {} windows were read: see --limit", args.limit);
    }
    let missing = |scope: &&String| !budgets.iter().any(|budget| stored(&budget.scope) == **scope);
    let unknown: Vec<&str> = scopes.iter().filter(missing).map(|scope| shown(scope)).collect();
    if let Some(first) = unknown.first() {
        return Err(Failure::NotDone(format!(
            "no budget bounds {}: set one with `windlass budgets set {first} 5.00 --window day`",
            unknown.join(", ")
        )));
    }
    if budgets.is_empty() {
        say!(
            "no budget is set: `windlass budgets set fleet 5.00 --window day` sets one for all calls to models"
        );
    }
    Ok(())
}

/// The budgets in force, for `doctor`.
pub(crate) async fn present(context: &Context, store: &Store) -> Done<Vec<BudgetView>> {
    Ok(read(context, store, &[], false, 1000).await?.0)
}

/// The budgets; and whether all windows were read.
pub(crate) async fn read(
    context: &Context,
    store: &Store,
    scopes: &[String],
    past: bool,
    most: usize,
) -> Done<(Vec<BudgetView>, bool)> {
    let gate = store.gate();
    let rules = Rules::new(gate.budgets().await?, context.config.budgets.iter().map(declared));
    let uses = gate.budget_uses(most).await?;
    Ok((views(&rules, &uses, scopes, past, store.now().await?), uses.len() < most))
}

fn declared(spec: &BudgetSpec) -> BudgetRule {
    let on_limit = match spec.on_limit.as_str() {
        "wait" => OnLimit::Wait,
        "cheaper" => OnLimit::Cheaper,
        _ => OnLimit::Refuse,
    };
    BudgetRule { scope: stored(&spec.scope), limit: spec.limit, every: length(&spec.window), on_limit }
}

fn word(on_limit: OnLimit) -> &'static str {
    match on_limit {
        OnLimit::Refuse => "refuse",
        OnLimit::Wait => "wait",
        OnLimit::Cheaper => "cheaper",
    }
}

/// Scopes as Redis has them, checked.
fn scopes(texts: &[String]) -> Done<Vec<String>> {
    let checked = |text: &String| check_budget_scope(text).map(|()| stored(text)).map_err(Failure::Usage);
    texts.iter().map(checked).collect()
}

/// An amount of dollars of the command line, in nano-dollars.
pub(super) fn amount(flag: &str, text: &str) -> Done<i64> {
    dollars(text).ok_or_else(|| {
        Failure::Usage(format!(
            "{flag}: {text:?} is not an amount: use dollars such as 5.00, with at most nine decimals"
        ))
    })
}

async fn set(context: &Context, set: &BudgetSet) -> Done {
    let rule = rule(set)?;
    let store = context.store().await?;
    store.gate().set_budget(&rule).await?;
    let (budgets, _) = read(context, &store, &[rule.scope], false, 1000).await?;
    output::asked(context.format.unwrap_or(Format::Table), true, &budgets, &HEAD, row)
}

/// The budget that is described.
pub(crate) fn rule(set: &BudgetSet) -> Done<BudgetRule> {
    check_budget_scope(&set.scope).map_err(Failure::Usage)?;
    let every = match set.window {
        Window::Hour => length("hour"),
        Window::Day => length("day"),
        Window::Week => length("week"),
        Window::Total => Duration::ZERO,
    };
    let on_limit = match set.on_limit {
        cli::OnLimit::Refuse => OnLimit::Refuse,
        cli::OnLimit::Wait if every.is_zero() => {
            return Err(Failure::Usage(
                "--on-limit wait: there is no next window to wait for; use --window hour, day or week".into(),
            ));
        }
        cli::OnLimit::Wait => OnLimit::Wait,
        cli::OnLimit::Cheaper => OnLimit::Cheaper,
    };
    let scope = stored(&set.scope);
    Ok(BudgetRule { scope, limit: amount("LIMIT_USD", &set.limit)?, every, on_limit })
}

/// Sets the budget of a batch that is about to be submitted.
pub(crate) async fn set_for_batch(store: &Store, batch: &BatchName, limit: i64) -> Done {
    let scope = format!("batch:{batch}");
    let rule = BudgetRule { scope, limit, every: Duration::ZERO, on_limit: OnLimit::Refuse };
    Ok(store.gate().set_budget(&rule).await?)
}

async fn remove(context: &Context, texts: &[String]) -> Done {
    let scopes = scopes(texts)?;
    let gate = context.store().await?.gate();
    let mut removed = Vec::new();
    for scope in &scopes {
        removed.push((shown(scope), gate.remove_budget(scope).await?));
    }
    let done: Vec<&str> = removed.iter().filter(|(_, was)| *was).map(|(scope, _)| *scope).collect();
    match context.format {
        Some(Format::Json | Format::Jsonl) => output::json(&serde_json::json!({ "removed": done }))?,
        _ => done.iter().for_each(|scope| say!("the budget of {scope} is removed")),
    }
    let unknown: Vec<&str> = removed.iter().filter(|(_, was)| !was).map(|(scope, _)| *scope).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Failure::NotDone(format!(
        "no budget is set for {}: `windlass budgets` lists them; one of a configuration file is removed there",
        unknown.join(", ")
    )))
}
