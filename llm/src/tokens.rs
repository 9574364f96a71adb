//! How many tokens a text is, counted offline.
//!
//! `OpenAI`'s vocabularies are in the program (1.2 MB), so for its models the count of a text is exact. Others
//! publish their vocabularies in other forms or, as Anthropic, not at all. For them the text is counted with
//! `o200k_base` and the count is multiplied by a factor that is chosen so that it is rarely too low: what counts here
//! is to refuse before any money is spent what cannot fit, and to reserve enough.
//!
//! | word | counted with | factor | how it was found |
//! | --- | --- | --- | --- |
//! | `o200k_base` | its own | 1 | exact |
//! | `cl100k_base` | its own | 1 | exact |
//! | `llama` | `o200k_base` | 1.05 | true counts are 0.89 to 1.02 of it, 1.00 over all |
//! | `deepseek` | `o200k_base` | 1.18 | 0.98 to 1.16, 1.06 over all |
//! | `mistral` | `o200k_base` | 1.25 | 1.01 to 1.25, 1.10 over all; 1.40 where nearly all is digits |
//! | `qwen` | `o200k_base` | 1.25 | 0.89 to 1.23, 1.05 over all; 1.38 where nearly all is digits |
//! | `claude` (4.7 and later) | `o200k_base` | 1.7 | published comparisons: 1.5 over all, 1.7 for English prose |
//! | `claude_4` (before 4.7) | `o200k_base` | 1.4 | published comparisons: 1.2 over all, 1.4 at most |
//! | `gemini`, `cohere`, `smollm`, `other` | `o200k_base` | 1.4 | no comparison; the largest of those above |
//!
//! The ratios in the middle were measured on some seventy files of prose, source code in ten languages, JSON, SQL,
//! Japanese and Chinese. An answer's own usage is always truer than any count; use it once there is one.
//!
//! A vocabulary is read at its first use and then kept: 24 MB of memory and 40 to 90 ms for `o200k_base`, 8 MB for
//! `cl100k_base`; each thread that counts keeps a cache of 1.2 MB more, so count on few threads. Text is counted at
//! more than 100 MB/s; one that repeats a character a million times at some 5 MB/s.

use tiktoken::CoreBpe;

use crate::words::words;

/// Longest piece of text that is counted at once. It bounds the memory and the time that a text without any
/// space takes, and costs at most two tokens of precision for each piece.
const WINDOW: usize = 64 * 1024;

/// Tokens that a message costs besides its text: its role and the marks around it.
const PER_MESSAGE: u64 = 4;

/// Tokens that a list of messages costs besides its messages: the marks with which the answer begins.
const PER_REQUEST: u64 = 3;

words! {
    /// How a family of models cuts text into tokens.
    pub enum Tokenizer: "tokenizer" {
        /// `OpenAI`'s models from GPT-4o on, and gpt-oss.
        O200kBase = "o200k_base",
        /// `OpenAI`'s GPT-3.5, GPT-4 and `text-embedding-3`.
        Cl100kBase = "cl100k_base",
        /// Anthropic's models from 4.7 on.
        Claude = "claude",
        /// Anthropic's models before 4.7.
        Claude4 = "claude_4",
        /// Meta's Llama 3 and later.
        Llama = "llama",
        /// Mistral's models.
        Mistral = "mistral",
        /// `DeepSeek`'s models.
        Deepseek = "deepseek",
        /// Alibaba's Qwen.
        Qwen = "qwen",
        /// Google's Gemini and Gemma.
        Gemini = "gemini",
        /// Cohere's models.
        Cohere = "cohere",
        /// `SmolLM`.
        Smollm = "smollm",
        /// Any other.
        Other = "other",
    }
}

impl Tokenizer {
    /// The tokenizer of a model by its name, or [`Tokenizer::Other`].
    pub fn of_name(name: &str) -> Self {
        let name = name.to_lowercase();
        let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
        let known: [(Self, &[&str]); 10] = [
            (Self::Cl100kBase, &["gpt-3.5", "gpt-4-", "text-embedding-3", "text-embedding-ada"]),
            (Self::O200kBase, &["gpt-", "chatgpt", "openai/o", "codex"]),
            (
                Self::Claude4,
                &["claude-3", "claude-haiku-4", "claude-sonnet-4", "claude-opus-4-5", "claude-opus-4.5"],
            ),
            (Self::Claude, &["claude"]),
            (Self::Deepseek, &["deepseek"]),
            (Self::Llama, &["llama"]),
            (Self::Mistral, &["mistral", "mixtral", "codestral", "devstral", "ministral", "magistral"]),
            (Self::Qwen, &["qwen", "qwq"]),
            (Self::Gemini, &["gemini", "gemma"]),
            (Self::Cohere, &["command-", "cohere", "embed-v4"]),
        ];
        if name == "gpt-4" || name.ends_with("/gpt-4") {
            return Self::Cl100kBase;
        }
        let found = known.iter().find(|(_, parts)| has(parts)).map(|(tokenizer, _)| *tokenizer);
        found.unwrap_or(if has(&["smollm"]) { Self::Smollm } else { Self::Other })
    }

    /// Whether a count is exact and not an estimate that errs upwards.
    pub const fn is_exact(self) -> bool {
        matches!(self, Self::O200kBase | Self::Cl100kBase)
    }

    /// By what the count of the vocabulary at hand is multiplied, in hundredths.
    const fn percent(self) -> u64 {
        match self {
            Self::O200kBase | Self::Cl100kBase => 100,
            Self::Llama => 105,
            Self::Deepseek => 118,
            Self::Mistral | Self::Qwen => 125,
            Self::Claude => 170,
            Self::Claude4 | Self::Gemini | Self::Cohere | Self::Smollm | Self::Other => 140,
        }
    }

    /// What a count by the vocabulary `o200k_base` means for this one: the same, or somewhat more.
    pub const fn scaled(self, tokens: u64) -> u64 {
        (tokens * self.percent()).div_ceil(100)
    }

    /// The tokens of a text, or somewhat more than that if it is not [exact](Self::is_exact).
    pub fn count(self, text: &str) -> u64 {
        (self.raw(text) * self.percent()).div_ceil(100)
    }

    /// The tokens of a list of messages, each with its role's name and its text, with what a chat format adds.
    ///
    /// Formats add three to five tokens a message; four are counted. Tools and images are not text: a tool's
    /// definition counts as the text of its JSON, an image as what its provider says.
    pub fn count_messages<'a>(self, messages: impl IntoIterator<Item = &'a str>) -> u64 {
        let each = messages.into_iter().map(|text| self.count(text) + PER_MESSAGE);
        PER_REQUEST + each.sum::<u64>()
    }

    fn raw(self, text: &str) -> u64 {
        let name = if self == Self::Cl100kBase { "cl100k_base" } else { "o200k_base" };
        let tokens = |vocabulary: &CoreBpe| windows(text).map(|part| vocabulary.count(part) as u64).sum();
        // A build without the vocabulary still errs upwards: no text has more tokens than bytes.
        tiktoken::get_encoding(name).map_or(text.len() as u64, tokens)
    }
}

/// The text in pieces of about [`WINDOW`] bytes, cut before white space where there is some.
fn windows(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let (part, rest) = text.split_at(cut(text));
        text = rest;
        Some(part)
    })
}

/// Where the first piece ends.
fn cut(text: &str) -> usize {
    if text.len() <= WINDOW {
        return text.len();
    }
    let end = text.floor_char_boundary(WINDOW);
    let half = text.floor_char_boundary(WINDOW / 2);
    let space = text[half..end].rfind(|c: char| c.is_ascii_whitespace());
    space.map_or(end, |at| half + at)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counts_are_those_of_the_true_vocabularies() {
        // From OpenAI's own tokenizer.
        for (text, o200k, cl100k) in [
            ("", 0, 0),
            ("hello world", 2, 2),
            ("tiktoken is great!", 6, 6),
            ("antidisestablishmentarianism", 6, 6),
            ("2 + 2 = 4", 7, 7),
            ("お誕生日おめでとう", 8, 9),
        ] {
            assert_eq!(Tokenizer::O200kBase.count(text), o200k, "{text}");
            assert_eq!(Tokenizer::Cl100kBase.count(text), cl100k, "{text}");
        }
    }

    #[test]
    fn what_is_not_exact_errs_upwards() {
        let text = "fn main() { println!(\"hello\"); }\n".repeat(100);
        let exact = Tokenizer::O200kBase.count(&text);
        for &tokenizer in Tokenizer::ALL {
            let count = tokenizer.count(&text);
            assert!(count >= exact * 99 / 100 && count <= exact * 2, "{tokenizer}: {count} of {exact}");
            assert_eq!(tokenizer.is_exact(), tokenizer.percent() == 100);
        }
        assert_eq!(Tokenizer::Claude.count("hello world"), 4);
    }

    #[test]
    fn messages_cost_more_than_their_text() {
        let tokenizer = Tokenizer::O200kBase;
        assert_eq!(tokenizer.count_messages([]), PER_REQUEST);
        assert_eq!(tokenizer.count_messages(["hello world", ""]), 2 + 2 * PER_MESSAGE + PER_REQUEST);
    }

    #[test]
    fn a_text_is_counted_in_pieces_with_hardly_any_loss() {
        let text = "The quick brown fox jumps over the lazy dog, 42 times.\n".repeat(20_000);
        let whole = tiktoken::get_encoding("o200k_base").unwrap().count(&text) as u64;
        let pieces = text.len().div_ceil(WINDOW / 2) as u64;
        assert!(Tokenizer::O200kBase.count(&text).abs_diff(whole) <= 2 * pieces);
    }

    #[test]
    fn megabytes_without_a_space_take_no_more_than_seconds() {
        let started = Instant::now();
        assert!(Tokenizer::O200kBase.count(&"a".repeat(1 << 20)) > 100_000);
        assert!(Tokenizer::O200kBase.count(&"é".repeat(1 << 20)) > 100_000);
        assert!(started.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_name_tells_its_family() {
        for (name, tokenizer) in [
            ("gpt-6-luna", Tokenizer::O200kBase),
            ("openai/gpt-oss-120b", Tokenizer::O200kBase),
            ("gpt-4", Tokenizer::Cl100kBase),
            ("gpt-4.1", Tokenizer::O200kBase),
            ("gpt-4o", Tokenizer::O200kBase),
            ("claude-sonnet-4-5", Tokenizer::Claude4),
            ("anthropic/claude-opus-5.5", Tokenizer::Claude),
            ("meta-llama/llama-3.3-70b-instruct", Tokenizer::Llama),
            ("mistralai/devstral-2512", Tokenizer::Mistral),
            ("my-model", Tokenizer::Other),
        ] {
            assert_eq!(Tokenizer::of_name(name), tokenizer, "{name}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_text_is_lost_in_pieces(text in "[ a-z\u{e9}\u{4e16}\u{1f600}]{0,400}", times in 1_usize..500) {
            let text = text.repeat(times);
            prop_assert_eq!(windows(&text).collect::<String>(), text.as_str());
            prop_assert!(windows(&text).all(|part| part.len() <= WINDOW && !part.is_empty()));
        }
    }
}
