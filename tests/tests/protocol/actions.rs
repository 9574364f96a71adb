//! The operators' log (`note_action.lua`): written before an action, and once more when it ended.

use std::collections::BTreeMap;

use windlass_shared::model::{Action, ActionEntry, ActionLog, NewAction, action::MOST_NAMED};

use crate::scene::Scene;

fn purge(on: Vec<String>) -> NewAction {
    let with = BTreeMap::from([("state".to_owned(), "failed".to_owned())]);
    NewAction { by: "ann@laptop".into(), action: "purge".into(), on, with }
}

/// All that the log tells.
async fn told(t: &Scene) -> Vec<Action> {
    let mut log = ActionLog::default();
    for (_, entry) in t.store.actions("0", 1000).await.unwrap() {
        log.add(entry);
    }
    log.into_actions()
}

#[tokio::test]
async fn an_action_stands_there_before_it_is_done_and_its_end_belongs_to_it() {
    let t = Scene::new().await;
    let first = t.store.begin_action(&purge(vec!["q".into()])).await.unwrap();
    let second = t.store.begin_action(&purge(vec!["r".into()])).await.unwrap();
    t.store.end_action(&first, 3).await.unwrap();
    let actions = told(&t).await;
    let seen: Vec<_> = actions.iter().map(|a| (a.id.as_str(), a.on[0].as_str(), a.exit)).collect();
    assert_eq!(seen, [(first.as_str(), "q", Some(3)), (second.as_str(), "r", None)]);
    assert_eq!((actions[0].by.as_str(), actions[0].action.as_str()), ("ann@laptop", "purge"));
    assert_eq!(actions[0].with["state"], "failed");
    assert!(actions[0].ended_at >= Some(actions[0].at) && actions[1].ended_at.is_none());
    t.done().await;
}

#[tokio::test]
async fn of_many_things_the_first_are_named_and_all_are_counted() {
    let t = Scene::new().await;
    let many = (0..5000).map(|n| format!("q/{n}")).collect();
    t.store.begin_action(&purge(many)).await.unwrap();
    let action = told(&t).await.remove(0);
    assert_eq!((action.on.len(), action.count, action.on[99].as_str()), (MOST_NAMED, 5000, "q/99"));
    t.done().await;
}

#[tokio::test]
async fn out_of_memory_an_action_is_noted_all_the_same() {
    let t = Scene::new().await;
    for flush in [false, true] {
        t.redis::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
        if flush {
            t.redis::<()>(&["SCRIPT", "FLUSH"]).await;
        }
        let id = t.store.begin_action(&purge(vec!["q".into()])).await.unwrap();
        t.store.end_action(&id, 0).await.unwrap();
    }
    assert_eq!(told(&t).await.iter().filter(|action| action.exit == Some(0)).count(), 2);
    t.redis::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
    t.done().await;
}

#[tokio::test]
async fn the_log_is_bounded_and_an_end_without_its_beginning_is_left_out() {
    let t = Scene::new().await;
    let first = t.store.begin_action(&purge(vec!["q".into()])).await.unwrap();
    let fill = "for i = 1, 25000 do redis.call('XADD', KEYS[1], '*', 'of', '0-1', 'exit', '0') end return 1";
    t.redis::<u64>(&["EVAL", fill, "1", &t.store.keys().actions()]).await;
    t.store.end_action(&first, 0).await.unwrap();
    let length: u64 = t.redis(&["XLEN", &t.store.keys().actions()]).await;
    assert!((20_000..20_200).contains(&length), "{length}");
    let (cursor, _) = t.store.actions("0", 1).await.unwrap().remove(0);
    assert!(matches!(&t.store.actions(&cursor, 1).await.unwrap()[0].1, ActionEntry::Ended { exit: 0, .. }));
    assert_eq!(told(&t).await, [], "its beginning was trimmed away");
    t.done().await;
}
