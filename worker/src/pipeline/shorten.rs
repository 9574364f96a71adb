//! Shorter texts.

use std::ops::Range;

use super::env::CountTokens;

/// The text with its middle left out, so that it has at most `most` tokens; the text itself if it has no more.
/// `None` if next to nothing would be left.
pub(super) fn to_tokens(text: &str, most: usize, tokens: &CountTokens) -> Option<String> {
    let all = tokens(text);
    if all <= most {
        return Some(text.to_owned());
    }
    let mut keep = text.len().saturating_mul(most) / all;
    while keep >= 16 {
        let short = without_middle(text, keep);
        if tokens(&short) <= most {
            return Some(short);
        }
        keep -= (keep / 10).max(8);
    }
    None
}

/// About `keep` bytes: two thirds from the beginning, one third from the end, whole lines where there are some.
fn without_middle(text: &str, keep: usize) -> String {
    let head = text.floor_char_boundary(keep / 3 * 2);
    let head = text[..head].rfind('\n').map_or(head, |end| end + 1);
    let tail = text.ceil_char_boundary(text.len() - (keep / 3).min(text.len()));
    let tail = text[tail..].find('\n').map_or(tail, |end| tail + end + 1).max(head);
    let tail = if tail == text.len() {
        text.ceil_char_boundary(text.len() - (keep / 3).min(text.len()))
    } else {
        tail
    };
    let gone = text[head..tail].lines().count();
    let end = if text[..head].ends_with('\n') || head == 0 { "" } else { "\n" };
    format!("{}{end}[... {gone} lines are left out here ...]\n{}", &text[..head], &text[tail..])
}

/// The text in pieces of about `most` tokens, cut at line ends where there are some.
pub(super) fn pieces(text: &str, most: usize, tokens: &CountTokens) -> Vec<Range<usize>> {
    let count = tokens(text).div_ceil(most.max(1)).max(1);
    let size = text.len().div_ceil(count).max(1);
    let (mut pieces, mut start) = (Vec::new(), 0);
    while start < text.len() {
        let end = text.ceil_char_boundary((start + size).min(text.len()));
        let end = match text[start..end].rfind('\n') {
            Some(line) if end < text.len() && line > 0 => start + line + 1,
            _ => end,
        };
        pieces.push(start..end);
        start = end;
    }
    pieces
}

/// The end of a text, at most `most` characters.
pub(super) fn tail(text: &str, most: usize) -> String {
    match text.char_indices().rev().nth(most.saturating_sub(1)) {
        Some((start, _)) if start > 0 => format!("[...]\n{}", &text[start..]),
        _ => text.to_owned(),
    }
}

/// The beginning of a text, at most `most` characters.
pub(super) fn head(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}\n[...]", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> usize {
        text.split_whitespace().count()
    }

    #[test]
    fn head_and_end_stay_and_the_limit_holds() {
        let text: String = (0..1000).map(|n| format!("line {n}\n")).collect();
        for most in [1000, 100, 30] {
            let short = to_tokens(&text, most, &words).unwrap();
            assert!(words(&short) <= most && words(&short) > most / 2, "{most}: {}", words(&short));
            assert!(short.starts_with("line 0\n") && short.ends_with("line 999\n"), "{short}");
        }
        assert_eq!(to_tokens(&text, 3, &words), None);
        assert_eq!(to_tokens("a b", 2, &words).as_deref(), Some("a b"));
    }

    #[test]
    fn one_long_line_and_wide_characters_are_cut_too() {
        let text = "ünïcödé ".repeat(1000);
        let short = to_tokens(&text, 100, &words).unwrap();
        assert!(words(&short) <= 100 && short.contains("left out"), "{short}");
        assert_eq!(to_tokens(&"é".repeat(100_000), 0, &|text| text.len()), None);
    }

    #[test]
    fn pieces_are_the_whole_text() {
        for text in ["", "ab", &"ü".repeat(1000), &"line\n".repeat(1000)] {
            let pieces = pieces(text, 7, &|text| text.len() / 3);
            let joined: String = pieces.iter().map(|piece| &text[piece.clone()]).collect();
            assert_eq!(joined, text);
        }
    }

    #[test]
    fn ends_are_kept_by_characters() {
        assert_eq!((tail("äöü", 2).as_str(), tail("äöü", 3).as_str()), ("[...]\nöü", "äöü"));
        assert_eq!((head("äöü", 2).as_str(), head("äöü", 3).as_str()), ("äö\n[...]", "äöü"));
    }
}
