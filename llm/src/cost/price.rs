//! What a model charges, and what a call costs.

use serde::{Deserialize, Serialize};

use super::Nano;

/// Tokens that the amounts of a price are for.
const MILLION: i128 = 1_000_000;

/// What a model charges.
///
/// Each amount is for a million tokens, except `request`. In JSON and TOML amounts are numbers of dollars.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Tokens of the request that were neither read from nor written to the provider's cache.
    #[serde(with = "usd")]
    pub input: Nano,
    /// Tokens of the answer, reasoning included.
    #[serde(with = "usd")]
    pub output: Nano,
    /// Tokens read from the provider's cache; without it they cost as much as `input`.
    #[serde(default, with = "usd_option", skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<Nano>,
    /// Tokens written to the provider's cache; without it they cost as much as `input`.
    #[serde(default, with = "usd_option", skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Nano>,
    /// Charged once for each request.
    #[serde(default, with = "usd", skip_serializing_if = "is_zero")]
    pub request: Nano,
    /// Other amounts for long requests. They replace those above for the whole call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
}

/// The amounts for requests of more than `above` tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// Tokens of the request that are still charged by the tier below.
    pub above: u64,
    /// As in [`Price`].
    #[serde(with = "usd")]
    pub input: Nano,
    /// As in [`Price`].
    #[serde(with = "usd")]
    pub output: Nano,
    /// As in [`Price`].
    #[serde(default, with = "usd_option", skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<Nano>,
    /// As in [`Price`].
    #[serde(default, with = "usd_option", skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Nano>,
}

/// The tokens that a call used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUsage {
    /// All tokens of the request, those of the provider's cache included.
    pub input: u64,
    /// All tokens of the answer, reasoning included.
    pub output: u64,
    /// Of `input`: read from the provider's cache.
    pub cached: u64,
    /// Of `input`: written to the provider's cache.
    pub cache_written: u64,
}

impl Price {
    /// The price of what costs nothing, such as a model of one's own.
    pub fn free() -> Self {
        Self::default()
    }

    /// Whether no call costs anything.
    pub fn is_free(&self) -> bool {
        let amounts = |price: &Self| {
            let cache = [price.cached_input, price.cache_write].into_iter().flatten();
            cache.chain([price.input, price.output]).all(|amount| amount == Nano::ZERO)
        };
        self.request == Nano::ZERO && amounts(self) && self.tiers.iter().all(|tier| amounts(&tier.price()))
    }

    /// What a call costs that used so many tokens, rounded up to the next nano-dollar.
    pub fn cost(&self, usage: &TokenUsage) -> Nano {
        let tier = self.tiers.iter().filter(|tier| usage.input > tier.above).max_by_key(|tier| tier.above);
        let price = tier.map(Tier::price);
        let price = price.as_ref().unwrap_or(self);
        let cached = usage.cached.min(usage.input);
        let written = usage.cache_written.min(usage.input - cached);
        let sum = [
            (usage.input - cached - written, price.input),
            (cached, price.cached_input.unwrap_or(price.input)),
            (written, price.cache_write.unwrap_or(price.input)),
            (usage.output, price.output),
        ]
        .into_iter()
        .map(|(tokens, amount)| i128::from(tokens) * i128::from(amount.get().max(0)))
        .fold(0_i128, i128::saturating_add);
        let nano = i64::try_from(sum.saturating_add(MILLION - 1) / MILLION).unwrap_or(i64::MAX);
        Nano::new(nano).saturating_add(self.request.max(Nano::ZERO))
    }

    /// What a call costs of so many input tokens whose answer is of the given length: what a budget reserves.
    ///
    /// Nothing is assumed to come from the provider's cache, and if writing to it is dearer than reading the request
    /// afresh, all is assumed to be written.
    pub fn estimate(&self, input: u64, output: u64) -> Nano {
        let fresh = TokenUsage { input, output, ..TokenUsage::default() };
        let written = TokenUsage { cache_written: input, ..fresh };
        self.cost(&fresh).max(self.cost(&written))
    }

    /// What is wrong with the amounts, or `Ok`.
    pub(crate) fn check(&self) -> Result<(), String> {
        let amounts = |price: &Self| {
            [
                Some(price.input),
                Some(price.output),
                price.cached_input,
                price.cache_write,
                Some(price.request),
            ]
        };
        let tiers: Vec<Self> = self.tiers.iter().map(Tier::price).collect();
        let mut all = tiers.iter().chain([self]).flat_map(amounts).flatten();
        if all.any(|amount| amount < Nano::ZERO) { Err("no amount is below zero".to_owned()) } else { Ok(()) }
    }
}

impl Tier {
    fn price(&self) -> Price {
        Price {
            input: self.input,
            output: self.output,
            cached_input: self.cached_input,
            cache_write: self.cache_write,
            request: Nano::ZERO,
            tiers: Vec::new(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(amount: &Nano) -> bool {
    *amount == Nano::ZERO
}

/// An amount as a number of dollars.
mod usd {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::Nano;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(super) fn serialize<S: Serializer>(amount: &Nano, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(amount.usd())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Nano, D::Error> {
        let usd = f64::deserialize(deserializer)?;
        Nano::from_usd(usd).ok_or_else(|| D::Error::custom("not an amount of dollars"))
    }
}

/// The same where there may be none.
mod usd_option {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::Nano;

    #[expect(clippy::ref_option, reason = "serde passes a reference")]
    pub(super) fn serialize<S: Serializer>(amount: &Option<Nano>, serializer: S) -> Result<S::Ok, S::Error> {
        amount.map(Nano::usd).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Nano>, D::Error> {
        let amount = Option::<f64>::deserialize(deserializer)?;
        let nano = |usd| Nano::from_usd(usd).ok_or_else(|| D::Error::custom("not an amount of dollars"));
        amount.map(nano).transpose()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usd(text: &str) -> Nano {
        text.parse().unwrap()
    }

    fn price() -> Price {
        Price {
            input: usd("2.00"),
            output: usd("10.00"),
            cached_input: Some(usd("0.20")),
            cache_write: Some(usd("2.50")),
            request: Nano::ZERO,
            tiers: vec![Tier {
                above: 200_000,
                input: usd("4.00"),
                output: usd("15.00"),
                cached_input: Some(usd("0.40")),
                cache_write: None,
            }],
        }
    }

    #[test]
    fn each_kind_of_token_has_its_own_price() {
        let usage = TokenUsage { input: 10_000, output: 1_000, cached: 6_000, cache_written: 1_000 };
        // 3000 × $2 + 6000 × $0.20 + 1000 × $2.50 + 1000 × $10, each per million.
        assert_eq!(price().cost(&usage), usd("0.0197"));
    }

    #[test]
    fn without_prices_of_the_cache_its_tokens_cost_as_the_others() {
        let plain = Price { cached_input: None, cache_write: None, ..price() };
        let usage = TokenUsage { input: 10_000, output: 0, cached: 6_000, cache_written: 1_000 };
        assert_eq!(plain.cost(&usage), usd("0.02"));
    }

    #[test]
    fn a_long_request_is_charged_by_its_tier_as_a_whole() {
        let at = |input| price().cost(&TokenUsage { input, output: 1_000, ..TokenUsage::default() });
        assert_eq!(at(200_000), usd("0.41"));
        assert_eq!(at(200_001), usd("0.815004"));
    }

    #[test]
    fn a_call_that_costs_less_than_a_nano_dollar_is_not_free() {
        let cheap = Price { input: Nano::new(1), ..Price::free() };
        assert_eq!(cheap.cost(&TokenUsage { input: 1, ..TokenUsage::default() }), Nano::new(1));
        assert!(!cheap.is_free());
        assert!(Price::free().is_free());
        assert_eq!(Price::free().estimate(1_000_000, 1_000_000), Nano::ZERO);
    }

    #[test]
    fn a_request_may_have_a_price_of_its_own() {
        let price = Price { request: usd("0.005"), ..Price::free() };
        assert_eq!(price.cost(&TokenUsage::default()), usd("0.005"));
        assert!(!price.is_free());
    }

    #[test]
    fn an_estimate_is_never_below_the_cost_whatever_the_cache_does() {
        assert_eq!(price().estimate(10_000, 1_000), usd("0.035"));
    }

    #[test]
    fn absurd_counts_saturate() {
        let usage =
            TokenUsage { input: u64::MAX, output: u64::MAX, cached: u64::MAX, cache_written: u64::MAX };
        let dear = Price { input: Nano::MAX, output: Nano::MAX, cached_input: None, ..price() };
        assert_eq!(dear.cost(&usage), Nano::MAX);
    }

    #[test]
    fn a_price_is_written_in_dollars_and_read_back() {
        let json = serde_json::to_value(price()).unwrap();
        assert_eq!(json["cached_input"], 0.2);
        assert_eq!(serde_json::from_value::<Price>(json).unwrap(), price());
        let negative = Price { output: Nano::new(-1), ..Price::free() };
        assert!(negative.check().is_err());
    }

    proptest! {
        #[test]
        fn the_cost_lies_between_nothing_and_the_estimate(
            input in 0_u64..2_000_000, output in 0_u64..200_000, cached in 0_u64..3_000_000, written in 0_u64..3_000_000,
        ) {
            let usage = TokenUsage { input, output, cached, cache_written: written };
            let cost = price().cost(&usage);
            prop_assert!(cost >= Nano::ZERO && cost <= price().estimate(input, output));
        }
    }
}
