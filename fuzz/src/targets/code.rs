//! Code that models write: its syntax, and the names of its tests.

use serde_json::json;

use super::{
    Parser, Target, texts,
    world::{CALC, validate},
};

const PYTHON: &[&str] = &[
    "def f(",
    "):\n",
    "    ",
    "class A:\n",
    "async ",
    "await ",
    "lambda x: ",
    "f\"{",
    "}\"",
    "\"\"\"",
    "'''",
    "#",
    "\\\n",
    "@",
    "match x:\n",
    "case ",
    "import ",
    "*",
    "**",
    "not ",
    "if ",
    "else ",
    "for x in ",
    "yield ",
    ":=",
    "->",
    "\t",
    "\x0c",
    "test_",
    "TestCase",
    "__init__",
    "t\"{",
    "0x",
    "1_0j",
    "...",
    "type X = ",
    "except* E:\n",
    "rb'",
];

const CODE: &[&str] = &[
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "<",
    ">",
    "`",
    "${",
    "\"",
    "'",
    "/*",
    "*/",
    "//",
    "#[test]\n",
    "fn ",
    "func Test",
    "it('",
    "@Test\n",
    "impl<",
    "=>",
    "::",
    ";",
    "\n",
    "r#\"",
    "<div>",
    "</div>",
    "async ",
    "class ",
    "package x\n",
    "=",
    "[[a]]\n",
    ",",
];

pub(super) fn targets() -> Vec<Target> {
    vec![
        Target {
            name: "syntax_python",
            reads: "Python that a model wrote: its syntax, and the names of its tests",
            corpus: || {
                texts(&[
                    CALC,
                    "import pytest\n\nclass TestA(unittest.TestCase):\n    def test_a(self):\n        assert f\"{x!r:>{w}}\" == 'a'\n",
                    "async def f(*a, **k):\n    async with a as b, c:\n        match b:\n            case {'x': [1, *_]} if c: return lambda: (yield)\n",
                    "x = [[1, (2, {3: 4})] for y in z if not -~y]\n@d\ndef test_x(): ...\n",
                ])
            },
            words: PYTHON,
            parser: || {
                validate(
                    &json!({"validate": [{"validator": "syntax", "language": "python"}, {"validator": "test_names", "language": "python"}]}),
                )
            },
        },
        Target {
            name: "syntax_other",
            reads: "JSON, TOML, Rust, Go, Java, JavaScript, TypeScript and TSX that a model wrote",
            corpus: || {
                texts(&[
                    "{\"a\": [1, 2]}",
                    "[a]\nb = 1\n",
                    "#[test]\nfn t() { let x: Vec<u8> = vec![1]; }\n",
                    "package x\nfunc TestA(t *testing.T) { if a { return } }\n",
                    "class A { @Test void a() { int x = 1; } }\n",
                    "it('adds', async () => { const a = `${b}`; });\n",
                    "interface A<T> { b?: T[] }\n",
                    "const a = <div b={c}>{d}</div>;\n",
                ])
            },
            words: CODE,
            parser: || {
                let languages = ["json", "toml", "rust", "go", "java", "javascript", "typescript", "tsx"];
                let mut parsers: Vec<Parser> = languages
                    .iter()
                    .map(|language| {
                        let mut checks = vec![json!({"validator": "syntax", "language": language})];
                        if !matches!(*language, "json" | "toml") {
                            checks.push(json!({"validator": "test_names", "language": language}));
                        }
                        validate(&json!({ "validate": checks }))
                    })
                    .collect();
                Box::new(move |bytes| {
                    // One language an input: which is in its bytes.
                    let sum = bytes
                        .iter()
                        .fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
                    let count = parsers.len();
                    parsers[sum % count](bytes);
                })
            },
        },
    ]
}
