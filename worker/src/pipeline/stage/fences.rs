//! Fenced blocks of an answer in Markdown.

use regex::Regex;
use std::sync::LazyLock;

/// One block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block<'t> {
    /// The first word after the fence, in small letters.
    pub(super) language: String,
    /// The path that the answer gives it.
    pub(super) path: Option<String>,
    /// What is in it.
    pub(super) code: &'t str,
    /// Whether its end is there too.
    pub(super) closed: bool,
}

/// A path with an extension, as it stands in a heading, in a fence or in a comment.
static PATH: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[A-Za-z0-9_@.+-]+(?:/[A-Za-z0-9_@.+\[\]()-]+)*\.[A-Za-z0-9]{1,10}$").ok());

/// A line that only says what file comes next: `**src/a.py**`, ``### `a.py` ``, `File: a.py`, `# a.py`, `// a.py`.
static HEADING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^\s*(?:#{1,6}\s+|//\s*|--\s*|\d+\.\s+|[-*]\s+)?(?:\*\*|__)?(?i:file(?:name)?\s*:?\s*|path:\s*)?(?:\*\*|__)?[`\x22]?([^\s`\x22*]+?)[`\x22]?(?:\*\*|__)?:?\s*$").ok()
});

/// All blocks, in order. A block within a block (a longer fence around it) belongs to the outer one.
pub(super) fn blocks(text: &str) -> Vec<Block<'_>> {
    let (mut blocks, mut open) = (Vec::new(), None::<Open>);
    let (mut before, mut at) = ("", 0);
    for line in text.split_inclusive('\n') {
        let (start, end) = (at, at + line.len());
        at = end;
        match &open {
            Some(fence) if fence.ends_at(line) => {
                blocks.push(fence.block(text, start, true));
                (open, before) = (None, "");
            }
            Some(_) => {}
            None => {
                open = Open::at(line, before, end);
                if !line.trim().is_empty() {
                    before = line;
                }
            }
        }
    }
    // A fence that is never closed goes on to the end of an answer that was cut.
    blocks.extend(open.map(|fence| fence.block(text, text.len(), false)));
    blocks
}

/// A fence that is open.
struct Open {
    mark: char,
    length: usize,
    language: String,
    path: Option<String>,
    start: usize,
}

impl Open {
    fn at(line: &str, before: &str, start: usize) -> Option<Self> {
        let trimmed = line.trim_start();
        let mark = trimmed.chars().next().filter(|mark| "`~".contains(*mark))?;
        let length = trimmed.chars().take_while(|c| *c == mark).count();
        let info = trimmed[length..].trim();
        if length < 3 || info.contains('`') {
            return None;
        }
        let (language, path) = said(info);
        Some(Self { mark, length, language, path: path.or_else(|| heading(before)), start })
    }

    fn ends_at(&self, line: &str) -> bool {
        let line = line.trim();
        line.len() >= self.length && line.chars().all(|c| c == self.mark)
    }

    fn block<'t>(&self, text: &'t str, end: usize, closed: bool) -> Block<'t> {
        let code = &text[self.start.min(end)..end];
        let path = self.path.clone().or_else(|| comment(code));
        Block { language: self.language.clone(), path, code, closed }
    }
}

/// Language and path after a fence: `python`, `python tests/a.py`, `python:tests/a.py`, `py title="a.py"`.
fn said(info: &str) -> (String, Option<String>) {
    let mut words = info.split([' ', '\t', ',', '{', '}']).filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default();
    let (language, after) = first.split_once(':').unwrap_or((first, ""));
    let value =
        |word: &str| word.rsplit('=').next().unwrap_or_default().trim_matches(['"', '\'', '`']).to_owned();
    let path = std::iter::once(after).chain(words).map(value).find(|word| is_path(word));
    match path {
        None if is_path(language) => (String::new(), Some(language.to_owned())),
        path => (language.to_ascii_lowercase(), path),
    }
}

fn is_path(word: &str) -> bool {
    word.len() <= 300 && PATH.as_ref().is_some_and(|path| path.is_match(word))
}

/// The path in the line before a block.
fn heading(line: &str) -> Option<String> {
    let found = HEADING.as_ref().filter(|_| line.len() <= 400)?.captures(line.trim_end())?;
    Some(found[1].to_owned()).filter(|word| is_path(word))
}

/// The path in a comment on the first line of a block.
fn comment(code: &str) -> Option<String> {
    let line = code.lines().next()?;
    if !line.starts_with(['#', '/', '-']) {
        return None;
    }
    // `# setup.py` may be a title; a path with a folder is none.
    heading(line).filter(|path| path.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, Option<String>, &str, bool)> {
        blocks(text).into_iter().map(|block| (block.language, block.path, block.code, block.closed)).collect()
    }

    #[test]
    fn blocks_have_a_language_and_an_end() {
        let text = "Here:\n```Python\nx = 1\n```\nand\n~~~\ny\n~~~\n```rust\ncut";
        let expected = [
            ("python".into(), None, "x = 1\n", true),
            (String::new(), None, "y\n", true),
            ("rust".into(), None, "cut", false),
        ];
        assert_eq!(found(text), expected);
        assert!(found("no fence, `just` code ``` inline ```\n").is_empty());
    }

    #[test]
    fn paths_are_found_where_models_put_them() {
        for text in [
            "```python tests/test_a.py\nx\n```",
            "```python:tests/test_a.py\nx\n```",
            "```py title=\"tests/test_a.py\"\nx\n```",
            "```python {filename=tests/test_a.py}\nx\n```",
            "```tests/test_a.py\nx\n```",
            "**tests/test_a.py**\n```python\nx\n```",
            "### `tests/test_a.py`\n\n```python\nx\n```",
            "File: tests/test_a.py\n```python\nx\n```",
            "1. `tests/test_a.py`:\n```python\nx\n```",
            "```python\n# tests/test_a.py\nx\n```",
            "```js\n// tests/test_a.py\nx\n```",
        ] {
            assert_eq!(blocks(text)[0].path.as_deref(), Some("tests/test_a.py"), "{text}");
        }
        for text in [
            "Use it:\n```python\nx\n```",
            "```python\n# a comment\nx\n```",
            "e.g. this.\n```\nx\n```",
            "```python\n# setup.py\n```",
        ] {
            assert_eq!(blocks(text)[0].path, None, "{text}");
        }
    }

    #[test]
    fn a_longer_fence_holds_shorter_ones() {
        let text = "````markdown\n```python\nx\n```\n````\n";
        assert_eq!(found(text), [("markdown".into(), None, "```python\nx\n```\n", true)]);
    }
}
