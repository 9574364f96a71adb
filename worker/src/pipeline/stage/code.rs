//! `code`: the code of an answer, without the words around it.
//!
//! Blocks in another language than the one wanted are left out, where the answer says. Blocks with a file's name
//! become that file. An answer without any fence is taken for code as it is; the validators tell if it is none.

use windlass_shared::{
    config::pipeline::{CodeStage, Language, Pick},
    model::ErrorClass,
};

use super::{
    super::{Draft, paths},
    fences::{Block, blocks},
};
use crate::executor::Failure;

#[derive(Debug)]
pub(crate) struct Code(CodeStage);

impl Code {
    pub(super) fn new(spec: CodeStage) -> Self {
        Self(spec)
    }

    pub(super) fn run(&self, draft: &mut Draft) -> Result<(), Failure> {
        let answer = std::mem::take(&mut draft.output);
        let all = blocks(&answer);
        if all.is_empty() {
            if answer.trim().is_empty() {
                return Err(unusable("the answer is empty".into()));
            }
            draft.output = ended(answer.trim_matches('\n'));
            return Ok(());
        }
        let wanted = self.pick(self.of_language(all)?);
        if wanted.iter().any(|block| !block.closed) {
            draft.notes.push("code: the last block has no end; the answer may be cut".into());
        }
        let code: Vec<String> = wanted.iter().map(|block| ended(block.code)).collect();
        draft.output = code.join("\n");
        for (block, code) in wanted.iter().zip(code) {
            if let Some(path) = &block.path {
                let path = paths::relative(path).map_err(unusable)?;
                // Of several blocks for one file the last one counts: that is how models correct themselves.
                draft.files.insert(path, code);
            }
        }
        Ok(())
    }

    /// Blocks of the wanted language; those that name none, if there are no others.
    fn of_language<'t>(&self, all: Vec<Block<'t>>) -> Result<Vec<Block<'t>>, Failure> {
        let Some(language) = self.0.language else { return Ok(all) };
        let of = |block: &Block| {
            Language::of_fence(&block.language).or_else(|| Language::of_path(block.path.as_deref()?))
        };
        let (ours, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|block| of(block) == Some(language));
        if !ours.is_empty() {
            return Ok(ours);
        }
        let unnamed: Vec<_> =
            others.into_iter().filter(|block| block.language.is_empty() && of(block).is_none()).collect();
        if unnamed.is_empty() {
            let why = format!(
                "the answer has no block of {0}: put the code into a block that begins with ```{0}",
                language.as_str()
            );
            return Err(unusable(why));
        }
        Ok(unnamed)
    }

    fn pick<'t>(&self, mut blocks: Vec<Block<'t>>) -> Vec<Block<'t>> {
        let one = match self.0.pick {
            Pick::All => return blocks,
            Pick::First => 0,
            Pick::Last => blocks.len() - 1,
            // Of equally long ones the first.
            Pick::Longest => {
                (0..blocks.len()).rev().max_by_key(|&index| blocks[index].code.len()).unwrap_or(0)
            }
        };
        vec![blocks.swap_remove(one)]
    }
}

fn ended(code: &str) -> String {
    if code.ends_with('\n') { code.to_owned() } else { format!("{code}\n") }
}

fn unusable(why: String) -> Failure {
    Failure::new(ErrorClass::MalformedOutput, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(answer: &str, language: Option<Language>, pick: Pick) -> Result<Draft, Failure> {
        let mut draft = Draft::default();
        draft.answered(answer);
        Code::new(CodeStage { language, pick }).run(&mut draft).map(|()| draft)
    }

    const PYTHON: Option<Language> = Some(Language::Python);

    #[test]
    fn the_code_stays_and_the_words_go() {
        let answer = "Sure!\n```python\nx = 1\n```\nRun it:\n```bash\npytest\n```\n```py\ny = 2\n```\nDone.";
        assert_eq!(run(answer, PYTHON, Pick::All).unwrap().output, "x = 1\n\ny = 2\n");
        assert_eq!(run(answer, PYTHON, Pick::First).unwrap().output, "x = 1\n");
        assert_eq!(run(answer, PYTHON, Pick::Last).unwrap().output, "y = 2\n");
        assert_eq!(run(answer, None, Pick::Longest).unwrap().output, "pytest\n");
    }

    #[test]
    fn without_a_fence_the_answer_is_the_code() {
        assert_eq!(run("\nx = 1", PYTHON, Pick::All).unwrap().output, "x = 1\n");
        assert_eq!(run("```\nx = 1\n```", PYTHON, Pick::All).unwrap().output, "x = 1\n");
    }

    #[test]
    fn named_blocks_become_files() {
        let answer = "**a/x.py**\n```python\nx\n```\n```python b/y.py\ny\n```\n```python a/x.py\nbetter\n```";
        let draft = run(answer, PYTHON, Pick::All).unwrap();
        let files: Vec<_> = draft.files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        assert_eq!(files, [("a/x.py", "better\n"), ("b/y.py", "y\n")]);
    }

    #[test]
    fn what_is_not_usable_says_what_to_do() {
        for (answer, said) in [
            ("  \n", "empty"),
            ("```bash\nls\n```", "begins with ```python"),
            ("```python ../../x.py\nx\n```", "without `..`"),
        ] {
            let failure = run(answer, PYTHON, Pick::All).unwrap_err();
            assert_eq!(failure.class, ErrorClass::MalformedOutput);
            assert!(failure.message.contains(said), "{failure}");
        }
        let cut = run("```python\nx = ", PYTHON, Pick::All).unwrap();
        assert!(cut.notes[0].contains("may be cut"));
    }
}
