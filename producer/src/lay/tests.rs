use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use windlass_shared::model::{QueueName, TaskId, TaskRecord, TaskRef};

use super::*;

fn task(id: &str, state: &str, result: &Value) -> TaskView {
    let reference = TaskRef { queue: QueueName::default_queue(), id: TaskId::new(id).unwrap() };
    let pairs = [("type", "llm".to_owned()), ("state", state.into()), ("result", result.to_string())];
    TaskRecord::from_fields(reference, pairs.map(|(name, value)| (name.to_owned(), value)).into()).view()
}

fn completed(id: &str, files: &Value) -> TaskView {
    task(id, "completed", &json!({ "text": "done", "files": files }))
}

fn writer(root: &Path, by_task: bool, force: bool) -> Writer {
    let args = cli::LayDown { root: Some(root.to_owned()), by_task, force };
    Writer::open(&args).unwrap().unwrap()
}

/// Lays down the files of these tasks.
fn lay(root: &Path, by_task: bool, force: bool, tasks: &[TaskView]) -> Done {
    let mut writer = writer(root, by_task, force);
    for task in tasks {
        writer.add(task)?;
    }
    writer.finish()
}

/// All files below a folder with their texts, links as what they are.
fn tree(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_symlink() {
            found.push((name, "a link".into()));
        } else if path.is_dir() {
            found.extend(tree(&path).into_iter().map(|(below, text)| (format!("{name}/{below}"), text)));
        } else {
            found.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
    found.sort();
    found
}

fn pairs(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

fn root() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn files_of_completed_tasks_are_laid_down_and_nothing_else_is() {
    let dir = root();
    let at = dir.path().join("new/folder");
    let tasks = [
        completed("1", &json!({ "src/a.py": "a", "tests/test_a.py": "t" })),
        completed("2", &json!({ "src/b.py": "b", "./src/a.py": "a" })),
        task("3", "failed", &json!({ "files": { "refused.py": "x" } })),
        task("4", "completed", &json!("text alone")),
        task("5", "completed", &json!({ "files": ["a list"] })),
    ];
    lay(&at, false, false, &tasks).unwrap();
    assert_eq!(tree(&at), pairs(&[("src/a.py", "a"), ("src/b.py", "b"), ("tests/test_a.py", "t")]));
    lay(&at, false, false, &tasks).expect("again: all are there already");
}

#[test]
fn what_is_there_with_other_content_is_kept_unless_told_otherwise() {
    let dir = root();
    fs::write(dir.path().join("a.sh"), "mine").unwrap();
    fs::set_permissions(dir.path().join("a.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    let tasks = [completed("1", &json!({ "a.sh": "theirs", "b.py": "b" }))];
    let Err(Failure::NotDone(why)) = lay(dir.path(), false, false, &tasks) else {
        panic!("it was overwritten")
    };
    assert!(why.contains("--force"), "{why}");
    assert_eq!(tree(dir.path()), pairs(&[("a.sh", "mine")]), "nothing was written");
    lay(dir.path(), false, true, &tasks).unwrap();
    assert_eq!(tree(dir.path()), pairs(&[("a.sh", "theirs"), ("b.py", "b")]));
    let mode = fs::metadata(dir.path().join("a.sh")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755, "it is still a program");
}

#[test]
fn two_tasks_with_one_path_get_folders_of_their_own() {
    let dir = root();
    let tasks = [completed("1", &json!({ "a.py": "one" })), completed("2", &json!({ "a.py": "two" }))];
    for force in [false, true] {
        assert!(matches!(lay(dir.path(), false, force, &tasks), Err(Failure::NotDone(_))));
        assert_eq!(tree(dir.path()), [], "neither wins");
    }
    lay(dir.path(), true, false, &tasks).unwrap();
    assert_eq!(tree(dir.path()), pairs(&[("default/1/a.py", "one"), ("default/2/a.py", "two")]));
}

#[test]
fn a_hostile_task_is_left_out_and_the_others_are_not() {
    let dir = root();
    let at = dir.path().join("in");
    for bad in ["../out", "/tmp/windlass-out", "a/../../out", ".git/hooks/pre-commit", "x\u{0}"] {
        let tasks =
            [completed("1", &json!({ bad: "x", "fine": "x" })), completed("2", &json!({ "good": "g" }))];
        assert!(matches!(lay(&at, false, false, &tasks), Err(Failure::NotDone(_))), "{bad}");
        assert_eq!(tree(dir.path()), pairs(&[("in/good", "g")]), "{bad}");
    }
    for bad in
        [json!({ "x": 1 }), json!({ "x": "a", "./x": "b" }), json!({ "x": "a", "x-y": "b", "x/z": "c" })]
    {
        let tasks = [completed("1", &bad), completed("2", &json!({ "good": "g" }))];
        assert!(matches!(lay(&at, false, false, &tasks), Err(Failure::NotDone(_))), "{bad}");
        assert_eq!(tree(dir.path()), pairs(&[("in/good", "g")]), "{bad}");
    }
}

#[test]
fn no_link_leads_out() {
    let (dir, outside) = (root(), root());
    fs::write(outside.path().join("victim"), "safe").unwrap();
    symlink(outside.path(), dir.path().join("folder")).unwrap();
    symlink(outside.path().join("victim"), dir.path().join("file")).unwrap();
    for path in ["folder/victim", "folder/new", "file"] {
        let tasks = [completed("1", &json!({ path: "x" }))];
        assert!(matches!(lay(dir.path(), false, true, &tasks), Err(Failure::NotDone(_))), "{path}");
    }
    assert_eq!(tree(outside.path()), pairs(&[("victim", "safe")]));
    assert_eq!(tree(dir.path()), pairs(&[("file", "a link"), ("folder", "a link")]));
}

#[test]
fn a_folder_in_the_way_is_not_replaced() {
    let dir = root();
    fs::create_dir(dir.path().join("a")).unwrap();
    fs::write(dir.path().join("b"), "a file").unwrap();
    for path in ["a", "b/c"] {
        let tasks = [completed("1", &json!({ path: "x" }))];
        assert!(matches!(lay(dir.path(), false, true, &tasks), Err(Failure::NotDone(_))), "{path}");
    }
    assert_eq!(tree(dir.path()), pairs(&[("b", "a file")]));
}

#[test]
fn a_task_that_finished_again_replaces_what_it_gave() {
    let dir = root();
    let mut writer = writer(dir.path(), false, false);
    for text in ["first", "second"] {
        writer.add(&completed("1", &json!({ "a.py": text }))).unwrap();
        writer.commit_meanwhile().unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("a.py")).unwrap(), text);
    }
    writer.add(&completed("2", &json!({ "a.py": "other" }))).unwrap();
    assert!(writer.finish().is_err());
    assert_eq!(tree(dir.path()), pairs(&[("a.py", "second")]));
}

#[test]
fn while_results_are_followed_one_file_in_the_way_does_not_stop_the_others() {
    let dir = root();
    fs::write(dir.path().join("kept"), "mine").unwrap();
    let mut writer = writer(dir.path(), false, false);
    for (id, path) in [("1", "kept"), ("2", "a"), ("3", "b")] {
        writer.add(&completed(id, &json!({ path: "theirs" }))).unwrap();
        writer.commit_meanwhile().unwrap();
    }
    assert_eq!(writer.in_the_way.len(), 1, "it is told once: {:?}", writer.in_the_way);
    assert!(writer.finish().is_err());
    assert_eq!(tree(dir.path()), pairs(&[("a", "theirs"), ("b", "theirs"), ("kept", "mine")]));
}
