//! The day's counters of calls to models, added up.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::money::Usd;

/// Counters, as workers write them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Figures {
    counts: BTreeMap<String, i64>,
}

/// Figures as they are printed.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub(crate) struct FiguresView {
    /// `total`, `model`, `type` or `tenant`; only in JSON Lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<&'static str>,
    /// Whose; none for the total.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    pub(crate) calls: i64,
    pub(crate) errors: i64,
    pub(crate) errors_by_class: BTreeMap<String, i64>,
    /// Part of the calls; null without calls.
    pub(crate) error_rate: Option<f64>,
    /// Answers that were known: nothing was called, nothing paid.
    pub(crate) cache_hits: i64,
    pub(crate) input_tokens: i64,
    pub(crate) output_tokens: i64,
    pub(crate) cached_tokens: i64,
    pub(crate) reasoning_tokens: i64,
    /// Of the calls whose cost is known.
    pub(crate) cost_usd: Usd,
    pub(crate) calls_of_unknown_cost: i64,
    /// Of the calls that were answered.
    pub(crate) mean_duration_ms: Option<f64>,
    pub(crate) mean_first_token_ms: Option<f64>,
    /// Answers that were validated.
    pub(crate) validated: i64,
    pub(crate) passed: i64,
    /// Of the validated ones, 0 to 1.
    pub(crate) mean_score: Option<f64>,
}

impl Figures {
    pub(super) fn add(&mut self, counts: &BTreeMap<String, i64>) {
        for (what, number) in counts {
            let count = self.counts.entry(what.clone()).or_default();
            *count = count.saturating_add(*number);
        }
    }

    fn get(&self, what: &str) -> i64 {
        self.counts.get(what).copied().unwrap_or(0)
    }

    pub(super) fn view(&self, name: Option<String>) -> FiguresView {
        let get = |what: &str| self.get(what);
        let classes =
            self.counts.iter().filter_map(|(what, n)| Some((what.strip_prefix("error_")?.to_owned(), *n)));
        FiguresView {
            by: None,
            name,
            calls: get("calls"),
            errors: get("errors"),
            errors_by_class: classes.filter(|(_, n)| *n != 0).collect(),
            error_rate: ratio(get("errors"), get("calls"), 4),
            cache_hits: get("cache_hits"),
            input_tokens: get("input_tokens"),
            output_tokens: get("output_tokens"),
            cached_tokens: get("cached_tokens"),
            reasoning_tokens: get("reasoning_tokens"),
            cost_usd: Usd(get("cost_nano")),
            calls_of_unknown_cost: get("cost_unknown"),
            // Only answered calls are timed.
            mean_duration_ms: ratio(get("duration_us"), (get("calls") - get("errors")) * 1000, 3),
            mean_first_token_ms: ratio(get("first_token_us"), get("first_tokens") * 1000, 3),
            validated: get("validated"),
            passed: get("passed"),
            mean_score: ratio(get("score_milli"), get("validated") * 1000, 4),
        }
    }
}

/// `part / whole` to so many decimals; none if there is no whole.
fn ratio(part: i64, whole: i64, decimals: i32) -> Option<f64> {
    let unit = 10_f64.powi(decimals);
    (whole > 0).then(|| (part as f64 / whole as f64 * unit).round() / unit)
}

/// Adds up counters by name, those with the most calls first.
pub(super) fn by_name<'a>(
    counters: impl IntoIterator<Item = (&'a str, &'a BTreeMap<String, i64>)>,
) -> Vec<FiguresView> {
    let mut names: BTreeMap<&str, Figures> = BTreeMap::new();
    for (name, counts) in counters {
        names.entry(name).or_default().add(counts);
    }
    let view = |(name, figures): (&str, Figures)| figures.view(Some(name.to_owned()));
    let mut views: Vec<_> = names.into_iter().map(view).collect();
    // Stable: equal ones stay in the order of their names.
    views.sort_by_key(|view| std::cmp::Reverse(view.calls));
    views
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts<const N: usize>(counts: [(&str, i64); N]) -> BTreeMap<String, i64> {
        counts.map(|(what, n)| (what.to_owned(), n)).into()
    }

    #[test]
    fn days_are_added_and_means_are_of_what_was_measured() {
        let first =
            counts([("calls", 3), ("errors", 1), ("error_rate_limit", 1), ("duration_us", 3_000_000)]);
        let second = counts([
            ("calls", 1),
            ("duration_us", 600_000),
            ("first_token_us", 250_500),
            ("first_tokens", 1),
        ]);
        let views = by_name([("m", &first), ("m", &second)]);
        let [view] = views.as_slice() else { panic!("{views:?}") };
        assert_eq!((view.calls, view.errors, view.error_rate), (4, 1, Some(0.25)));
        assert_eq!(view.errors_by_class, BTreeMap::from([("rate_limit".to_owned(), 1)]));
        assert_eq!((view.mean_duration_ms, view.mean_first_token_ms), (Some(1200.0), Some(250.5)));
        assert_eq!(view.mean_score, None, "nothing was validated");
    }

    #[test]
    fn scores_are_of_validated_answers_and_money_is_exact() {
        let counts = counts([
            ("validated", 2),
            ("passed", 1),
            ("score_milli", 1_501),
            ("cost_nano", 10_000_001),
            ("calls", 2),
        ]);
        let view = &by_name([("m", &counts)])[0];
        assert_eq!((view.passed, view.mean_score), (1, Some(0.7505)));
        let json = serde_json::to_string(view).unwrap();
        assert!(
            json.contains(r#""cost_usd":0.010000001"#) && json.starts_with(r#"{"name":"m","calls":2"#),
            "{json}"
        );
    }

    #[test]
    fn no_call_gives_no_means_and_hits_count_without_calls() {
        let view = Figures::default().view(None);
        assert_eq!((view.calls, view.error_rate, view.mean_duration_ms), (0, None, None));
        let hits = &by_name([("m", &counts([("cache_hits", 3)]))])[0];
        assert_eq!((hits.calls, hits.cache_hits, hits.error_rate), (0, 3, None));
    }

    #[test]
    fn the_busiest_comes_first() {
        let (one, nine) = (counts([("calls", 1)]), counts([("calls", 9)]));
        let names: Vec<_> = by_name([("b", &one), ("a", &one), ("c", &nine)])
            .into_iter()
            .filter_map(|view| view.name)
            .collect();
        assert_eq!(names, ["c", "a", "b"]);
    }
}
