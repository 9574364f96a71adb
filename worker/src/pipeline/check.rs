//! The validators, and how each is checked at the start and run.

mod command;
mod coverage;
mod execution;
mod finding;
#[cfg(feature = "grammars")]
mod grammar;
mod judge;
mod names;
mod python;
mod report;
mod schema;
mod syntax;
mod test_names;
mod text;

use std::time::Instant;

use windlass_shared::config::pipeline::{CheckKind, CheckSpec, Severity};

use self::{
    command::Command,
    coverage::Coverage,
    execution::Execution,
    finding::Finding,
    judge::Judge,
    schema::Schema,
    syntax::Syntax,
    test_names::TestNames,
    text::{FilesPresent, Forbidden, MaxLength, Pattern},
};
#[cfg(feature = "fuzz")]
pub(crate) mod reports {
    pub(crate) use super::{execution::passed_part, report::coverage};
}

use super::{
    Draft, Env, redact, shorten,
    verdict::{Check, MESSAGE},
};
use crate::executor::Failure;

/// One validator, checked.
#[derive(Debug)]
pub(super) struct Validator {
    name: String,
    severity: Severity,
    weight: f64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Syntax(Syntax),
    Schema(Schema),
    Pattern(Pattern),
    TestNames(TestNames),
    Forbidden(Forbidden),
    Coverage(Coverage),
    Execution(Execution),
    Judge(Judge),
    Command(Command),
    FilesPresent(FilesPresent),
    MaxLength(MaxLength),
}

impl Validator {
    /// Checks what the configuration says, or tells all that is wrong with it.
    pub(super) fn new(spec: &CheckSpec) -> Result<Self, Vec<String>> {
        let kind = match &spec.kind {
            CheckKind::Syntax(options) => Kind::Syntax(Syntax::new(*options)?),
            CheckKind::JsonSchema(options) => Kind::Schema(Schema::new(options)?),
            CheckKind::Regex(options) => Kind::Pattern(Pattern::new(options)?),
            CheckKind::TestNames(options) => Kind::TestNames(TestNames::new(*options)?),
            CheckKind::Forbidden(options) => Kind::Forbidden(Forbidden::new(options)?),
            CheckKind::Coverage(options) => Kind::Coverage(Coverage::new(options)?),
            CheckKind::Execution(options) => Kind::Execution(Execution::new(options)?),
            CheckKind::Judge(options) => Kind::Judge(Judge::new(options)?),
            CheckKind::Command(options) => Kind::Command(Command::new(options)?),
            CheckKind::FilesPresent(options) => Kind::FilesPresent(FilesPresent::new(options)?),
            CheckKind::MaxLength(options) => Kind::MaxLength(MaxLength::new(*options)),
        };
        // What is only told weighs nothing.
        let weight = if spec.severity == Severity::Info { 0.0 } else { spec.weight };
        Ok(Self { name: spec.name.clone(), severity: spec.severity, weight, kind })
    }

    /// What it is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether its failure fails the result.
    pub(super) fn decides(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Whether it takes time or money.
    pub(super) fn costs(&self) -> bool {
        matches!(self.kind, Kind::Coverage(_) | Kind::Execution(_) | Kind::Judge(_) | Kind::Command(_))
    }

    /// Runs it. A failure is one of the node or of a provider, not of the answer; where the validator does not
    /// decide, it is a finding that weighs nothing.
    pub(super) async fn run(&self, draft: &Draft, env: &Env<'_>) -> Result<Check, Failure> {
        let started = Instant::now();
        let (ran, finding) = match self.find(draft, env).await {
            Ok(finding) => (true, finding),
            Err(failure) if self.decides() => return Err(failure),
            Err(failure) => (false, Finding::failed(format!("it could not be run: {}", failure.message))),
        };
        let weight = if ran { self.weight } else { 0.0 };
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Check { ran, weight, duration_ms, ..self.check(&finding) })
    }

    /// What is said of it when it was not worth running.
    pub(super) fn not_run(&self) -> Check {
        let finding = Finding::failed("it was not run, since a check before it failed".to_owned());
        Check { ran: false, ..self.check(&finding) }
    }

    fn check(&self, finding: &Finding) -> Check {
        Check {
            validator: self.name.clone(),
            severity: self.severity,
            ran: true,
            passed: finding.passed,
            score: finding.score.clamp(0.0, 1.0),
            weight: self.weight,
            message: shorten::tail(&redact::clean(&finding.message), MESSAGE),
            duration_ms: 0,
        }
    }

    async fn find(&self, draft: &Draft, env: &Env<'_>) -> Result<Finding, Failure> {
        match &self.kind {
            Kind::Syntax(check) => check.find(draft, env).await,
            Kind::Schema(check) => Ok(check.find(draft)),
            Kind::Pattern(check) => Ok(check.find(draft)),
            Kind::TestNames(check) => check.find(draft).await,
            Kind::Forbidden(check) => Ok(check.find(draft)),
            Kind::Coverage(check) => check.find(draft, env).await,
            Kind::Execution(check) => check.find(draft, env).await,
            Kind::Judge(check) => check.find(draft, env).await,
            Kind::Command(check) => check.find(draft, env).await,
            Kind::FilesPresent(check) => check.find(draft),
            Kind::MaxLength(check) => Ok(check.find(draft, env)),
        }
    }
}
