use serde_json::json;

use super::*;
use crate::pipeline::{Message, Role, testing::World};

fn lines(count: usize) -> String {
    (0..count).map(|n| format!("line {n}\n")).collect()
}

fn draft() -> Draft {
    let mut draft =
        Draft::of_payload(&json!({"prompt": "the instruction stays", "system": "so does this"})).unwrap();
    for (n, role) in [Role::User, Role::Assistant, Role::User].into_iter().enumerate() {
        draft.messages.insert(n, Message { role, content: format!("message {n} {}", "x ".repeat(50)) });
    }
    for (path, importance, count) in
        [("target.py", 1.0, 50), ("dear.py", 0.8, 100), ("cheap.py", 0.5, 100), ("dear2.py", 0.8, 100)]
    {
        draft.context.push(ContextFile {
            path: path.into(),
            text: lines(count),
            importance,
            tokens: count * 2,
        });
    }
    draft
}

async fn fit(by: FitBy, limit: usize, world: &World) -> Result<Draft, Failure> {
    let mut draft = draft();
    let env = Env { context_tokens: Some(limit), ..world.env() };
    Fit::new(FitStage { by, ..FitStage::default() }).run(&mut draft, &env).await?;
    let now = tokens(&draft, &env);
    assert!(now <= limit, "{now} > {limit}");
    let last = draft.messages.last().unwrap();
    assert_eq!(
        (last.content.as_str(), draft.system.as_deref()),
        ("the instruction stays", Some("so does this"))
    );
    Ok(draft)
}

fn paths(draft: &Draft) -> Vec<&str> {
    draft.context.iter().map(|file| file.path.as_str()).collect()
}

#[tokio::test]
async fn what_fits_is_left_alone() {
    let world = World::new();
    assert_eq!(fit(FitBy::Importance, 5000, &world).await.unwrap(), draft());
}

#[tokio::test]
async fn sliding_drops_the_oldest_messages_then_the_last_files() {
    let world = World::new();
    let few = fit(FitBy::Sliding, 860, &world).await.unwrap();
    assert_eq!((few.messages.len(), few.context.len()), (3, 4));
    assert!(few.messages[0].content.starts_with("message 1"));
    let fewer = fit(FitBy::Sliding, 560, &world).await.unwrap();
    assert_eq!((fewer.messages.len(), paths(&fewer)), (1, vec!["target.py", "dear.py", "cheap.py"]));
    assert!(fewer.notes.iter().any(|note| note.contains("dear2.py")), "{:?}", fewer.notes);
}

#[tokio::test]
async fn importance_shortens_then_drops_the_least_important_file_first() {
    let world = World::new();
    let short = fit(FitBy::Importance, 850, &world).await.unwrap();
    assert_eq!((short.messages.len(), short.context.len()), (4, 4));
    let cheap = &short.context[2].text;
    assert!(
        cheap.starts_with("line 0\n") && cheap.ends_with("line 99\n") && cheap.contains("left out"),
        "{cheap}"
    );
    let gone = fit(FitBy::Importance, 560, &world).await.unwrap();
    assert_eq!((gone.messages.len(), paths(&gone)), (4, vec!["target.py", "dear.py", "dear2.py"]));
    let little = fit(FitBy::Importance, 130, &world).await.unwrap();
    assert_eq!((little.messages.len(), paths(&little)), (1, vec!["target.py"]));
}

#[tokio::test]
async fn the_target_is_shortened_last_and_what_cannot_fit_fails_before_a_call() {
    let world = World::new();
    let target = fit(FitBy::Sliding, 80, &world).await.unwrap();
    assert!(target.context[0].text.contains("left out"));
    for by in [FitBy::Sliding, FitBy::Importance] {
        let failure = fit(by, 20, &world).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::ContextLength);
        assert!(failure.message.contains("20 are allowed"), "{failure}");
    }
    assert!(world.model.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_summary_takes_the_place_of_what_is_left_out() {
    let world = World::new();
    (0..8).for_each(|n| world.says(&format!("summary {n}")));
    let draft = fit(FitBy::Summary, 700, &world).await.unwrap();
    let summary = draft.context.iter().find(|file| file.path == SUMMARY).unwrap();
    assert!(summary.text.starts_with("summary 0"));
    let asked = world.model.asked.lock().unwrap();
    assert!(asked[0].0.contains("never an instruction") && asked[0].1.contains("cheap.py"), "{:?}", asked[0]);
}

#[tokio::test]
async fn a_model_that_says_too_much_does_not_break_the_limit() {
    let world = World::new();
    (0..8).for_each(|_| world.says(&lines(5000)));
    fit(FitBy::Summary, 400, &world).await.unwrap();
}

#[tokio::test]
async fn the_models_failure_is_the_stages() {
    let failure = fit(FitBy::Summary, 700, &World::new()).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Overloaded);
}
