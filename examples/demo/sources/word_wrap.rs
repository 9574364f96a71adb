//! Breaks text into lines.

/// Breaks `text` at blanks so that no line has more than `width` characters; a longer word has a line of its own.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn lines_are_as_long_as_they_may_be() {
        assert_eq!(wrap("a worker takes a task and runs it", 10), ["a worker", "takes a", "task and", "runs it"]);
        assert_eq!(wrap("incomprehensibilities are long", 5), ["incomprehensibilities", "are", "long"]);
        assert!(wrap("   ", 5).is_empty());
    }
}
