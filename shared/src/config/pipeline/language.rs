//! The languages that answers are written in.

use serde::Deserialize;

/// A language that syntax and names can be checked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// Python 3.
    #[serde(alias = "py")]
    Python,
    /// Rust.
    #[serde(alias = "rs")]
    Rust,
    /// JavaScript, with JSX.
    #[serde(alias = "js")]
    Javascript,
    /// TypeScript.
    #[serde(alias = "ts")]
    Typescript,
    /// TypeScript with JSX.
    Tsx,
    /// Go.
    #[serde(alias = "golang")]
    Go,
    /// Java.
    Java,
    /// JSON.
    Json,
    /// TOML.
    Toml,
}

/// Each language with its word, what a fenced block may call it besides, and the extensions of its files.
const NAMES: &[(Language, &str, &[&str], &[&str])] = &[
    (Language::Python, "python", &["py", "python3", "pytest"], &["py", "pyi"]),
    (Language::Rust, "rust", &["rs"], &["rs"]),
    (Language::Javascript, "javascript", &["js", "jsx", "node"], &["js", "jsx", "mjs", "cjs"]),
    (Language::Typescript, "typescript", &["ts"], &["ts", "mts", "cts"]),
    (Language::Tsx, "tsx", &[], &["tsx"]),
    (Language::Go, "go", &["golang"], &["go"]),
    (Language::Java, "java", &[], &["java"]),
    (Language::Json, "json", &["jsonc"], &["json"]),
    (Language::Toml, "toml", &[], &["toml"]),
];

impl Language {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        NAMES.iter().find(|(language, ..)| *language == self).map_or("", |(_, word, ..)| word)
    }

    /// The language that a fenced block names.
    pub fn of_fence(word: &str) -> Option<Self> {
        let word = word.to_ascii_lowercase();
        let names =
            |(_, name, more, _): &&(_, &str, &[&str], _)| *name == word || more.contains(&word.as_str());
        NAMES.iter().find(names).map(|(language, ..)| *language)
    }

    /// The language of a file with this name.
    pub fn of_path(path: &str) -> Option<Self> {
        let (_, extension) = path.rsplit_once('.')?;
        NAMES.iter().find(|(.., known)| known.contains(&extension)).map(|(language, ..)| *language)
    }
}
