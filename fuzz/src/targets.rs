//! The parsers: every place where text comes from outside.

#![allow(clippy::too_many_lines, reason = "the targets of a group are one table")]

mod answers;
mod code;
mod commands;
mod faulty;
mod models;
mod providers;
mod redis;
mod schemas;
mod settings;
mod tasks;
mod templates;
mod world;

pub use self::faulty::faulty;

/// One parser.
pub struct Target {
    /// How it is called on the command line.
    pub name: &'static str,
    /// What it reads.
    pub reads: &'static str,
    /// Real examples; inputs are made of these. What once broke something stands here, too.
    pub corpus: fn() -> Vec<Vec<u8>>,
    /// Words that mean something to it.
    pub words: &'static [&'static str],
    /// Makes the parser ready. What it gives must come back from any bytes.
    pub parser: fn() -> Parser,
}

/// Takes an input, and must come back.
pub type Parser = Box<dyn FnMut(&[u8])>;

/// All of them.
pub fn all() -> Vec<Target> {
    let groups = [
        tasks::targets(),
        settings::targets(),
        redis::targets(),
        providers::targets(),
        models::targets(),
        commands::targets(),
        answers::targets(),
        code::targets(),
        schemas::targets(),
        templates::targets(),
    ];
    groups.into_iter().flatten().collect()
}

/// Examples that are texts.
fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// A parser of texts: what is no UTF-8 never reaches it as such.
fn of_text(mut parse: impl FnMut(&str) + 'static) -> Parser {
    Box::new(move |bytes| parse(&String::from_utf8_lossy(bytes)))
}

/// The first line, and the rest.
fn two(text: &str) -> (&str, &str) {
    text.split_once('\n').unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_takes_its_own_examples() {
        for target in all() {
            let examples = (target.corpus)();
            assert!(!examples.is_empty(), "{} has no example", target.name);
            let mut parse = (target.parser)();
            for example in &examples {
                parse(example);
            }
        }
    }
}
