//! Syntax by grammars of tree-sitter. They recover from faults, so a text with one is noticed by the marks of recovery.

use std::{
    ops::ControlFlow,
    thread,
    time::{Duration, Instant},
};

use tree_sitter::{Node, ParseOptions, ParseState, Parser, Tree};
use windlass_shared::config::pipeline::Language;

/// How long one text may take.
const LONGEST: Duration = Duration::from_secs(5);

/// A larger text is not parsed, so that the deepest one needs a bounded stack: the library frees what it parsed by
/// recursion, about a hundred bytes of stack for each byte of a text that only opens brackets.
const LARGEST: usize = 256 << 10;
const STACK: usize = 64 << 20;

/// What is wrong with a text, if anything is.
pub(super) fn parse(language: Language, text: &str) -> Result<(), String> {
    if text.len() > LARGEST {
        return Err(format!("it holds more than {LARGEST} bytes, too many to parse"));
    }
    thread::scope(|scope| {
        let parser = thread::Builder::new().name("grammar".into()).stack_size(STACK);
        let parser = parser.spawn_scoped(scope, || parse_here(language, text));
        let parsed = parser.map_err(|error| format!("no thread for a parser: {error}"))?.join();
        parsed.unwrap_or_else(|_| Err("its parser failed".into()))
    })
}

fn parse_here(language: Language, text: &str) -> Result<(), String> {
    let grammar = match language {
        Language::Rust => tree_sitter_rust::LANGUAGE,
        Language::Javascript => tree_sitter_javascript::LANGUAGE,
        Language::Typescript => tree_sitter_typescript::LANGUAGE_TYPESCRIPT,
        Language::Tsx => tree_sitter_typescript::LANGUAGE_TSX,
        Language::Go => tree_sitter_go::LANGUAGE,
        Language::Java => tree_sitter_java::LANGUAGE,
        other => return Err(format!("there is no grammar of {}", other.as_str())),
    };
    let mut parser = Parser::new();
    parser.set_language(&grammar.into()).map_err(|error| error.to_string())?;
    let tree = tree(&mut parser, text)
        .ok_or_else(|| format!("it took longer than {} s to parse", LONGEST.as_secs()))?;
    match first_fault(&tree) {
        Some(node) => Err(describe(node)),
        None => Ok(()),
    }
}

fn tree(parser: &mut Parser, text: &str) -> Option<Tree> {
    let end = Instant::now() + LONGEST;
    let mut watch = |_: &ParseState| {
        if Instant::now() < end { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let options = ParseOptions::new().progress_callback(&mut watch);
    parser.parse_with_options(
        &mut |start, _| text.as_bytes().get(start..).unwrap_or_default(),
        None,
        Some(options),
    )
}

/// The first node that marks a fault. Walks without recursion, since a tree may be deep.
fn first_fault(tree: &Tree) -> Option<Node<'_>> {
    if !tree.root_node().has_error() {
        return None;
    }
    let mut cursor = tree.walk();
    loop {
        let node = cursor.node();
        if node.is_error() || node.is_missing() {
            return Some(node);
        }
        if node.has_error() && cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return Some(tree.root_node());
            }
        }
    }
}

fn describe(node: Node) -> String {
    let line = node.start_position().row + 1;
    if node.is_missing() {
        return format!("line {line}: {:?} is missing", node.kind());
    }
    format!("line {line}: it does not parse from here on")
}
