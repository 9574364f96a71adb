//! Finds the rule for a request, and which of its answers is next.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use axum::http::HeaderMap;

use super::{
    ask::{Ask, Who, hash},
    failure::{Failure, Headers, rate_headers},
    scenario::{
        Scenario, Unmatched,
        answer::{Answer, Style},
        rule::{Order, Per, Rule, Then, When},
    },
    window::{Ticket, Window},
};

/// A scenario at work.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) scenario: Scenario,
    states: Vec<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    counters: HashMap<u64, Counter>,
    windows: HashMap<u64, Window>,
}

#[derive(Debug, Default)]
struct Counter {
    /// Requests for which all conditions held but the number of the call.
    seen: u64,
    /// Answers given.
    taken: u64,
}

/// What a request gets.
#[derive(Debug)]
pub(crate) struct Choice<'a> {
    /// When it was decided: limits are judged by this very moment.
    pub(crate) at: Instant,
    pub(crate) rule: Option<&'a Rule>,
    pub(crate) outcome: Outcome<'a>,
    /// What is left of a limit.
    pub(crate) headers: Headers,
    pub(crate) random: fastrand::Rng,
    pub(crate) ticket: Option<Ticket>,
}

#[derive(Debug)]
pub(crate) enum Outcome<'a> {
    /// This answer, or the one without a scenario.
    Answer(Option<&'a Answer>),
    Refused(Failure),
}

impl Rules {
    pub(crate) fn new(scenario: Scenario) -> Self {
        let states = scenario.rules.iter().map(|_| Mutex::default()).collect();
        Self { scenario, states }
    }

    pub(crate) fn reset(&self) {
        for index in 0..self.states.len() {
            if let Some(mut state) = self.state(index) {
                state.counters.clear();
                // What runs gives back its place, so the places must stay.
                state.windows.values_mut().for_each(Window::forget);
            }
        }
    }

    /// The window of a rule's limit, if there is one for this scope.
    pub(crate) fn window(&self, rule: usize, scope: u64, change: impl FnOnce(&mut Window)) {
        if let Some(window) = self.state(rule).as_mut().and_then(|state| state.windows.get_mut(&scope)) {
            change(window);
        }
    }

    fn state(&self, index: usize) -> Option<MutexGuard<'_, State>> {
        self.states.get(index).map(|state| state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn choose<'a>(self: &'a Arc<Self>, ask: &Ask, headers: &HeaderMap, key: &str) -> Choice<'a> {
        for (index, rule) in self.scenario.rules.iter().enumerate() {
            if holds(&rule.when, ask, headers, key)
                && let Some(choice) = self.take(index, rule, ask, key)
            {
                return choice;
            }
        }
        let outcome = match self.scenario.unmatched {
            Unmatched::Default => Outcome::Answer(None),
            Unmatched::Error => Outcome::Refused(Failure::invalid(
                None,
                "The stand-in's scenario has no rule for this request.",
            )),
        };
        Choice {
            at: Instant::now(),
            rule: None,
            outcome,
            headers: Vec::new(),
            random: fastrand::Rng::with_seed(self.scenario.seed),
            ticket: None,
        }
    }

    /// The rule's next answer, unless it leaves the request to the rules that follow.
    fn take<'a>(
        self: &'a Arc<Self>,
        index: usize,
        rule: &'a Rule,
        ask: &Ask,
        key: &str,
    ) -> Option<Choice<'a>> {
        let mut state = self.state(index)?;
        let at = Instant::now();
        let State { counters, windows } = &mut *state;
        let counted = scope(rule.per, ask, key);
        let counter = counters.entry(counted).or_default();
        counter.seen += 1;
        if rule.when.call.is_some_and(|numbers| !numbers.contains(counter.seen))
            || is_over(rule, counter.taken)
        {
            return None;
        }
        let (mut headers, mut ticket) = (Vec::new(), None);
        // Each call draws from a generator of its own, so that what it gets does not depend on who was faster.
        let number = counter.taken.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let seed = self.scenario.seed ^ counted ^ (index as u64).rotate_left(32) ^ number;
        let mut random = fastrand::Rng::with_seed(seed);
        if let Some(limit) = &rule.limit {
            let scope = scope(limit.by, ask, key);
            let window = windows.entry(scope).or_default();
            match window.admit(limit, at) {
                Ok((left, reset)) => {
                    if let Some(requests) = limit.requests.filter(|_| limit.headers) {
                        headers = rate_headers(ask.format, requests, left, reset);
                    }
                    ticket = Some(Ticket::new(self, index, scope));
                }
                Err(full) => {
                    let outcome =
                        Outcome::Refused(full.failure(limit, &ask.model, ask.format, self.style(rule)));
                    return Some(Choice { at, rule: Some(rule), outcome, headers, random, ticket });
                }
            }
        }
        let outcome = pick(rule, counter.taken, &mut random);
        counter.taken += 1;
        Some(Choice { at, rule: Some(rule), outcome, headers, random, ticket })
    }

    fn style(&self, rule: &Rule) -> Style {
        let of_rule = rule.answers.iter().find_map(|answer| answer.manner.style);
        of_rule.or(self.scenario.style).unwrap_or(Style::Openai)
    }
}

fn is_over(rule: &Rule, taken: u64) -> bool {
    rule.then == Then::Next
        && rule.order == Order::Sequence
        && !rule.answers.is_empty()
        && taken >= rule.answers.len() as u64
}

fn pick<'a>(rule: &'a Rule, taken: u64, random: &mut fastrand::Rng) -> Outcome<'a> {
    let Some(last) = rule.answers.last() else { return Outcome::Answer(None) };
    if rule.order == Order::Random {
        let mut at = random.f64() * rule.answers.iter().map(|answer| answer.weight).sum::<f64>();
        let drawn = rule.answers.iter().find(|answer| {
            at -= answer.weight;
            at < 0.0
        });
        return Outcome::Answer(Some(drawn.unwrap_or(last)));
    }
    let count = rule.answers.len() as u64;
    let index = if rule.then == Then::Cycle { taken % count } else { taken };
    let answer = usize::try_from(index).ok().and_then(|index| rule.answers.get(index));
    match answer {
        Some(answer) => Outcome::Answer(Some(answer)),
        None if rule.then == Then::Error => {
            let message = format!("The stand-in's scenario has no further answer in rule `{}`.", rule.name);
            Outcome::Refused(Failure::new(500, Style::Openai).kind("server_error").message(message))
        }
        None => Outcome::Answer(Some(last)),
    }
}

fn holds(when: &When, ask: &Ask, headers: &HeaderMap, key: &str) -> bool {
    when.model.as_ref().is_none_or(|name| name.matches(&ask.model))
        && when.format.is_none_or(|format| format == ask.format)
        && when.path.as_ref().is_none_or(|path| path.0 == ask.path)
        && when.stream.is_none_or(|stream| stream == ask.stream)
        && when.tools.is_none_or(|tools| tools == ask.has_tools())
        && when.key.as_ref().is_none_or(|wanted| wanted == key)
        && when.header.as_ref().is_none_or(|header| headers.contains_key(&header.0))
        && when.last.as_ref().is_none_or(|pattern| pattern.matches(ask.last_of_user()))
        && when.system.as_ref().is_none_or(|pattern| pattern.matches(&ask.joined(Some(Who::System))))
        && when.text.as_ref().is_none_or(|pattern| pattern.matches(&ask.joined(None)))
}

fn scope(per: Per, ask: &Ask, key: &str) -> u64 {
    match per {
        Per::Rule => 0,
        Per::Model => hash([ask.model.as_str()]),
        Per::Key => hash([key]),
        Per::Prompt => hash([ask.first_of_user()]),
    }
}
