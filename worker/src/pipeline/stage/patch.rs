//! `patch`: applies the unified diff of an answer to the task's files.
//!
//! Models count badly, so the numbers of lines in the headers of hunks are counted anew; where a hunk belongs is
//! found by its lines. A hunk that does not apply is a fault of the answer, and so is a path that is none of the task's.

use std::{collections::BTreeMap, sync::Arc};

use diffy::{
    apply,
    patch_set::{FileOperation, ParseOptions, PatchSet},
};
use windlass_shared::model::ErrorClass;

use super::{
    super::{Draft, paths},
    fences::blocks,
};
use crate::executor::Failure;

/// Most bytes and hunks of a patch.
const LARGEST: usize = 1 << 20;
const MOST_HUNKS: usize = 1000;

pub(super) fn run(draft: &mut Draft) -> Result<(), Failure> {
    let changed = applied(&draft.output, &draft.sources)
        .map_err(|why| Failure::new(ErrorClass::MalformedOutput, why))?;
    draft.files.extend(changed);
    Ok(())
}

fn applied(answer: &str, sources: &BTreeMap<String, Arc<str>>) -> Result<BTreeMap<String, String>, String> {
    let patch = counted(&diff_in(answer)?);
    if patch.len() > LARGEST || patch.matches("\n@@ ").count() > MOST_HUNKS {
        return Err(format!("the patch is larger than {LARGEST} bytes or {MOST_HUNKS} hunks"));
    }
    let mut changed: BTreeMap<String, String> = BTreeMap::new();
    for file in PatchSet::parse(&patch, ParseOptions::unidiff()) {
        let file = file.map_err(|error| format!("the patch cannot be read: {error}"))?;
        let (path, is_new) = target(file.operation())?;
        let Some(hunks) = file.patch().as_text() else {
            return Err(format!("the patch of {path:?} is binary"));
        };
        let before = match (changed.get(&path), sources.get(&path)) {
            (Some(text), _) => text.clone(),
            (None, Some(text)) => text.to_string(),
            (None, None) if is_new => String::new(),
            (None, None) => {
                let known: Vec<&str> = sources.keys().map(String::as_str).take(20).collect();
                return Err(format!(
                    "the patch changes {path:?}, which is none of the task's files: {}",
                    known.join(", ")
                ));
            }
        };
        let after = apply(&before, hunks).map_err(|error| {
            format!("the patch does not fit {path:?} ({error}): repeat the file's lines exactly, also in their indentation")
        })?;
        if after != before {
            changed.insert(path, after);
        }
    }
    if changed.is_empty() { Err("the patch changes nothing".into()) } else { Ok(changed) }
}

/// Which file is changed, and whether it is new.
fn target(operation: &FileOperation<'_, str>) -> Result<(String, bool), String> {
    match operation {
        FileOperation::Modify { original, modified } => {
            let (from, to) = (plain(original)?, plain(modified)?);
            if from == to {
                Ok((to, false))
            } else {
                Err(format!("the patch renames {from:?}: that is not supported"))
            }
        }
        FileOperation::Create(path) => Ok((plain(path)?, true)),
        FileOperation::Delete(path) => {
            Err(format!("the patch deletes {:?}: that is not supported", plain(path)?))
        }
        FileOperation::Rename { from, .. } | FileOperation::Copy { from, .. } => {
            Err(format!("the patch renames or copies {:?}: that is not supported", plain(from)?))
        }
    }
}

/// A path without git's `a/` and `b/`.
fn plain(path: &str) -> Result<String, String> {
    let path = path.trim();
    paths::relative(path.strip_prefix("a/").or_else(|| path.strip_prefix("b/")).unwrap_or(path))
}

/// The diff in an answer: its blocks marked as such, else all from the first header on.
fn diff_in(answer: &str) -> Result<String, String> {
    let is_diff = |code: &str| code.lines().any(|line| line.starts_with("--- "));
    let marked: Vec<&str> = (blocks(answer).into_iter())
        .filter(|block| matches!(block.language.as_str(), "diff" | "patch" | "") && is_diff(block.code))
        .map(|block| block.code)
        .collect();
    if !marked.is_empty() {
        return Ok(marked.join("\n"));
    }
    let start = if answer.starts_with("--- ") { Some(0) } else { answer.find("\n--- ").map(|at| at + 1) };
    let start =
        start.ok_or("the answer holds no unified diff: begin it with `--- a/PATH` and `+++ b/PATH`")?;
    Ok(answer[start..].to_owned())
}

/// The same diff with the right numbers of lines in the header of each hunk, and a space before empty lines of it.
fn counted(diff: &str) -> String {
    let lines: Vec<&str> = diff.lines().collect();
    let mut out = String::with_capacity(diff.len() + 64);
    let mut at = 0;
    while at < lines.len() {
        let Some(starts) = starts(lines[at]) else {
            // Only headers of files matter between hunks.
            if lines[at].starts_with("--- ") || lines[at].starts_with("+++ ") {
                push(&mut out, lines[at]);
            }
            at += 1;
            continue;
        };
        let end = hunk_end(&lines, at + 1);
        let body = &lines[at + 1..end];
        let count =
            |marks: &[char]| body.iter().filter(|line| line.is_empty() || line.starts_with(marks)).count();
        let (old, new) = (count(&[' ', '-']), count(&[' ', '+']));
        push(
            &mut out,
            &format!("@@ -{},{old} +{},{new} @@", first_line(starts.0, old), first_line(starts.1, new)),
        );
        for line in body {
            push(&mut out, if line.is_empty() { " " } else { line });
        }
        at = end;
    }
    out
}

fn push(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

/// A side without lines begins at 0, any other at 1 or later.
fn first_line(start: usize, count: usize) -> usize {
    if count == 0 { 0 } else { start.max(1) }
}

/// The first lines of a hunk's header. `@@ ... @@` and `@@` alone are taken for one that does not know.
fn starts(line: &str) -> Option<(usize, usize)> {
    let rest = line.strip_prefix("@@")?;
    let number = |mark: char| {
        let digits = rest.split(mark).nth(1)?;
        digits
            .split(|c: char| !c.is_ascii_digit())
            .next()?
            .parse()
            .ok()
            .filter(|n: &usize| *n < usize::MAX / 2)
    };
    Some((number('-').unwrap_or(1), number('+').unwrap_or(1)))
}

/// Where a hunk ends: at the next header, or at a line that is in no hunk. Empty lines before that are between hunks.
fn hunk_end(lines: &[&str], start: usize) -> usize {
    let mut end = start;
    while end < lines.len() {
        let header =
            lines[end].starts_with("--- ") && lines.get(end + 1).is_some_and(|next| next.starts_with("+++ "));
        if header || !(lines[end].is_empty() || lines[end].starts_with([' ', '+', '-', '\\'])) {
            break;
        }
        end += 1;
    }
    while end > start && lines[end - 1].is_empty() {
        end -= 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "def add(a, b):\n    return a - b\n\n\ndef sub(a, b):\n    return a - b\n";

    fn run(answer: &str) -> Result<BTreeMap<String, String>, Failure> {
        let mut draft = Draft::default();
        draft.sources.insert("src/calc.py".into(), OLD.into());
        draft.answered(answer);
        super::run(&mut draft).map(|()| draft.files)
    }

    #[test]
    fn a_patch_changes_the_file_and_may_make_new_ones() {
        let answer = "Fixed:\n```diff\ndiff --git a/src/calc.py b/src/calc.py\nindex 1..2 100644\n--- a/src/calc.py\n\
            +++ b/src/calc.py\n@@ -1,2 +1,2 @@\n def add(a, b):\n-    return a - b\n+    return a + b\n\
            --- /dev/null\n+++ b/src/new.py\n@@ -0,0 +1 @@\n+x = 1\n```\nDone.";
        let files = run(answer).unwrap();
        assert_eq!(files["src/calc.py"], OLD.replacen("a - b", "a + b", 1));
        assert_eq!(files["src/new.py"], "x = 1\n");
    }

    #[test]
    fn wrong_counts_places_and_lost_spaces_are_put_right() {
        for header in ["@@ -5,99 +7,1 @@ def sub", "@@ -1 +1 @@", "@@ ... @@", "@@"] {
            let answer = format!(
                "--- src/calc.py\n+++ src/calc.py\n{header}\n\n\n def sub(a, b):\n-    return a - b\n+    return b - a\n\n"
            );
            let expected = "def add(a, b):\n    return a - b\n\n\ndef sub(a, b):\n    return b - a\n";
            assert_eq!(run(&answer).unwrap()["src/calc.py"], expected, "{header}");
        }
    }

    #[test]
    fn what_does_not_apply_is_told_to_the_model() {
        let hunk = "@@ -1,1 +1,1 @@\n-def mul(a, b):\n+x\n";
        for (answer, said) in [
            ("I would change it.".to_owned(), "no unified diff"),
            (
                format!("--- a/src/calc.py\n+++ b/src/calc.py\n{hunk}"),
                "does not fit \"src/calc.py\" (error applying hunk #1)",
            ),
            (format!("--- a/other.py\n+++ b/other.py\n{hunk}"), "none of the task's files: src/calc.py"),
            (format!("--- a/../x\n+++ b/../x\n{hunk}"), "without `..`"),
            (format!("--- /etc/passwd\n+++ /etc/passwd\n{hunk}"), "without `..`"),
            ("--- a/src/calc.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n".into(), "deletes"),
            (format!("--- a/src/calc.py\n+++ b/src/other.py\n{hunk}"), "renames"),
            ("--- a/src/calc.py\n+++ b/src/calc.py\n".into(), "changes nothing"),
        ] {
            let failure = run(&answer).unwrap_err();
            assert_eq!(failure.class, ErrorClass::MalformedOutput, "{answer}");
            assert!(failure.message.contains(said), "{answer}: {failure}");
        }
    }

    #[test]
    fn a_second_answer_is_applied_to_the_original() {
        let answer = "--- a/src/calc.py\n+++ b/src/calc.py\n@@ -1,2 +1,2 @@\n def add(a, b):\n-    return a - b\n+    return a + b\n";
        let mut draft = Draft::default();
        draft.sources.insert("src/calc.py".into(), OLD.into());
        for _ in 0..2 {
            draft.answered(answer);
            super::run(&mut draft).unwrap();
        }
        assert!(draft.files["src/calc.py"].contains("a + b"));
    }
}
