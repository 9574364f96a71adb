//! Money, exact: whole nano-dollars in Redis, dollars for people and in JSON. No floating point, so no rounding.

use std::fmt;

use serde::{Serialize, Serializer, ser::Error};
use serde_json::value::RawValue;

const NANO: u64 = 1_000_000_000;

/// An amount of nano-dollars. Prints as `$0.05`, serialises as the JSON number `0.05`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Usd(pub(crate) i64);

impl Usd {
    /// Decimals that say something, but at least so many.
    fn decimals(self, least: usize) -> String {
        let decimals = format!("{:09}", self.0.unsigned_abs() % NANO);
        format!("{:0<least$}", decimals.trim_end_matches('0'))
    }

    fn sign(self) -> &'static str {
        if self.0 < 0 { "-" } else { "" }
    }

    fn whole(self) -> u64 {
        self.0.unsigned_abs() / NANO
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}${}.{}", self.sign(), self.whole(), self.decimals(2)))
    }
}

impl utoipa::PartialSchema for Usd {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        f64::schema()
    }
}

impl utoipa::ToSchema for Usd {}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let decimals = self.decimals(0);
        let dot = if decimals.is_empty() { "" } else { "." };
        let number = format!("{}{}{dot}{decimals}", self.sign(), self.whole());
        RawValue::from_string(number).map_err(Error::custom)?.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use windlass_shared::config::dollars;

    use super::*;

    #[test]
    fn an_amount_is_told_exactly_with_as_many_decimals_as_it_needs() {
        for (nano, shown, json) in [
            (0, "$0.00", "0"),
            (10_000_000, "$0.01", "0.01"),
            (1, "$0.000000001", "0.000000001"),
            (1_500_000_000, "$1.50", "1.5"),
            (12_000_000_000, "$12.00", "12"),
            (-250_000_000, "-$0.25", "-0.25"),
            (9_007_199_254_740_993, "$9007199.254740993", "9007199.254740993"),
            (i64::MAX, "$9223372036.854775807", "9223372036.854775807"),
            (i64::MIN, "-$9223372036.854775808", "-9223372036.854775808"),
        ] {
            assert_eq!(Usd(nano).to_string(), shown);
            assert_eq!(serde_json::to_string(&Usd(nano)).unwrap(), json);
            if nano >= 0 {
                assert_eq!(dollars(shown), Some(nano), "what is shown can be typed");
            }
        }
    }
}
