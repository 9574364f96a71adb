//! Python's syntax, by ruff's parser. It has no stable versions, so it is used in this file and nowhere else.

use ruff_python_ast::{Expr, Stmt, token::TokenKind};
use ruff_python_parser::{Mode, lexer::lex, parse_module};

use super::finding::line;

/// Deepest nesting of a statement. Python itself refuses 200 brackets; this is for trees that are deep by operators.
const DEEPEST: usize = 2000;

/// A test as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    /// The class that it is in.
    pub(super) class: Option<Class>,
}

/// A class that has methods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) name: String,
    /// Whether `unittest` knows it.
    pub(super) is_case: bool,
    /// pytest leaves out a class with one.
    pub(super) has_init: bool,
}

/// A module that parsed: its functions, and the methods of its classes.
pub(super) fn parse(text: &str) -> Result<Vec<Function>, String> {
    if depth(text) > DEEPEST {
        return Err(format!("it is nested more than {DEEPEST} deep"));
    }
    let parsed = parse_module(text).map_err(|error| {
        format!("line {}: {}", line(text, error.location.start().to_usize()), error.error)
    })?;
    let mut functions = Vec::new();
    collect(parsed.suite(), None, &mut functions);
    Ok(functions)
}

fn collect(body: &[Stmt], class: Option<&Class>, into: &mut Vec<Function>) {
    for statement in body {
        match statement {
            Stmt::FunctionDef(function) => {
                into.push(Function { name: function.name.as_str().to_owned(), class: class.cloned() });
            }
            Stmt::ClassDef(inner) => {
                let bases = inner.arguments.iter().flat_map(|arguments| arguments.args.iter());
                let has_init = inner.body.iter().any(
                    |statement| matches!(statement, Stmt::FunctionDef(f) if f.name.as_str() == "__init__"),
                );
                let is_case = bases.map(base).any(|name| name.ends_with("TestCase"));
                let inner_class = Class { name: inner.name.as_str().to_owned(), is_case, has_init };
                collect(&inner.body, Some(&inner_class), into);
            }
            _ => {}
        }
    }
}

fn base(expression: &Expr) -> &str {
    match expression {
        Expr::Name(name) => name.id.as_str(),
        Expr::Attribute(attribute) => attribute.attr.as_str(),
        _ => "",
    }
}

/// How deep the tree of a text may be at most: open brackets and indents, and within each the operators since the last
/// separator. The parser guards its own stack; a tree this deep would overflow it when it is dropped.
fn depth(text: &str) -> usize {
    let mut lexer = lex(text, Mode::Module);
    let (mut chains, mut indents, mut deepest) = (vec![0_usize], 0_usize, 0);
    let mut sum = 0;
    loop {
        let token = lexer.next_token();
        match token {
            TokenKind::EndOfFile => return deepest,
            TokenKind::Indent => indents += 1,
            TokenKind::Dedent => indents = indents.saturating_sub(1),
            TokenKind::Lpar | TokenKind::Lsqb | TokenKind::Lbrace => {
                chains.push(0);
                sum += 1;
            }
            TokenKind::Rpar | TokenKind::Rsqb | TokenKind::Rbrace => {
                if chains.len() > 1 {
                    sum -= chains.pop().unwrap_or(0) + 1;
                }
                grow(&mut chains, &mut sum);
            }
            TokenKind::Comma | TokenKind::Semi | TokenKind::Newline => {
                if let Some(chain) = chains.last_mut() {
                    sum -= *chain;
                    *chain = 0;
                }
            }
            TokenKind::Name
            | TokenKind::Int
            | TokenKind::Float
            | TokenKind::Complex
            | TokenKind::String
            | TokenKind::FStringMiddle
            | TokenKind::Comment
            | TokenKind::NonLogicalNewline => {}
            _ => grow(&mut chains, &mut sum),
        }
        deepest = deepest.max(sum + indents);
    }
}

fn grow(chains: &mut [usize], sum: &mut usize) {
    if let Some(chain) = chains.last_mut() {
        *chain += 1;
        *sum += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_refuses_is_refused_with_its_line() {
        for (text, at) in [
            ("print 'hi'\n", "line 1: "),
            ("x = 1\ndef f():\nreturn 1\n", "line 3: "),
            ("f(a=1, 2)\n", "line 1: "),
            ("try:\n    x\n", "line 3: "),
            ("1 = x\n", "line 1: "),
            ("x = (1,\n", "line 2: "),
            ("s = 'open\n", "line 1: "),
            ("Sure! Here is the test:\n", "line 1: "),
        ] {
            let why = parse(text).unwrap_err();
            assert!(why.starts_with(at), "{text:?}: {why}");
        }
    }

    #[test]
    fn what_python_takes_is_taken() {
        let text = "async def f[T](*, x: T) -> None:\n    match x:\n        case {'a': [1, *_]} if (y := 2):\n            print(f\"{x!r:>{10}}\")\n";
        assert!(parse(text).is_ok());
        let long: String = (0..5000).map(|n| format!("x{n} = [{n}, -{n}, a.b.c(1)[2]]\n")).collect();
        assert!(parse(&long).is_ok());
        assert!(parse(&format!("x = [{}]\n", "-1, ".repeat(100_000))).is_ok());
        assert!(parse(&format!("s = '('\n{}", "y = 1 + 2\n".repeat(5000))).is_ok());
    }

    #[test]
    fn functions_are_found_with_their_classes() {
        let text = "import unittest\ndef test_a(): pass\nclass TestB(unittest.TestCase):\n    def test_c(self): pass\nclass D:\n    def __init__(self): pass\n";
        let found: Vec<_> = parse(text)
            .unwrap()
            .into_iter()
            .map(|f| (f.name, f.class.map(|c| (c.name, c.is_case, c.has_init))))
            .collect();
        let expected = [
            ("test_a".to_owned(), None),
            ("test_c".to_owned(), Some(("TestB".to_owned(), true, false))),
            ("__init__".to_owned(), Some(("D".to_owned(), false, true))),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn hostile_depth_is_a_fault_and_no_crash() {
        let many = 100_000;
        for text in [
            "(".repeat(many),
            format!("{}1{}", "(".repeat(many), ")".repeat(many)),
            format!("x = {}1", "-".repeat(many)),
            format!("x = {}1", "not ".repeat(many)),
            format!("x = 1{}", "+1".repeat(many)),
            format!("x = 1{}", "**1".repeat(many)),
            format!("x{}", ".a".repeat(many)),
            format!("f{}", "()".repeat(many)),
            format!("x{}", "[0]".repeat(many)),
            format!("x = {}1", "lambda: ".repeat(many)),
            format!("x = {}1", "1 if 1 else ".repeat(many)),
            format!("x = {}", "f'{".repeat(many)),
            format!("x = {}1{}", "{1:".repeat(many), "}".repeat(many)),
            format!("x = {}1", "await ".repeat(many)),
        ] {
            let why = parse(&text).unwrap_err();
            assert!(!why.is_empty());
        }
        let blocks: String = (0..3000).map(|n| format!("{}if x:\n", " ".repeat(n))).collect();
        assert!(parse(&blocks).is_err());
        let elifs = format!("if x: y\n{}", "elif x: y\n".repeat(many));
        assert!(parse(&elifs).is_ok());
    }
}
