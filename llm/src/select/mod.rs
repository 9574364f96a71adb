//! The selector: which models may do a task, in which order, and why.
//!
//! [`rank`] goes through the candidates: all models of the catalog or, if the requirements name models, those. A
//! candidate that fails a requirement is left out, with every reason. The others are ranked by a score.
//!
//! # Score
//!
//! The sum of five parts. Each is a value from 0 to 1 times a weight; the weights add up to 1, so a score is from 0
//! to 1 as well.
//!
//! | part | value |
//! | --- | --- |
//! | `quality` | (prior × 10 + score × n) ÷ (10 + n): the catalog's figure for the category, corrected by the mean score of n validated answers |
//! | `success` | (prior × 10 + rate × n) ÷ (10 + n), over n calls |
//! | `latency` | 1 − log(1 + t ÷ 100 ms) ÷ log(1 + 3000), at least 0; t is the expected time, 5 minutes give 0 |
//! | `cost` | 1 − log(1 + c ÷ $0.0001) ÷ log(1 + 100 000), at least 0; c is the expected cost of a call, $10 give 0; an unknown price gives 0 |
//! | `specialisation` | 1 if the model is made for what is asked, else ½ if it is `general`, else 0 |
//!
//! n is what the fleet has counted for this model and category, decayed over time, so old observations lose their
//! weight (see [`LiveFigures`]). Time and cost fall by about the same step for each factor of ten: whether a call takes
//! one second or two matters as much as whether it takes thirty or sixty.
//!
//! The expected time is (prior × 10 + measured × n) ÷ (10 + n) as well. The prior is the catalog's latency of a short
//! answer, plus the tokens beyond it at the model's speed. The expected length of the answer is what the requirements
//! say, else what the fleet has measured, else 100 tokens; a request of unknown length has 1000.
//!
//! What is asked of a model's specialisations is the requirement's `specialisation`, or by category: `code` for
//! `unit_test`, `refactoring` and `bug_fix`; `code` or `reasoning` for `code_review`; `reasoning` for `analysis`;
//! `general` for `documentation` and every other word.
//!
//! Weights by [`Mode`], before complexity:
//!
//! | mode | quality | success | latency | cost | specialisation |
//! | --- | --- | --- | --- | --- | --- |
//! | `balanced` | 0.40 | 0.20 | 0.15 | 0.15 | 0.10 |
//! | `cheapest` | 0.15 | 0.10 | 0.05 | 0.65 | 0.05 |
//! | `fastest` | 0.15 | 0.10 | 0.65 | 0.05 | 0.05 |
//! | `quality` | 0.70 | 0.15 | 0.03 | 0.02 | 0.10 |
//!
//! [`Complexity`] multiplies them, and the products are scaled to add up to 1 again. It also sets the quality that is
//! asked for if the requirements set none:
//!
//! | complexity | quality × | latency × | cost × | quality asked for |
//! | --- | --- | --- | --- | --- |
//! | `simple` | 0.6 | 1.5 | 1.5 | none |
//! | `moderate` | 1 | 1 | 1 | 0.40 |
//! | `complex` | 1.5 | 0.6 | 0.6 | 0.70 |
//! | `expert` | 2 | 0.3 | 0.3 | 0.85 |
//!
//! The quality in this last column is a wish, not a condition: if no usable model has it, those that lack nothing
//! else are ranked after all, and [`Ranking::notes`] says so. A quality in the requirements is a condition.
//!
//! Equal scores: the cheaper model comes first (an unknown price is the dearest), then the smaller id.
//!
//! # Named models
//!
//! Requirements may name models. Then these are the candidates and keep their order, whatever their scores. They must
//! still be able to do the call (window, tools, JSON, images), be affordable and be usable now; quality, latency,
//! specialisation and provider are not asked for: who names a model has decided these.
//!
//! # Nothing fits
//!
//! [`Ranking::nearest`] gives the models that lack the least, with what would have to be relaxed, and
//! [`Ranking::refusal`] says it in a sentence.
//!
//! # Room for a learned mode
//!
//! The believed quality is a Beta distribution ([`Belief`]), and the score takes [`Live::value_of`] it: its mean. A
//! mode that learns gives a draw from it instead (Thompson sampling). Conditions always use the mean.

mod estimate;
mod filter;
mod live;
mod need;
mod rank;
mod ranking;
mod score;
mod weights;

pub use self::{
    live::{Availability, Belief, Live, LiveFigures, NothingMeasured, State},
    need::{Complexity, Requirements},
    rank::{UnknownModels, rank},
    ranking::{Lack, LeftOut, Part, Ranked, Ranking, Reason},
    weights::{Mode, Weights},
};

#[cfg(test)]
mod tests;
