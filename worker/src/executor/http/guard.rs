//! The circuit breaker of a host, which the fleet shares: after one node has seen a host fail, the others need not.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::Url;
use serde_json::value::RawValue;
use windlass_shared::{
    model::{ErrorClass, time::human},
    store::{BreakerRule, CallVerdict, Gate},
};

use crate::{
    executor::{Carry, Failure},
    gateway::Gateway,
};

/// Asks and tells the breakers of hosts.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    gateway: Arc<Gateway>,
    rule: BreakerRule,
}

impl Guard {
    pub(crate) fn new(gateway: Arc<Gateway>, rule: BreakerRule) -> Self {
        Self { gateway, rule }
    }

    /// Makes the call if the host's breaker lets it, and tells how it went.
    pub(super) async fn around(
        &self,
        url: &Url,
        carry: &Carry,
        call: impl Future<Output = Result<Box<RawValue>, Failure>>,
    ) -> Result<Box<RawValue>, Failure> {
        let Ok(gate) = self.gateway.gate() else { return call.await };
        let name = name(url);
        match gate.may_call(&name, self.rule).await {
            Ok(None) => {}
            Ok(Some(wait)) => return Err(shut(url, wait)),
            // A call that nobody counts is better than none: the breaker guards the host, not the task.
            Err(error) => tracing::warn!(%error, "the breaker of a host could not be asked"),
        }
        let owed = Owed { gate, name: &name, rule: self.rule, carry, since: Instant::now(), told: false };
        let outcome = call.await;
        let (verdict, why) = verdict(&outcome);
        owed.tell(verdict, why).await;
        outcome
    }
}

/// What the breaker must be told, also if the call is dropped half way.
struct Owed<'a> {
    gate: &'a Gate,
    name: &'a str,
    rule: BreakerRule,
    carry: &'a Carry,
    since: Instant,
    told: bool,
}

impl Owed<'_> {
    async fn tell(mut self, verdict: CallVerdict, why: &str) {
        self.told = true;
        tell(self.gate, self.name, verdict, why, self.rule).await;
    }
}

impl Drop for Owed<'_> {
    /// A host that lets the attempt run out of time has failed; a task that was cancelled says nothing of it.
    fn drop(&mut self) {
        let (false, Ok(runtime)) = (self.told, tokio::runtime::Handle::try_current()) else { return };
        let late = self.carry.was_late(self.since.elapsed());
        let (verdict, why) =
            if late { (CallVerdict::Failure, "timeout") } else { (CallVerdict::Neither, "") };
        let (gate, name, rule) = (self.gate.clone(), self.name.to_owned(), self.rule);
        runtime.spawn(async move { tell(&gate, &name, verdict, why, rule).await });
    }
}

async fn tell(gate: &Gate, name: &str, verdict: CallVerdict, why: &str, rule: BreakerRule) {
    if let Err(error) = gate.called(name, verdict, why, rule).await {
        tracing::warn!(%error, "the breaker of a host could not be told");
    }
}

fn name(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or(0);
    format!("http:{}:{port}", url.host_str().unwrap_or_default())
}

fn shut(url: &Url, wait: Duration) -> Failure {
    let message = format!(
        "{} failed too often and is left alone for {} (setting breaker.recovery)",
        url.host_str().unwrap_or_default(),
        human(wait)
    );
    // The task is not to blame: it waits, and no attempt is charged.
    Failure::new(ErrorClass::Connection, message).wait(wait.max(Duration::from_secs(1)))
}

fn verdict(outcome: &Result<Box<RawValue>, Failure>) -> (CallVerdict, &'static str) {
    match outcome {
        Ok(_) => (CallVerdict::Success, ""),
        Err(failure) => match failure.class {
            ErrorClass::Connection | ErrorClass::Timeout | ErrorClass::Server | ErrorClass::Overloaded => {
                (CallVerdict::Failure, failure.class.as_str())
            }
            ErrorClass::RateLimit => (CallVerdict::Neither, ""),
            // It answered, if not as the task wished.
            _ => (CallVerdict::Success, ""),
        },
    }
}
