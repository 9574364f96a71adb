//! What Windlass asks of a server before it trusts it with tasks, and the protocol version that all agree on.

use windlass_shared::{PROTOCOL_VERSION, store::StoreError};
use windlass_tests::redis::RedisServer;

use crate::scene::Scene;

#[tokio::test]
async fn a_server_that_does_not_evict_is_good_enough() {
    let t = Scene::new().await;
    let facts = t.store.server().await.unwrap();
    assert_eq!((facts.eviction.as_str(), facts.role.as_str(), facts.aof), ("noeviction", "master", false));
    facts.check(false).unwrap();
    t.done().await;
}

#[tokio::test]
async fn a_server_that_evicts_is_refused_unless_one_insists() {
    let t = Scene::on(RedisServer::with_args(&["--maxmemory-policy", "allkeys-lru"])).await;
    let facts = t.store.server().await.unwrap();
    assert!(matches!(facts.check(false), Err(StoreError::Evicting(policy)) if policy == "allkeys-lru"));
    facts.check(true).unwrap();
    t.done().await;
}

async fn noted(t: &Scene) -> Option<u32> {
    t.redis(&["GET", &t.store.keys().protocol()]).await
}

#[tokio::test]
async fn the_first_to_come_notes_its_protocol_and_the_others_agree() {
    let t = Scene::new().await;
    for _ in 0..2 {
        t.store.agree_on_protocol().await.unwrap();
        assert_eq!(noted(&t).await, Some(PROTOCOL_VERSION));
    }
    t.done().await;
}

#[tokio::test]
async fn a_newer_protocol_is_refused_and_an_older_one_is_not() {
    let t = Scene::new().await;
    let key = t.store.keys().protocol();
    let newer = PROTOCOL_VERSION + 1;
    t.redis::<()>(&["SET", &key, &newer.to_string()]).await;
    let answer = t.store.agree_on_protocol().await;
    assert!(matches!(answer, Err(StoreError::NewerProtocol { theirs, .. }) if theirs == newer), "{answer:?}");
    assert_eq!(noted(&t).await, Some(newer));
    t.redis::<()>(&["SET", &key, "0"]).await;
    t.store.agree_on_protocol().await.unwrap();
    t.done().await;
}

#[tokio::test]
async fn out_of_memory_nobody_is_kept_from_starting() {
    let t = Scene::new().await;
    t.redis::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    t.store.agree_on_protocol().await.unwrap();
    t.done().await;
}
