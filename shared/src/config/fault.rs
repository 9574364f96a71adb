//! What is wrong with a configuration, and the guess at what was meant.

/// Everything that is wrong with a configuration, one fault per line.
///
/// Each line names where the value stands (the file and the key, the variable or the flag) and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigFaults(pub Vec<String>);

/// The known word that `word` was probably meant to be.
pub(super) fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Two words of three letters are alike by chance, so a short word may differ less.
    let most = (word.chars().count() / 3).clamp(1, 3);
    let near = known.into_iter().map(|k| (strsim::damerau_levenshtein(word, k), k));
    near.filter(|(distance, _)| *distance <= most).min().map(|(_, known)| known)
}

/// Says that `at.name` is no known key, and which of the keys at this place was meant or exists.
pub(super) fn unknown_key(at: &str, name: &str, known: &[&str]) -> String {
    let full = |name: &str| join(at, name);
    match suggest(name, known.iter().copied()) {
        Some(meant) => format!("unknown key {}; did you mean {}?", full(name), full(meant)),
        None => format!("unknown key {}; the keys here are {}", full(name), known.join(", ")),
    }
}

/// `at.name`, or the one of them that is not empty.
pub(super) fn join(at: &str, name: &str) -> String {
    if at.is_empty() || name.is_empty() { format!("{at}{name}") } else { format!("{at}.{name}") }
}

/// All values, or all that is wrong with them.
pub(super) fn all<T>(results: impl Iterator<Item = Result<T, String>>) -> Result<Vec<T>, String> {
    let (mut values, mut faults) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(values) } else { Err(faults.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested_and_a_strange_one_is_not() {
        let known = ["queues", "concurrency", "lease"];
        assert_eq!(suggest("concurency", known), Some("concurrency"));
        assert_eq!(suggest("leese", known), Some("lease"));
        assert_eq!(suggest("colour", known), None);
        assert_eq!(suggest("id", ["ip", "no"]), Some("ip"));
    }

    #[test]
    fn without_a_suggestion_the_known_keys_are_listed() {
        assert_eq!(
            unknown_key("http", "colour", &["allow_hosts"]),
            "unknown key http.colour; the keys here are allow_hosts"
        );
    }
}
