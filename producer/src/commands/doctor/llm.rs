//! Are models within reach: keys, breakers, pauses, money.

use windlass_shared::{
    config::{ProviderSpec, TypeSpec},
    model::{Micros, TypeName},
    store::{BreakerState, Store, inspect::SeenNode},
};

use super::{Check, Status, check};
use crate::{commands::budgets, context::Context, exit::Done};

pub(super) async fn checks(context: &Context, store: &Store, nodes: &[SeenNode]) -> Done<Vec<Check>> {
    let gate = store.gate();
    let now = store.now().await?;
    let mut checks: Vec<Check> = context.config.providers.values().filter_map(key).collect();
    checks.extend(context.config.types.iter().filter_map(|(name, spec)| unknown_type(name, spec, nodes)));
    for (name, breaker) in gate.breakers().await? {
        checks.extend(open_breaker(&name, &breaker));
    }
    for (name, (until, why)) in gate.cooldowns().await? {
        checks.extend(cooling(&name, until, &why, now));
    }
    for budget in budgets::present(context, store).await? {
        if budget.is_spent() {
            let until = budget.until.map(|until| format!(" until {until}")).unwrap_or_default();
            let (scope, spent, limit) = (&budget.scope, budget.spent_usd, budget.limit_usd);
            let detail = format!(
                "the budget of {scope} is spent{until}: {spent} of {limit}; `windlass budgets set {scope}` raises it"
            );
            checks.push(check("budget", Status::Note, detail));
        }
    }
    Ok(checks)
}

/// A provider that cannot be called without a key, where none is known.
fn key(provider: &ProviderSpec) -> Option<Check> {
    let missing = provider.keys.is_empty() && provider.needs_key() && !provider.key_elsewhere;
    missing.then(|| {
        let name = &provider.name;
        let detail = format!(
            "no key for provider {name} is known here: set {} for the workers, or providers.{name}.api_key_file in \
             their configuration (if only they have it, all is well)",
            provider.key_variables().join(" or ")
        );
        check("provider", Status::Warn, detail)
    })
}

/// A type that the configuration declares and no live node takes: the usual reason is a missing key.
fn unknown_type(name: &TypeName, spec: &TypeSpec, nodes: &[SeenNode]) -> Option<Check> {
    let mut live = nodes.iter().filter(|node| node.alive).filter_map(|node| node.record.as_ref()).peekable();
    live.peek()?;
    let missing = spec.executor == "llm" && !live.any(|node| node.types.contains(name));
    missing.then(|| {
        let detail = format!(
            "type {name} is declared, and no live node runs it: is it in the workers' configuration, and do they have \
             a provider with a key? They say so when they start"
        );
        check("type", Status::Warn, detail)
    })
}

fn open_breaker(name: &str, breaker: &BreakerState) -> Option<Check> {
    if breaker.state == "closed" {
        return None;
    }
    let since = breaker.opened_at.map(|at| format!(" since {at}")).unwrap_or_default();
    let detail = match breaker.state {
        "half_open" => format!("{name} failed too often and is being tried again{since}"),
        _ => format!(
            "{name} failed too often: its breaker is open{since}, and it is tried again after breaker.recovery; look at \
             the provider's or the host's state; `windlass models reset {name}` closes it at once"
        ),
    };
    Some(check("breaker", Status::Warn, detail))
}

/// Pauses that end only when a person does something. One for a rate limit ends by itself.
fn cooling(name: &str, until: Micros, why: &str, now: Micros) -> Option<Check> {
    let advice = match why {
        "authentication" => "the provider refuses the key: give the workers a valid one and restart them",
        "permission" => {
            "the key may not do this: ask the provider for the right, or take the model out of the route"
        }
        "quota" => "the provider says that no credit is left: top it up, or give the workers another key",
        _ => return None,
    };
    (until > now).then(|| {
        let detail = format!(
            "{name} is left alone until {until} ({why}): {advice}; `windlass models reset {name}` ends the pause"
        );
        check("key", Status::Warn, detail)
    })
}

#[cfg(test)]
mod tests {
    use windlass_shared::config::Secret;

    use super::*;

    #[test]
    fn a_missing_key_is_told_with_the_variable_that_holds_it() {
        let mut provider = ProviderSpec::of_preset("main", "cohere");
        let told = key(&provider).expect("it has no key");
        assert_eq!(told.status, Status::Warn);
        assert!(told.detail.contains("COHERE_API_KEY") && told.detail.contains("main"), "{}", told.detail);
        provider.key_elsewhere = true;
        assert!(key(&provider).is_none(), "a file holds it that only workers read");
        assert!(key(&ProviderSpec::of_preset("mine", "local")).is_none(), "a local server needs none");
        let with_key = windlass_shared::config::KeySpec {
            name: "default".into(),
            value: Secret::new("sk-1"),
            organization: None,
            project: None,
            limits: windlass_shared::config::LimitSpec::default(),
        };
        let provider = ProviderSpec { keys: vec![with_key], ..ProviderSpec::of_preset("openai", "openai") };
        assert!(key(&provider).is_none());
    }

    #[test]
    fn only_pauses_that_need_a_person_are_told_and_only_while_they_last() {
        let (past, now, later) = (Micros(1), Micros(10), Micros(20));
        assert!(cooling("openai/default", later, "authentication", now).is_some());
        assert!(cooling("openai/default", later, "quota", now).is_some());
        assert!(cooling("openai/default", past, "quota", now).is_none());
        assert!(cooling("openai/default/gpt-5", later, "rate_limit", now).is_none());
    }

    #[test]
    fn a_breaker_is_told_unless_it_is_closed() {
        let breaker = |state| BreakerState { state, failures: 0, opened_at: Some(Micros(1)), opens: 1 };
        assert!(open_breaker("p/m", &breaker("closed")).is_none());
        for state in ["open", "half_open"] {
            assert_eq!(open_breaker("p/m", &breaker(state)).map(|told| told.status), Some(Status::Warn));
        }
    }
}
