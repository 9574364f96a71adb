use std::{fs, os::unix::fs::symlink};

use serde_json::{Value, json};
use windlass_shared::model::ErrorClass;

use super::*;
use crate::pipeline::testing::World;

async fn run(world: &World, limits: FileLimits, payload: Value) -> Result<Draft, Failure> {
    let mut draft = Draft::of_payload(&payload).unwrap();
    let stage = Files::new(&FilesStage::default(), limits).unwrap();
    stage.run(&mut draft, &world.env()).await.map(|()| draft)
}

fn world() -> World {
    let world = World::new();
    world.source("src/auth.py", "import models\n");
    world.source("src/models.py", "class User: ...\n");
    world.source("src/other.py", "x = 1\n");
    world.source("src/deep/er.py", "y = 1\n");
    world.source(".env", "SECRET=1");
    world
}

#[tokio::test]
async fn files_come_from_the_source_and_from_the_task_in_order_of_importance() {
    let world = world();
    let payload = json!({"description": "d", "target_file": "src/auth.py", "files": {"notes.md": "n"}, "context": ["src/**/*.py"]});
    let draft = run(&world, FileLimits::default(), payload).await.unwrap();
    let context: Vec<_> = draft.context.iter().map(|file| (file.path.as_str(), file.importance)).collect();
    let expected = [
        ("src/auth.py", 1.0),
        ("notes.md", 0.8),
        ("src/deep/er.py", 0.5),
        ("src/models.py", 0.7),
        ("src/other.py", 0.5),
    ];
    assert_eq!(context, expected);
    assert!(draft.context.iter().all(|file| file.tokens > 0));
    let copied = fs::read_to_string(world.workspace().join("src/deep/er.py")).unwrap();
    assert_eq!((copied.as_str(), &*draft.sources["notes.md"]), ("y = 1\n", "n"));
}

#[tokio::test]
async fn a_file_that_the_task_brings_needs_no_source_folder() {
    let world = World::new();
    let env = Env { source: None, ..world.env() };
    let stage = Files::new(&FilesStage::default(), FileLimits::default()).unwrap();
    let mut draft = Draft::of_payload(&json!({"target_file": "a.py", "files": {"./a.py": "x"}})).unwrap();
    stage.run(&mut draft, &env).await.unwrap();
    assert_eq!((draft.context[0].path.as_str(), draft.context[0].importance), ("a.py", 1.0));
    let mut draft = Draft::of_payload(&json!({"target_file": "b.py"})).unwrap();
    let failure = stage.run(&mut draft, &env).await.unwrap_err();
    assert!(failure.message.contains("bring the text along in `files`"), "{failure}");
}

#[tokio::test]
async fn what_leads_out_or_is_no_text_is_refused_by_name() {
    let (world, outside) = (world(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("key"), "hunter2").unwrap();
    let source = world.source_path();
    symlink(outside.path().join("key"), source.join("link.py")).unwrap();
    symlink(outside.path(), source.join("folder")).unwrap();
    symlink("src/auth.py", source.join("inside.py")).unwrap();
    fs::write(source.join("nul.py"), b"a\0b").unwrap();
    fs::write(source.join("latin.py"), b"\xe4").unwrap();
    for (payload, said) in [
        (json!({"target_file": "../x"}), "without `..`"),
        (json!({"target_file": "/etc/passwd"}), "without `..`"),
        (json!({"target_file": "link.py"}), "outside of the folder"),
        (json!({"target_file": "folder/key"}), "outside of the folder"),
        (json!({"target_file": "nul.py"}), "binary"),
        (json!({"target_file": "latin.py"}), "not UTF-8"),
        (json!({"target_file": "src"}), "not a regular file"),
        (json!({"target_file": "no.py"}), "No such file"),
        (json!({"target_file": 7}), "must be a path"),
        (json!({"files": {"../x": "y"}}), "without `..`"),
        (json!({"files": {"x": "a\u{0}b"}}), "binary"),
        (json!({"files": {"x": 1}}), "object of texts"),
        (json!({"files": ["x"]}), "object of texts"),
        (json!({"context": ["../*"]}), "not relative"),
        (json!({"context": "/etc/*"}), "not relative"),
        (json!({"context": ["[a"]}), "`context`"),
        (json!({"context": 1}), "must be a pattern"),
    ] {
        let failure = run(&world, FileLimits::default(), payload.clone()).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::BadRequest, "{payload}");
        assert!(
            failure.message.contains(said) && !failure.message.contains("hunter2"),
            "{payload}: {failure}"
        );
    }
    assert!(run(&world, FileLimits::default(), json!({"target_file": "inside.py"})).await.is_ok());
    let found =
        run(&world, FileLimits::default(), json!({"context": ["folder/*", "*.md", "**/k*"]})).await.unwrap();
    assert!(found.context.is_empty(), "{:?}", found.context);
}

#[tokio::test]
async fn hidden_files_are_for_patterns_that_name_them() {
    let world = world();
    let all = run(&world, FileLimits::default(), json!({"context": "**/*"})).await.unwrap();
    assert!(all.context.iter().all(|file| file.path != ".env") && all.context.len() == 4);
    let named = run(&world, FileLimits::default(), json!({"context": ".env"})).await.unwrap();
    assert_eq!(named.context.len(), 1);
}

#[tokio::test]
async fn each_limit_is_named_when_it_is_passed() {
    let world = world();
    let limits = FileLimits::default();
    for (limits, said) in [
        (FileLimits { max_file: 10, ..limits }, "files.max_file"),
        (FileLimits { max_total: 25, ..limits }, "files.max_total"),
        (FileLimits { max_files: 2, ..limits }, "files.max_files"),
    ] {
        let failure = run(&world, limits, json!({"context": ["src/**"]})).await.unwrap_err();
        assert!(failure.class == ErrorClass::BadRequest && failure.message.contains(said), "{failure}");
        let brought = json!({"files": {"a": "123456789", "b": "123456789", "c": "123456789012"}});
        let failure = run(&world, limits, brought).await.unwrap_err();
        assert!(failure.message.contains(said), "{failure}");
    }
}

#[test]
fn a_search_begins_where_its_pattern_does() {
    let patterns = ["src/**/*.py", "src/api/*.py", "./docs/a.md", "lib/x*/y"].map(str::to_owned);
    assert_eq!(source::starts(&patterns), ["docs", "lib", "src"]);
    assert_eq!(source::starts(&["*.py".to_owned(), "src/x".to_owned()]), [""]);
}
