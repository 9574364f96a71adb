//! Which file goes where, and which task gave it. Pure: nothing here touches a disk.

use std::{
    collections::BTreeMap,
    path::{Component, Path},
};

/// Longest path, in bytes.
const LONGEST: usize = 1024;

/// A path as it leads from a folder to something below it; or what is wrong with it.
///
/// Nothing that leads out, no names that a terminal or another system reads differently, and nothing in a repository's
/// own folder: a hook or a setting there would be run.
pub(super) fn relative(name: &str) -> Result<String, String> {
    let shown = || name.chars().take(200).collect::<String>();
    let bad = |why: &str| Err(format!("the path {:?} {why}", shown()));
    if name.len() > LONGEST {
        return bad("is too long");
    }
    if name.contains(|c: char| c.is_control() || c == '\\') {
        return bad("has control characters or backslashes");
    }
    let mut parts = Vec::new();
    for part in Path::new(name).components() {
        match part {
            Component::Normal(part) => parts.push(part.to_str().unwrap_or_default()),
            Component::CurDir => {}
            Component::ParentDir => return bad("leads out of the folder"),
            Component::RootDir | Component::Prefix(_) => return bad("is not relative"),
        }
    }
    if parts.is_empty() || name.ends_with('/') {
        return bad("names no file");
    }
    if parts.iter().any(|part| part.len() > 255) {
        return bad("has a name that is too long");
    }
    if parts.iter().any(|part| part.eq_ignore_ascii_case(".git")) {
        return bad("is in a repository's own folder, where files are run");
    }
    Ok(parts.join("/"))
}

/// What another file has to do with a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Clash {
    /// It has the same path: the number it is staged under; none if it is in its place already.
    Same(Option<u64>),
    /// One of the two would have to be a folder; this task gave it.
    Folder(String),
}

#[derive(Debug)]
struct Planned {
    task: String,
    /// The number it is staged under; none if it is in its place.
    staged: Option<u64>,
    /// This run put it there before.
    ours: bool,
}

/// Files by path.
#[derive(Debug, Default)]
pub(super) struct Plan(BTreeMap<String, Planned>);

impl Plan {
    /// What stands in the way of a task's file. A task that finished again replaces its own file.
    pub(super) fn clash(&self, task: &str, path: &str) -> Option<Clash> {
        if let Some(other) = self.0.get(path) {
            return (other.task != task).then_some(Clash::Same(other.staged));
        }
        let above = path.match_indices('/').find_map(|(at, _)| self.0.get(&path[..at]));
        let folder = format!("{path}/");
        let below = self.0.range(folder.clone()..).next().filter(|(other, _)| other.starts_with(&folder));
        above.or(below.map(|(_, planned)| planned)).map(|other| Clash::Folder(other.task.clone()))
    }

    /// The task that gave a file.
    pub(super) fn task(&self, path: &str) -> &str {
        self.0.get(path).map_or("", |planned| &planned.task)
    }

    pub(super) fn add(&mut self, task: &str, path: String, number: u64) {
        let ours = self.0.get(&path).is_some_and(|planned| planned.ours || planned.staged.is_none());
        self.0.insert(path, Planned { task: task.to_owned(), staged: Some(number), ours });
    }

    /// What is not in its place yet: path, number, and whether this run put the file there before.
    pub(super) fn staged(&self) -> impl Iterator<Item = (String, u64, bool)> {
        self.0.iter().filter_map(|(path, planned)| Some((path.clone(), planned.staged?, planned.ours)))
    }

    /// It is not to be laid down after all.
    pub(super) fn forget(&mut self, path: &str) {
        self.0.remove(path);
    }

    /// It is in its place.
    pub(super) fn done(&mut self, path: &str) {
        if let Some(planned) = self.0.get_mut(path) {
            planned.staged = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below_its_folder() {
        for (name, path) in [
            ("a.py", "a.py"),
            ("./src/./a.py", "src/a.py"),
            ("a//b", "a/b"),
            ("tests/ü b.py", "tests/ü b.py"),
            (".github/workflows/ci.yml", ".github/workflows/ci.yml"),
            ("a..b/..c", "a..b/..c"),
        ] {
            assert_eq!(relative(name).as_deref(), Ok(path));
        }
    }

    #[test]
    fn a_hostile_path_is_refused_and_the_reason_is_short() {
        let long = "x".repeat(2000);
        let wide = "x".repeat(300);
        for bad in [
            "",
            ".",
            "./",
            "..",
            "/",
            "/etc/passwd",
            "../x",
            "a/../x",
            "a/../../x",
            "dir/",
            "a\0b",
            "a\nb",
            "\u{1b}[2Jx",
            "..\\x",
            "C:\\x",
            ".git/hooks/pre-commit",
            "sub/.GIT/config",
            &long,
            &wide,
        ] {
            let why = relative(bad).unwrap_err();
            assert!(why.len() < 500 && !why.contains('\u{1b}'), "{bad:?}: {why}");
        }
    }

    #[test]
    fn files_of_two_tasks_must_not_stand_in_each_others_way() {
        let mut plan = Plan::default();
        plan.add("q/1", "a/b.py".into(), 1);
        assert_eq!(plan.clash("q/2", "a/c.py"), None);
        assert_eq!(plan.clash("q/2", "a/b.pyc"), None);
        assert_eq!(plan.clash("q/2", "a/b.py"), Some(Clash::Same(Some(1))));
        assert_eq!(plan.clash("q/2", "a"), Some(Clash::Folder("q/1".into())));
        assert_eq!(plan.clash("q/2", "a/b.py/c"), Some(Clash::Folder("q/1".into())));
        assert_eq!(plan.clash("q/1", "a/b.py"), None, "its own file is replaced");
    }

    #[test]
    fn what_this_run_wrote_it_may_replace() {
        let mut plan = Plan::default();
        plan.add("q/1", "a".into(), 1);
        assert_eq!(plan.staged().collect::<Vec<_>>(), [("a".to_owned(), 1, false)]);
        plan.done("a");
        assert_eq!(plan.staged().count(), 0);
        plan.add("q/1", "a".into(), 2);
        assert_eq!(plan.staged().collect::<Vec<_>>(), [("a".to_owned(), 2, true)]);
    }
}
