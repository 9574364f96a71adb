//! A rate limit over a window of time that slides.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    ask::Format,
    failure::{Failure, rate_headers},
    fault::RetryAfter,
    rules::Rules,
    scenario::{answer::Style, rule::Limit},
};

/// What came in the last window of time, and what runs.
#[derive(Debug, Default)]
pub(crate) struct Window {
    times: VecDeque<Instant>,
    spent: VecDeque<(Instant, u64)>,
    tokens: u64,
    running: u64,
}

/// A limit that is reached.
pub(crate) struct Full {
    what: &'static str,
    limit: u64,
    used: u64,
    wait: Duration,
}

impl Window {
    pub(crate) fn forget(&mut self) {
        *self = Self { running: self.running, ..Self::default() };
    }

    /// Lets a request in, and says how many more may come and when all may come again.
    pub(crate) fn admit(&mut self, limit: &Limit, now: Instant) -> Result<(u64, Duration), Full> {
        let age = |at: &Instant| now.duration_since(*at);
        while self.times.front().is_some_and(|at| age(at) >= limit.window) {
            self.times.pop_front();
        }
        while let Some((_, tokens)) = self.spent.front().copied().filter(|(at, _)| age(at) >= limit.window) {
            self.spent.pop_front();
            self.tokens -= tokens;
        }
        self.check(limit, now)?;
        self.times.push_back(now);
        self.running += 1;
        let left = limit.requests.map_or(0, |most| most.saturating_sub(self.times.len() as u64));
        Ok((left, limit.window))
    }

    fn check(&self, limit: &Limit, now: Instant) -> Result<(), Full> {
        let until = |at: Instant| (at + limit.window).saturating_duration_since(now);
        let used = self.times.len() as u64;
        if let (Some(most), Some(first)) = (limit.requests.filter(|most| used >= *most), self.times.front()) {
            return Err(Full { what: "requests", limit: most, used, wait: until(*first) });
        }
        if let Some(most) = limit.tokens.filter(|most| self.tokens >= *most) {
            let mut left = self.tokens;
            let free = self.spent.iter().find(|(_, tokens)| {
                left -= tokens;
                left < most
            });
            let wait = free.map_or(limit.window, |(at, _)| until(*at));
            return Err(Full { what: "tokens", limit: most, used: self.tokens, wait });
        }
        if let Some(most) = limit.concurrent.filter(|most| self.running >= *most) {
            let wait = Duration::from_secs(1);
            return Err(Full { what: "concurrent requests", limit: most, used: self.running, wait });
        }
        Ok(())
    }
}

impl Full {
    pub(crate) fn failure(&self, limit: &Limit, model: &str, format: Format, style: Style) -> Failure {
        let Self { what, limit: most, used, wait } = self;
        let per = limit.window.as_secs_f64();
        let message = format!(
            "Rate limit reached for {model} on {what} per {per}s: Limit {most}, Used {used}, Requested 1. Please try again in {}ms.",
            wait.as_millis()
        );
        let kind = if *what == "tokens" { "tokens" } else { "requests" };
        let failure = Failure::new(429, style)
            .words(kind, "rate_limit_exceeded")
            .message(message)
            .headers(RetryAfter::Both.headers(*wait))
            .resets_after(*wait);
        match limit.requests.filter(|_| limit.headers) {
            Some(requests) => failure.headers(rate_headers(format, requests, 0, *wait)),
            None => failure,
        }
    }
}

/// A place under a rule's limit. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    rules: Arc<Rules>,
    rule: usize,
    scope: u64,
}

impl Ticket {
    pub(crate) fn new(rules: &Arc<Rules>, rule: usize, scope: u64) -> Self {
        Self { rules: Arc::clone(rules), rule, scope }
    }

    /// Counts tokens towards the limit.
    pub(crate) fn spend(&self, tokens: u64) {
        self.rules.window(self.rule, self.scope, |window| {
            window.spent.push_back((Instant::now(), tokens));
            window.tokens += tokens;
        });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.rules.window(self.rule, self.scope, |window| window.running = window.running.saturating_sub(1));
    }
}
