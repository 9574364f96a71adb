//! Roman numerals, 1 to 3999.

const DIGITS: [(u32, &str); 13] = [
    (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"),
    (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
];

/// Writes `n` in Roman numerals; none outside 1 to 3999.
pub fn to_roman(mut n: u32) -> Option<String> {
    if !(1..4000).contains(&n) {
        return None;
    }
    let mut text = String::new();
    for (value, digit) in DIGITS {
        while n >= value {
            text.push_str(digit);
            n -= value;
        }
    }
    Some(text)
}

/// Reads Roman numerals; none if they are not written as [`to_roman`] writes them.
pub fn from_roman(text: &str) -> Option<u32> {
    let (mut rest, mut n) = (text, 0);
    for (value, digit) in DIGITS {
        while let Some(after) = rest.strip_prefix(digit) {
            n += value;
            rest = after;
        }
    }
    (rest.is_empty() && to_roman(n).as_deref() == Some(text)).then_some(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_survives_a_round_trip() {
        for n in 1..4000 {
            assert_eq!(from_roman(&to_roman(n).unwrap()), Some(n));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(to_roman(0), None);
        assert_eq!(from_roman("IIII"), None);
        assert_eq!(from_roman("VX"), None);
    }
}
