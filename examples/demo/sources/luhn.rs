//! The check digit of card numbers.

/// Whether the digits of `text` (blanks aside) end in the right check digit.
pub fn is_valid(text: &str) -> bool {
    let digits: Option<Vec<u32>> = text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(10)).collect();
    match digits {
        Some(digits) if digits.len() > 1 => checksum(&digits).is_multiple_of(10),
        _ => false,
    }
}

fn checksum(digits: &[u32]) -> u32 {
    let weigh = |(place, digit): (usize, &u32)| match (place % 2, digit * 2) {
        (0, _) => *digit,
        (_, double) if double > 9 => double - 9,
        (_, double) => double,
    };
    digits.iter().rev().enumerate().map(weigh).sum()
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn known_numbers() {
        assert!(is_valid("4539 3195 0343 6467"));
        assert!(!is_valid("8273 1232 7352 0569"));
        assert!(!is_valid("0"));
        assert!(!is_valid("055a 444 285"));
    }
}
