//! An amount of money.

use std::{fmt, iter::Sum, str::FromStr};

use serde::{Deserialize, Serialize};

/// Decimal places of a dollar that an amount keeps.
const PLACES: usize = 9;

/// Nano-dollars in a dollar.
const DOLLAR: i64 = 1_000_000_000;

/// Longest text that can be an amount. More is a mistake, not money.
const MAX_TEXT: usize = 64;

/// An amount of US dollars in billionths, up to about nine billion dollars either way.
///
/// As text it is `$0.001234`; in JSON and in Redis it is the integer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nano(i64);

/// Why a text is no amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAmount {
    /// Not a plain decimal number.
    #[error("an amount is a plain decimal number of dollars, such as 0.50 or $1.25")]
    NotANumber,
    /// More than nine decimal places.
    #[error("an amount has at most nine decimal places")]
    TooFine,
    /// Beyond what can be kept.
    #[error("an amount is at most nine billion dollars")]
    TooLarge,
}

impl Nano {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount.
    pub const MAX: Self = Self(i64::MAX);

    /// An amount of so many nano-dollars.
    pub const fn new(nano: i64) -> Self {
        Self(nano)
    }

    /// The nano-dollars.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The nearest amount to a number of dollars; nothing if it is no number or too large.
    pub fn from_usd(usd: f64) -> Option<Self> {
        Self::rounded(usd * DOLLAR as f64)
    }

    /// The nearest amount per million tokens to a number of dollars per token, which is how some providers list
    /// their prices.
    pub fn per_million(usd_per_token: f64) -> Option<Self> {
        Self::rounded(usd_per_token * DOLLAR as f64 * 1e6)
    }

    /// The same from a text such as `0.00000015`, without passing through a float.
    pub fn parse_per_million(usd_per_token: &str) -> Result<Self, InvalidAmount> {
        match decimal(usd_per_token, PLACES + 6) {
            Err(InvalidAmount::TooFine | InvalidAmount::NotANumber) => {
                let usd: f64 = usd_per_token.trim().parse().map_err(|_| InvalidAmount::NotANumber)?;
                Self::per_million(usd).ok_or(InvalidAmount::TooLarge)
            }
            result => result.map(Self),
        }
    }

    /// The amount in dollars, for people and for scores. Sums are made of amounts, not of this.
    pub fn usd(self) -> f64 {
        self.0 as f64 / DOLLAR as f64
    }

    /// The sum, or nothing if it cannot be kept.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or nothing if it cannot be kept.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The sum, or the nearest amount that can be kept.
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, or the nearest amount that can be kept.
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    fn rounded(nano: f64) -> Option<Self> {
        (nano.is_finite() && nano.abs() < i64::MAX as f64).then(|| Self(nano.round() as i64))
    }
}

impl Sum for Nano {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::saturating_add)
    }
}

impl fmt::Display for Nano {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nano = self.0.unsigned_abs();
        let (dollars, rest) = (nano / DOLLAR.unsigned_abs(), nano % DOLLAR.unsigned_abs());
        let places = format!("{rest:09}");
        let places = format!("{:0<2}", places.trim_end_matches('0'));
        let sign = if self.0 < 0 { "-" } else { "" };
        f.pad(&format!("{sign}${dollars}.{places}"))
    }
}

impl FromStr for Nano {
    type Err = InvalidAmount;

    fn from_str(text: &str) -> Result<Self, InvalidAmount> {
        decimal(text, PLACES).map(Self)
    }
}

/// The number that the text says, times ten to the power of `places`.
fn decimal(text: &str, places: usize) -> Result<i64, InvalidAmount> {
    let text = text.trim();
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let text = text.strip_prefix('$').unwrap_or(text);
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part = part.trim_end_matches('0');
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if text.len() > MAX_TEXT
        || !digits(whole)
        || !digits(part)
        || !text.contains(|c: char| c.is_ascii_digit())
    {
        return Err(InvalidAmount::NotANumber);
    }
    if part.len() > places {
        return Err(InvalidAmount::TooFine);
    }
    let number = format!("{}{whole}{part:0<places$}", if negative { "-" } else { "" });
    number.parse().map_err(|_| InvalidAmount::TooLarge)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_amount_is_written_with_cents_and_with_no_digit_lost() {
        for (nano, text) in [
            (0, "$0.00"),
            (1_234_000, "$0.001234"),
            (1, "$0.000000001"),
            (1_000_000_000, "$1.00"),
            (12_500_000_000, "$12.50"),
            (-50_000_000, "-$0.05"),
            (i64::MAX, "$9223372036.854775807"),
            (i64::MIN, "-$9223372036.854775808"),
        ] {
            assert_eq!(Nano::new(nano).to_string(), text);
            assert_eq!(text.parse(), Ok(Nano::new(nano)));
        }
    }

    #[test]
    fn an_amount_is_read_with_and_without_the_sign_of_the_dollar() {
        for (text, nano) in
            [("1.00", DOLLAR), ("$0.5", 500_000_000), (" 2 ", 2 * DOLLAR), (".5", 500_000_000)]
        {
            assert_eq!(text.parse(), Ok(Nano::new(nano)), "{text}");
        }
        for text in ["", "$", ".", "1,000", "1e3", "ten", "--1", "1.2.3", "$-1", "1 000", "0x1", "١"] {
            assert_eq!(text.parse::<Nano>(), Err(InvalidAmount::NotANumber), "{text}");
        }
        assert_eq!("0.0000000001".parse::<Nano>(), Err(InvalidAmount::TooFine));
        assert_eq!("9999999999".parse::<Nano>(), Err(InvalidAmount::TooLarge));
        assert_eq!("1".repeat(10_000).parse::<Nano>(), Err(InvalidAmount::NotANumber));
    }

    #[test]
    fn a_price_per_token_keeps_its_digits() {
        assert_eq!(Nano::parse_per_million("0.00000015"), Ok(Nano::new(150_000_000)));
        assert_eq!(Nano::parse_per_million("0.0000000000000016"), Ok(Nano::new(2)));
        assert_eq!(Nano::parse_per_million("7.5e-08"), Ok(Nano::new(75_000_000)));
        assert_eq!(Nano::per_million(1.5e-7), Some(Nano::new(150_000_000)));
        assert_eq!(Nano::per_million(f64::NAN), None);
        assert_eq!(Nano::parse_per_million("NaN"), Err(InvalidAmount::TooLarge));
    }

    #[test]
    fn sums_stop_at_the_largest_amount() {
        assert_eq!(Nano::MAX.checked_add(Nano::new(1)), None);
        assert_eq!([Nano::MAX, Nano::new(1)].into_iter().sum::<Nano>(), Nano::MAX);
        assert_eq!(Nano::new(3).saturating_sub(Nano::new(5)), Nano::new(-2));
        assert_eq!(serde_json::to_string(&Nano::new(5)).unwrap(), "5");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(nano: i64) {
            prop_assert_eq!(Nano::new(nano).to_string().parse(), Ok(Nano::new(nano)));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = text.parse::<Nano>();
            let _ = Nano::parse_per_million(&text);
        }
    }
}
