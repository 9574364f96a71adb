//! Closed lists of words: each is an enum that is written, read and checked as text.

/// The known word that `word` was probably meant to be.
pub(crate) fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().take(MAX_WORD + 1).count();
    if length > MAX_WORD {
        return None;
    }
    // Two words of three letters are alike by chance, so a short word may differ less.
    let most = (length / 3).clamp(1, 3);
    let near = known.into_iter().map(|known| (strsim::damerau_levenshtein(word, known), known));
    near.filter(|(distance, _)| *distance <= most).min().map(|(_, known)| known)
}

/// Longest text that is compared with known words.
const MAX_WORD: usize = 100;

/// Says that `word` is none of the known ones, and which was meant or which there are.
pub(crate) fn unknown(what: &str, word: &str, known: &[&str]) -> String {
    let shown: String = word.chars().take(MAX_WORD).collect();
    match suggest(word, known.iter().copied()) {
        Some(meant) => format!("unknown {what} {shown:?}; did you mean {meant:?}?"),
        None => format!("unknown {what} {shown:?}; known are {}", known.join(", ")),
    }
}

/// An enum whose variants are words. It reads and writes them as text and as JSON.
macro_rules! words {
    (
        $(#[$doc:meta])* pub enum $name:ident : $what:literal {
            $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        #[serde(try_from = "String", into = "String")]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let found = Self::ALL.iter().copied().find(|word| word.as_str() == text);
                found.ok_or_else(|| $crate::words::unknown($what, text, &[$($word),+]))
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                word.as_str().to_owned()
            }
        }
    };
}

pub(crate) use words;

#[cfg(test)]
mod tests {
    words! {
        /// For these tests.
        pub enum Colour: "colour" {
            /// Red.
            Red = "red",
            /// Green.
            Green = "green",
        }
    }

    #[test]
    fn a_word_is_read_and_a_strange_one_is_answered_with_the_nearest() {
        assert_eq!("green".parse(), Ok(Colour::Green));
        assert_eq!("gren".parse::<Colour>().unwrap_err(), "unknown colour \"gren\"; did you mean \"green\"?");
        assert_eq!(
            "violet".parse::<Colour>().unwrap_err(),
            "unknown colour \"violet\"; known are red, green"
        );
        assert!("x".repeat(1_000_000).parse::<Colour>().unwrap_err().len() < 200);
        assert_eq!(serde_json::to_string(&Colour::Red).unwrap(), "\"red\"");
        assert!(serde_json::from_str::<Colour>("\"blue\"").is_err());
    }
}
