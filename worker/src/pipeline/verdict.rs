//! What the validators found, and what it adds up to.
//!
//! The score is the weighted mean of the scores of all checks: sum of weight × score, divided by the sum of weights;
//! 1 if nothing weighs. A check of severity `info` weighs nothing. A check that was not worth running, since one
//! before it failed, counts with score 0; one that could not be run, for no fault of the answer's, weighs nothing.
//! A result passes if no check of severity `error` failed and the score reaches the threshold.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use windlass_shared::config::pipeline::Severity;

use super::{redact, shorten};

/// Most characters of a check's message, and of the feedback to a model.
pub(super) const MESSAGE: usize = 4000;
const FEEDBACK: usize = 12_000;

/// What is between a score and its threshold for being the same number.
const EPSILON: f64 = 1e-9;

/// What all validators found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether the result may be used.
    pub passed: bool,
    /// From 0 to 1.
    pub score: f64,
    /// The score that was needed.
    pub threshold: f64,
    /// What each validator found, in order.
    pub checks: Vec<Check>,
}

/// What one validator found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Its name.
    pub validator: String,
    /// What its failure means.
    pub severity: Severity,
    /// Whether it was run.
    pub ran: bool,
    /// Whether all was well.
    pub passed: bool,
    /// From 0 to 1.
    pub score: f64,
    /// The weight that the score has in this verdict.
    pub weight: f64,
    /// What is wrong, for people and for the model; may be empty if nothing is.
    pub message: String,
    /// How long it took.
    pub duration_ms: u64,
}

impl Verdict {
    /// What these checks add up to.
    pub(super) fn new(checks: Vec<Check>, threshold: f64) -> Self {
        let weight: f64 = checks.iter().map(|check| check.weight).sum();
        let weighted: f64 = checks.iter().map(|check| check.weight * check.score).sum();
        let score = if weight > 0.0 { weighted / weight } else { 1.0 };
        let failed = checks.iter().any(|check| check.severity == Severity::Error && !check.passed);
        Self { passed: !failed && score + EPSILON >= threshold, score, threshold, checks }
    }

    /// What to tell the model so that its next answer passes. Bounded, and without secrets.
    pub fn feedback(&self) -> String {
        let mut failed: Vec<&Check> = self.checks.iter().filter(|check| check.ran && !check.passed).collect();
        failed.sort_by_key(|check| check.severity as u8);
        let mut text = String::from("Your last answer was checked, and this is wrong with it:\n");
        for check in &failed {
            let word = match check.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Info => "note",
            };
            let _ = write!(text, "\n- {} ({word}): {}\n", check.validator, check.message.trim());
        }
        if failed.is_empty() {
            let _ = write!(text, "\n- its score is {:.2}, and {:.2} is needed\n", self.score, self.threshold);
        }
        let text = shorten::head(&redact::clean(&text), FEEDBACK);
        text + "\n\nAnswer again, completely, with all of this put right. Keep what was good."
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(severity: Severity, passed: bool, score: f64, weight: f64) -> Check {
        let validator = format!("{severity:?}").to_lowercase();
        Check { validator, severity, ran: true, passed, score, weight, message: "m".into(), duration_ms: 0 }
    }

    #[test]
    fn the_score_is_the_weighted_mean() {
        let checks = vec![
            check(Severity::Error, true, 1.0, 1.0),
            check(Severity::Warning, false, 0.5, 3.0),
            check(Severity::Info, false, 0.0, 0.0),
        ];
        let verdict = Verdict::new(checks.clone(), 0.625);
        assert_eq!((verdict.score, verdict.passed), (0.625, true));
        assert!(!Verdict::new(checks, 0.63).passed);
        let none = Verdict::new(vec![], 1.0);
        assert_eq!((none.score, none.passed), (1.0, true));
    }

    #[test]
    fn thirds_reach_their_own_threshold() {
        let thirds =
            vec![check(Severity::Warning, false, 0.1, 0.1), check(Severity::Warning, false, 0.1, 0.2)];
        assert!(Verdict::new(thirds, 0.1).passed);
    }

    #[test]
    fn an_error_fails_whatever_the_score() {
        let checks =
            vec![check(Severity::Error, false, 0.99, 1.0), check(Severity::Warning, true, 1.0, 99.0)];
        assert!(!Verdict::new(checks, 0.5).passed);
    }

    #[test]
    fn the_feedback_has_errors_first_and_is_bounded_and_clean() {
        let mut checks = vec![
            check(Severity::Info, false, 0.0, 0.0),
            check(Severity::Error, false, 0.0, 1.0),
            check(Severity::Warning, true, 1.0, 1.0),
        ];
        checks[1].message = "password = 'hunter2'".into();
        let feedback = Verdict::new(checks.clone(), 0.0).feedback();
        assert!(
            feedback.find("- error (error): password = '[redacted:password]'")
                < feedback.find("- info (note): m"),
            "{feedback}"
        );
        assert!(!feedback.contains("- warning") && !feedback.contains("hunter2"));
        checks[1].message = "x ".repeat(1_000_000);
        assert!(Verdict::new(checks, 0.0).feedback().len() < FEEDBACK + 200);
        let low = Verdict::new(vec![check(Severity::Warning, true, 0.5, 1.0)], 0.7).feedback();
        assert!(low.contains("its score is 0.50, and 0.70 is needed"));
    }

    #[test]
    fn it_goes_into_a_result_as_words_and_numbers() {
        let verdict = Verdict::new(vec![check(Severity::Error, true, 1.0, 1.0)], 0.7);
        let json = serde_json::to_value(&verdict).unwrap();
        assert_eq!(json["checks"][0]["severity"], "error");
        assert_eq!(serde_json::from_value::<Verdict>(json).unwrap(), verdict);
    }
}
