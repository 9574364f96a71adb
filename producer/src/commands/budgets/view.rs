//! What was spent, against what may be spent: the windows of Redis, and the budgets that govern them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::Serialize;
use windlass_shared::{
    model::{
        Micros,
        time::{human, micros},
    },
    store::{BudgetRule, BudgetUse, OnLimit},
};

use crate::money::Usd;

/// A budget in a window, as it is printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct BudgetView {
    /// Whose.
    pub(crate) scope: String,
    /// `hour`, `day`, `week`, `total`, or a length of time.
    pub(crate) window: String,
    /// Its start; none for a total.
    pub(crate) since: Option<Micros>,
    /// Its end; none for a total.
    pub(crate) until: Option<Micros>,
    pub(crate) limit_usd: Usd,
    /// By calls that are over.
    pub(crate) spent_usd: Usd,
    /// For calls that are open: the most that they can cost.
    pub(crate) reserved_usd: Usd,
    /// Below zero if the limit was lowered.
    pub(crate) left_usd: Usd,
    /// Calls that are over.
    pub(crate) calls: i64,
    pub(crate) open_calls: i64,
    /// None where the budget is not known here.
    #[schema(value_type = Option<String>)]
    pub(crate) on_limit: Option<OnLimit>,
    /// `redis`, or `file` for one that the configuration file declares; none for one of a worker's own file, or one that
    /// is no longer.
    pub(crate) set_in: Option<&'static str>,
}

impl BudgetView {
    /// Nothing worth a call is left.
    pub(crate) fn is_spent(&self) -> bool {
        self.left_usd.0.saturating_mul(100) <= self.limit_usd.0
    }
}

/// The budgets that are known here. One in Redis goes before one of the file; one for a name before one for any.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    redis: BTreeMap<String, BudgetRule>,
    file: BTreeMap<String, BudgetRule>,
}

impl Rules {
    pub(crate) fn new(
        redis: impl IntoIterator<Item = BudgetRule>,
        file: impl IntoIterator<Item = BudgetRule>,
    ) -> Self {
        let by_scope = |rule: BudgetRule| (rule.scope.clone(), rule);
        Self {
            redis: redis.into_iter().map(by_scope).collect(),
            file: file.into_iter().map(by_scope).collect(),
        }
    }

    /// The budget that bounds this scope, and where it is set.
    fn of(&self, scope: &str) -> Option<(&BudgetRule, &'static str)> {
        let any = scope.split_once(':').map(|(kind, _)| format!("{kind}:*")).unwrap_or_default();
        [(&self.redis, "redis"), (&self.file, "file")]
            .into_iter()
            .find_map(|(rules, place)| rules.get(scope).or_else(|| rules.get(&any)).map(|rule| (rule, place)))
    }

    fn scopes(&self) -> BTreeSet<&str> {
        self.redis.keys().chain(self.file.keys()).map(String::as_str).collect()
    }
}

/// The budgets of these scopes (all, if none are given) with what was spent of them, by scope and time.
pub(crate) fn views(
    rules: &Rules,
    uses: &[BudgetUse],
    scopes: &[String],
    past: bool,
    now: Micros,
) -> Vec<BudgetView> {
    let wanted = |scope: &str| scopes.is_empty() || scopes.iter().any(|asked| asked == scope);
    let mut views = Vec::new();
    let mut present = BTreeSet::new();
    for spent in uses.iter().filter(|spent| wanted(&spent.scope)) {
        let rule = rules.of(&spent.scope);
        let current = is_current(spent, rule.map(|(rule, _)| rule), now);
        if current {
            present.insert(spent.scope.as_str());
        }
        if current || past {
            views.push(view(spent, rule.filter(|_| current)));
        }
    }
    let asked = scopes.iter().map(String::as_str);
    for scope in rules.scopes().into_iter().chain(asked).collect::<BTreeSet<_>>() {
        if let Some((rule, place)) = rules.of(scope).filter(|_| wanted(scope) && !present.contains(scope)) {
            views.push(view(&unused(scope, rule, now), Some((rule, place))));
        }
    }
    views.sort_by(|a, b| (&a.scope, a.since).cmp(&(&b.scope, b.since)));
    views
}

/// The window has not ended, and is one of the budget as it is now.
fn is_current(spent: &BudgetUse, rule: Option<&BudgetRule>, now: Micros) -> bool {
    let ends = spent.since.map(|since| since.0.saturating_add(micros(spent.every)));
    ends.is_none_or(|end| now.0 < end) && rule.is_none_or(|rule| rule.every == spent.every)
}

fn unused(scope: &str, rule: &BudgetRule, now: Micros) -> BudgetUse {
    let length = micros(rule.every);
    let since = (length > 0).then(|| Micros(now.0.div_euclid(length) * length));
    let (every, limit) = (rule.every, rule.limit);
    BudgetUse { scope: scope.to_owned(), since, every, limit, charged: 0, settled: 0, open: 0, calls: 0 }
}

fn view(spent: &BudgetUse, rule: Option<(&BudgetRule, &'static str)>) -> BudgetView {
    let limit = rule.map_or(spent.limit, |(rule, _)| rule.limit);
    BudgetView {
        scope: shown(&spent.scope).to_owned(),
        window: window(spent.every),
        since: spent.since,
        until: spent.since.map(|since| Micros(since.0.saturating_add(micros(spent.every)))),
        limit_usd: Usd(limit),
        spent_usd: Usd(spent.settled),
        reserved_usd: Usd(spent.charged.saturating_sub(spent.settled)),
        left_usd: Usd(limit.saturating_sub(spent.charged)),
        calls: spent.calls,
        open_calls: spent.open,
        on_limit: rule.map(|(rule, _)| rule.on_limit),
        set_in: rule.map(|(_, place)| place),
    }
}

/// A scope as people write it.
pub(crate) fn shown(scope: &str) -> &str {
    if scope == "fleet:" { "fleet" } else { scope }
}

/// A scope as Redis has it.
pub(crate) fn stored(scope: &str) -> String {
    if scope == "fleet" { "fleet:".to_owned() } else { scope.to_owned() }
}

const WINDOWS: [(&str, Duration); 4] = [
    ("hour", Duration::from_hours(1)),
    ("day", Duration::from_hours(24)),
    ("week", Duration::from_hours(7 * 24)),
    ("total", Duration::ZERO),
];

fn window(every: Duration) -> String {
    let named = WINDOWS.iter().find(|(_, length)| *length == every);
    named.map_or_else(|| human(every), |(name, _)| (*name).to_owned())
}

/// The length of a window by its name.
pub(crate) fn length(name: &str) -> Duration {
    WINDOWS.iter().find(|(known, _)| *known == name).map_or(Duration::ZERO, |(_, length)| *length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);
    const NOW: Micros = Micros(20_000 * 86_400_000_000 + 5);

    fn rule(scope: &str, limit: i64) -> BudgetRule {
        BudgetRule { scope: scope.into(), limit, every: DAY, on_limit: OnLimit::Wait }
    }

    fn spent(scope: &str, days_ago: i64, charged: i64, settled: i64) -> BudgetUse {
        let since = Some(Micros((20_000 - days_ago) * 86_400_000_000));
        BudgetUse { scope: scope.into(), since, every: DAY, limit: 7, charged, settled, open: 1, calls: 2 }
    }

    fn scopes(views: &[BudgetView]) -> Vec<&str> {
        views.iter().map(|view| view.scope.as_str()).collect()
    }

    #[test]
    fn what_is_left_is_the_present_limit_less_spent_and_reserved() {
        let rules = Rules::new([rule("tenant:a", 10)], []);
        let views = views(&rules, &[spent("tenant:a", 0, 6, 4)], &[], false, NOW);
        let [view] = views.as_slice() else { panic!("{views:?}") };
        let money = [view.limit_usd, view.spent_usd, view.reserved_usd, view.left_usd];
        assert_eq!(money, [Usd(10), Usd(4), Usd(2), Usd(4)]);
        assert_eq!(
            (view.window.as_str(), view.set_in, view.on_limit),
            ("day", Some("redis"), Some(OnLimit::Wait))
        );
        assert_eq!(view.until.unwrap().since(view.since.unwrap()), DAY);
        assert!(!view.is_spent());
        let lowered = Rules::new([rule("tenant:a", 3)], []);
        let lowered = super::views(&lowered, &[spent("tenant:a", 0, 6, 4)], &[], false, NOW);
        assert_eq!(lowered[0].left_usd, Usd(-3));
        assert!(lowered[0].is_spent());
    }

    #[test]
    fn redis_goes_before_the_file_and_a_name_before_any() {
        let rules =
            Rules::new([rule("tenant:*", 1)], [rule("tenant:a", 2), rule("queue:*", 3), rule("queue:q", 4)]);
        let limit = |scope| rules.of(scope).map(|(rule, place)| (rule.limit, place));
        assert_eq!(limit("tenant:a"), Some((1, "redis")), "as the workers do it");
        assert_eq!(limit("queue:q"), Some((4, "file")));
        assert_eq!(limit("queue:other"), Some((3, "file")));
        assert_eq!(limit("batch:b"), None);
    }

    #[test]
    fn past_windows_are_told_when_asked_for() {
        let rules = Rules::new([rule("fleet:", 10)], []);
        let uses = [spent("fleet:", 0, 1, 1), spent("fleet:", 1, 5, 5)];
        assert_eq!(views(&rules, &uses, &[], false, NOW).len(), 1);
        let all = views(&rules, &uses, &[], true, NOW);
        assert_eq!(scopes(&all), ["fleet", "fleet"]);
        let old = &all[0];
        assert_eq!((old.limit_usd, old.spent_usd), (Usd(7), Usd(5)), "the limit that it had");
    }

    #[test]
    fn a_budget_that_was_not_used_is_told_and_so_is_one_of_unknown_origin() {
        let rules = Rules::new([rule("fleet:", 10), rule("tenant:*", 5)], []);
        let told = views(&rules, &[spent("queue:q", 0, 1, 1)], &[], false, NOW);
        assert_eq!(scopes(&told), ["fleet", "queue:q", "tenant:*"]);
        assert_eq!((told[1].set_in, told[1].limit_usd), (None, Usd(7)));
        let named = views(&rules, &[], &["tenant:a".to_owned()], false, NOW);
        assert_eq!((scopes(&named), named[0].left_usd), (vec!["tenant:a"], Usd(5)));
        assert_eq!(views(&rules, &[], &["batch:b".to_owned()], false, NOW), []);
    }

    #[test]
    fn a_window_of_another_length_is_not_the_present_one() {
        let hourly = BudgetRule { every: Duration::from_hours(1), ..rule("fleet:", 10) };
        let told = views(&Rules::new([hourly], []), &[spent("fleet:", 0, 5, 5)], &[], false, NOW);
        assert_eq!((told.len(), told[0].window.as_str(), told[0].spent_usd), (1, "hour", Usd(0)));
    }
}
