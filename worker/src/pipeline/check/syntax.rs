//! `syntax`: the text parses.
//!
//! Python is parsed whole by ruff's parser and, if asked, compiled by `python3` too; JSON and TOML by their readers;
//! the others by grammars that forgive some faults, so that passing is no proof.

use std::collections::BTreeMap;

use windlass_shared::config::pipeline::{Directory, Language, SyntaxCheck};

use super::{
    super::{Draft, Env, program::Program},
    finding::{Finding, in_file},
    python,
};
use crate::executor::{Failure, command::blocking};
use windlass_shared::model::ErrorClass;

/// A larger file is not parsed.
const LARGEST: usize = 1 << 20;

/// Reads from standard input, so that nothing in the workspace is imported (`-I`) and no bytecode is left.
const COMPILE: [&str; 4] = [
    "python3",
    "-I",
    "-c",
    "import sys; compile(sys.stdin.buffer.read(), sys.argv[1], 'exec', dont_inherit=True)",
];

#[derive(Debug)]
pub(super) struct Syntax {
    language: Language,
    compile: Option<Program>,
}

impl Syntax {
    pub(super) fn new(spec: SyntaxCheck) -> Result<Self, Vec<String>> {
        if !supported(spec.language) {
            let name = spec.language.as_str();
            return Err(vec![format!("language: this worker was built without the grammar of {name}")]);
        }
        let compile = (spec.compile && spec.language == Language::Python)
            .then(|| Program::new(&[], &BTreeMap::new(), None, Directory::Workspace))
            .transpose()?;
        Ok(Self { language: spec.language, compile })
    }

    pub(super) async fn find(&self, draft: &Draft, env: &Env<'_>) -> Result<Finding, Failure> {
        let texts: Vec<(String, String)> =
            self.subjects(draft).into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
        if texts.is_empty() {
            return Ok(Finding::failed(format!("there is no {} file", self.language.as_str())));
        }
        let language = self.language;
        let parsed = texts.clone();
        let faults = blocking(move || {
            let fault = |(name, text): &(String, String)| Some(in_file(name, parse(language, text).err()?));
            Ok(parsed.iter().filter_map(fault).collect::<Vec<_>>())
        })
        .await?;
        match &self.compile {
            Some(program) if faults.is_empty() => compiled(program, &texts, env).await,
            _ => Ok(Finding::of_faults(&faults)),
        }
    }

    /// Files of the language; the text if there are no files.
    fn subjects<'d>(&self, draft: &'d Draft) -> Vec<(&'d str, &'d str)> {
        let all = draft.subjects();
        all.into_iter()
            .filter(|(name, _)| name.is_empty() || Language::of_path(name) == Some(self.language))
            .collect()
    }
}

async fn compiled(program: &Program, texts: &[(String, String)], env: &Env<'_>) -> Result<Finding, Failure> {
    let mut faults = Vec::new();
    for (name, text) in texts {
        let shown = if name.is_empty() { "answer" } else { name };
        let argv: Vec<String> = COMPILE.iter().copied().chain([shown]).map(str::to_owned).collect();
        let ended = match program.run_as(&argv, text.as_bytes(), env).await {
            // Without Python the parser's word has to do.
            Err(failure) if failure.class == ErrorClass::Spawn => {
                return Ok(Finding {
                    message: "python3 is not there: only parsed, not compiled".into(),
                    ..Finding::passed()
                });
            }
            ended => ended?,
        };
        if !ended.status.success() {
            let last: Vec<&str> = ended.stderr.lines().rev().take(4).collect();
            faults.push(in_file(name, last.into_iter().rev().collect::<Vec<_>>().join("\n")));
        }
    }
    Ok(Finding::of_faults(&faults))
}

fn supported(language: Language) -> bool {
    cfg!(feature = "grammars") || matches!(language, Language::Python | Language::Json | Language::Toml)
}

/// What is wrong with a text, if anything is.
fn parse(language: Language, text: &str) -> Result<(), String> {
    if text.len() > LARGEST {
        return Err(format!("it holds more than {LARGEST} bytes, too many to parse"));
    }
    if text.trim().is_empty() {
        return Err("it is empty".into());
    }
    match language {
        Language::Python => python::parse(text).map(drop),
        Language::Json => {
            serde_json::from_str::<serde::de::IgnoredAny>(text).map(drop).map_err(|error| error.to_string())
        }
        Language::Toml => toml::from_str::<toml::Table>(text).map(drop).map_err(|error| {
            let place = error.span().map(|span| format!("line {}: ", super::finding::line(text, span.start)));
            place.unwrap_or_default() + error.message()
        }),
        #[cfg(feature = "grammars")]
        other => super::grammar::parse(other, text),
        #[cfg(not(feature = "grammars"))]
        other => Err(format!("this worker was built without the grammar of {}", other.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::pipeline::testing::{World, validator};

    #[test]
    fn each_language_is_parsed() {
        for (language, good, bad) in [
            (Language::Python, "def f(x: int) -> int:\n    return x\n", "def f(:\n    pass\n"),
            (Language::Json, r#"{"a": [1, 2]}"#, r#"{"a": [1, 2}"#),
            (Language::Toml, "[a]\nb = 1\n", "[a\nb = 1\n"),
        ] {
            assert_eq!(parse(language, good), Ok(()));
            assert!(parse(language, bad).is_err() && parse(language, " \n").is_err(), "{language:?}");
        }
        assert!(parse(Language::Toml, "a = 1\nb = [").unwrap_err().starts_with("line 2"));
    }

    #[cfg(feature = "grammars")]
    #[test]
    fn each_grammar_finds_the_line() {
        for (language, good, bad) in [
            (Language::Rust, "fn f() -> u8 { 1 }\n#[test]\nfn t() {}\n", "fn f() {}\nfn g( -> { }\n"),
            (
                Language::Javascript,
                "const f = async (x) => ({...x});\n<A b={1}/>;\n",
                "let a = 1;\nfunction ( {\n",
            ),
            (
                Language::Typescript,
                "interface A { x?: number }\nconst a = <A>{};\n",
                "let a: number = 1;\nlet b: = 2;\n",
            ),
            (Language::Tsx, "const a = <B<string> c={1 as number}/>;\n", "let a = 1;\nconst b = <A></;\n"),
            (
                Language::Go,
                "package a\nfunc F(x int) (int, error) { return x, nil }\n",
                "package a\nfunc F( { }\n",
            ),
            (Language::Java, "class A { int f() { return 1; } }\n", "class A {\n int f( { }\n}\n"),
        ] {
            assert_eq!(parse(language, good), Ok(()), "{language:?}");
            let why = parse(language, bad).unwrap_err();
            assert!(why.starts_with("line 2: "), "{language:?}: {why}");
        }
    }

    #[cfg(feature = "grammars")]
    #[test]
    fn hostile_texts_end_soon() {
        let started = std::time::Instant::now();
        for language in [
            Language::Rust,
            Language::Javascript,
            Language::Tsx,
            Language::Go,
            Language::Java,
            Language::Json,
            Language::Toml,
        ] {
            for text in ["(".repeat(260_000), "{[".repeat(100_000), "<a ".repeat(80_000), "!".repeat(260_000)]
            {
                let _ = parse(language, &text);
            }
        }
        assert!(started.elapsed().as_secs() < 120, "{:?}", started.elapsed());
    }

    #[tokio::test]
    async fn files_of_the_language_are_checked_and_others_are_not() {
        let world = World::new();
        let check = validator(&json!({"validator": "syntax", "language": "python"}));
        let mut draft = Draft::default();
        draft.files.insert("a.py".into(), "x = 1\n".into());
        draft.files.insert("b.md".into(), "# not python (\n".into());
        assert!(check.validate(&draft, &world.env()).await.unwrap().passed);
        draft.files.insert("c.py".into(), "x = \n".into());
        let verdict = check.validate(&draft, &world.env()).await.unwrap();
        assert!(verdict.checks[0].message.starts_with("c.py: line 1: "), "{}", verdict.checks[0].message);
        draft.files.retain(|name, _| name == "b.md");
        assert!(
            verdict.checks[0].score == 0.0 && !check.validate(&draft, &world.env()).await.unwrap().passed
        );
    }

    #[tokio::test]
    async fn python_itself_finds_more() {
        let world = World::new();
        let draft = Draft { output: "return 1\n".into(), ..Draft::default() };
        let parsed = validator(&json!({"validator": "syntax", "language": "python"}));
        assert!(parsed.validate(&draft, &world.env()).await.unwrap().passed);
        let compiled = validator(&json!({"validator": "syntax", "language": "python", "compile": true}));
        let verdict = compiled.validate(&draft, &world.env()).await.unwrap();
        assert!(
            verdict.checks[0].message.contains("'return' outside function"),
            "{}",
            verdict.checks[0].message
        );
    }
}
