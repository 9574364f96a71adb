//! Each program as its user of `deploy/redis/users.conf`: what it must do works, what it must not is refused by Redis.

use std::path::Path;

use serde_json::json;
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    process::{Output, eventually},
};

use crate::look::{assert_completed_once, lines, secs};

struct Users {
    fleet: Fleet,
}

fn url(fleet: &Fleet, user: &str) -> String {
    format!("redis://windlass-{user}:change-me-{user}@127.0.0.1:{}", fleet.redis.port())
}

impl Users {
    /// A server with these users and nobody else; the test itself is the administrator.
    fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with further arguments of the server.
    fn start_with(args: &[&str]) -> Self {
        let users = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/redis/users.conf");
        let users = users.to_str().expect("a plain path");
        let redis = [&["--include", users], args].concat();
        let mut fleet = Fleet::start(&FleetOptions {
            workers: 0,
            redis: &redis,
            user: "admin:change-me-admin",
            ..FleetOptions::default()
        });
        let worker = url(&fleet, "worker");
        fleet.spawn_worker_with(&["--redis-url", &worker]);
        Self { fleet }
    }

    fn run(&self, user: &str, args: &[&str]) -> Output {
        let url = url(&self.fleet, user);
        self.fleet.windlass(&[args, &["--redis-url", &url]].concat())
    }

    /// A command straight to Redis, as this user.
    fn raw(&self, user: &str, words: &[&str]) -> Result<redis::Value, String> {
        let client = redis::Client::open(url(&self.fleet, user)).expect("a valid URL");
        let mut connection = client.get_connection().expect("the user may come in");
        redis::cmd(words[0]).arg(&words[1..]).query(&mut connection).map_err(|error| error.to_string())
    }

    fn forbidden(&self, user: &str, words: &[&str]) {
        let answer = self.raw(user, words);
        let refused = |why: &String| {
            why.contains("permission") || why.contains("NOPERM") || why.contains("user executing the script")
        };
        assert!(answer.as_ref().is_err_and(refused), "{user} may {words:?}: {answer:?}");
    }
}

/// Redis replays its append-only file as the user `default`, whom nobody is. What that user may not do is lost.
#[test]
fn with_these_users_a_redis_that_starts_again_has_all_tasks() {
    let mut users = Users::start_with(&["--appendonly", "yes"]);
    users.run("producer", &["submit", "--type", "noop", "--payload", "1", "--id", "done", "--wait"]).ok();
    users
        .run("producer", &["submit", "--type", "noop", "--payload", "2", "--id", "later", "--delay", "1h"])
        .ok();
    users.fleet.redis.restart();
    let state = |id: &str| users.run("observer", &["status", id, "-o", "json"]).ok().json()["state"].clone();
    assert_eq!((state("done"), state("later")), (json!("completed"), json!("scheduled")));
    assert!(users.fleet.redis.log().contains("Ready to accept connections"));
    let anybody = redis::Client::open(users.fleet.redis.url()).expect("a valid URL");
    let refused = anybody
        .get_connection()
        .and_then(|mut connection| redis::cmd("DBSIZE").query::<u64>(&mut connection));
    assert!(refused.is_err_and(|why| why.to_string().contains("NOAUTH")), "nobody is let in as `default`");
}

#[test]
fn each_program_can_do_its_work_as_its_own_user() {
    let users = Users::start();
    let file: String =
        lines("t", 30, "noop", &json!({"n": 1})).iter().map(|line| format!("{line}\n")).collect();
    let path = users.fleet.file("tasks.jsonl", &file);
    let path = path.to_str().expect("a plain path");
    users.run("producer", &["submit", "--file", path, "--batch", "b", "--wait"]).ok();
    let finished = users.run("observer", &["results", "--batch", "b"]).ok().jsonl();
    assert_completed_once(&users.fleet, &finished, 30);

    // A producer operates: settings, cancel, retry, priority, commands to nodes, purge, budgets.
    users.run("producer", &["pause", "default"]).ok();
    users.run("producer", &["submit", "--type", "noop", "--payload", "1", "--id", "p", "--delay", "1h"]).ok();
    users.run("producer", &["priority", "p", "high"]).ok();
    users.run("producer", &["cancel", "p"]).ok();
    users.run("producer", &["retry", "p"]).ok();
    users.run("producer", &["resume", "default"]).ok();
    users.run("producer", &["wait", "p", "--timeout", "20s"]).ok();
    users.run("producer", &["purge", "--queue", "default", "--state", "completed"]).ok();
    users.run("producer", &["queues", "set", "wide", "--partitions", "3"]).ok();
    users.run("producer", &["submit", "--type", "sleep", "--payload", "{\"ms\":60000}", "--id", "long"]).ok();
    eventually("it runs", secs(10), || users.fleet.status("long")["state"] == "running");
    users.run("producer", &["cancel", "long"]).ok();
    users.run("producer", &["wait", "long", "--timeout", "10s"]).expect_code(1);
    let node = users.fleet.node_id(0);
    users.run("producer", &["node", "quiet", &node]).ok();
    eventually("it obeys", secs(10), || users.fleet.state_of(0).as_deref() == Some("quiet"));

    // An observer sees all of it.
    for look in [
        &["nodes"][..],
        &["top", "--once"],
        &["queues"],
        &["tasks", "--state", "cancelled"],
        &["status", "long"],
        &["events"],
        &["audit"],
        &["metrics"],
        &["doctor", "--verify"],
    ] {
        let seen = users.run("observer", look);
        assert!(seen.code <= 1 && !seen.stderr.contains("refused us"), "{seen}");
    }
}

#[test]
fn what_a_user_must_not_do_is_refused_by_redis() {
    let users = Users::start();
    users.run("producer", &["submit", "--type", "noop", "--payload", "1", "--id", "t", "--delay", "1h"]).ok();
    for change in [
        &["submit", "--type", "noop", "--payload", "1"][..],
        &["cancel", "t"],
        &["pause", "default"],
        &["purge", "--queue", "default", "--state", "scheduled"],
    ] {
        let refused = users.run("observer", change).expect_code(3);
        assert!(refused.stderr.contains("ACL rules"), "{refused}");
        assert!(!refused.stderr.contains("change-me"), "{refused}");
    }
    assert_eq!(users.fleet.status("t")["state"], "scheduled");
    let settings = users.run("worker", &["pause", "default"]).expect_code(3);
    assert!(settings.stderr.contains("ACL rules"), "{settings}");

    let node = users.fleet.node_id(0);
    let claims = format!("wl:{{default}}:claimed:{node}");
    let heartbeat = format!("wl:{{nodes}}:node:{node}");
    for user in ["producer", "worker", "observer"] {
        for words in [
            &["FLUSHALL"][..],
            &["CONFIG", "GET", "dir"],
            &["KEYS", "*"],
            &["SHUTDOWN"],
            &["MONITOR"],
            &["ACL", "LIST"],
        ] {
            users.forbidden(user, words);
        }
        users.forbidden(user, &["GET", "another-application"]);
        users.forbidden(user, &["EVAL", "return redis.call('GET', 'another-application')", "0"]);
    }
    // A producer is no node.
    users.forbidden("producer", &["SET", &heartbeat, "{}"]);
    users.forbidden("producer", &["EVAL", "return 1", "1", &claims]);
    users.forbidden(
        "producer",
        &["EVAL", &format!("return redis.call('DEL', '{heartbeat}')"), "1", "wl:{default}:meta"],
    );
    // It writes into the operators' log, and takes nothing out of it.
    users.forbidden("producer", &["DEL", "wl:{operators}:actions"]);
    users.forbidden("worker", &["XADD", "wl:{operators}:actions", "*", "by", "somebody"]);
    // A worker does not set up queues, not even through a script of its own.
    users.forbidden("worker", &["HSET", "wl:{default}:meta", "paused", "1"]);
    users.forbidden(
        "worker",
        &["EVAL", "return redis.call('HSET', KEYS[1], 'paused', '1')", "1", "wl:{default}:meta"],
    );
    // An observer changes nothing.
    users.forbidden("observer", &["DEL", "wl:{default}:spec:t"]);
    users.forbidden(
        "observer",
        &["EVAL", "return redis.call('DEL', 'wl:{default}:spec:t')", "1", "wl:{default}:meta"],
    );
    users.fleet.verify();
}

/// The keys of a server, by the administrator.
fn keys(users: &Users) -> Vec<String> {
    let found = redis::cmd("KEYS").arg("wl:{default}*").query(&mut users.fleet.connection());
    let mut keys: Vec<String> = found.expect("a list of keys");
    keys.sort();
    keys
}

#[test]
fn copies_are_made_and_brought_back_by_the_administrator_only_and_nothing_is_half_done_for_others() {
    let (users, other) = (Users::start(), Users::start());
    let submit = ["submit", "--type", "noop", "--payload", "1", "--delay", "1h", "--id"];
    for id in ["a", "b"] {
        users.run("producer", &[&submit[..], &[id]].concat()).ok();
    }
    let file = users.fleet.dir().join("f");
    let path = file.to_str().expect("a plain path");
    // A producer acts, and is told who may do this. The others must not even act.
    let refused = |user: &str, output: Output| {
        let output = output.expect_code(3);
        let why = if user == "producer" { "docs/disaster.md" } else { "ACL rules" };
        assert!(output.stderr.contains(why), "{output}");
        assert!(!output.stderr.contains("change-me"), "{output}");
    };
    for user in ["producer", "worker", "observer"] {
        refused(user, users.run(user, &["export", "default", "--pause", "--file", path]));
        assert!(!file.exists(), "{user} left a file behind");
        assert_eq!(users.fleet.queue("default")["paused"], false, "{user} left the queue paused");
    }
    users.fleet.windlass(&["export", "default", "--pause", "--file", path]).ok();

    let before = keys(&other);
    for user in ["producer", "worker", "observer"] {
        refused(user, other.run(user, &["import", "--file", path]));
        assert_eq!(keys(&other), before, "{user} left something behind");
        assert_eq!(other.fleet.queue("default")["paused"], false, "{user} left the queue closed");
    }
    other.fleet.windlass(&["import", "--file", path]).ok();
    for id in ["a", "b"] {
        assert_eq!(other.fleet.status(id)["state"], "scheduled");
    }
    other.fleet.verify();
}

#[test]
fn who_looks_only_repairs_nothing_and_who_operates_does() {
    let users = Users::start();
    users.run("producer", &["pause", "default"]).ok();
    for id in ["lost", "sound"] {
        users.run("producer", &["submit", "--type", "noop", "--payload", "1", "--id", id]).ok();
    }
    let pending = users.fleet.queue_keys("default").pending().to_owned();
    let lose = || {
        redis::cmd("ZREM").arg(&pending).arg("lost").exec(&mut users.fleet.connection()).expect("obeyed");
    };
    lose();
    let repair = ["doctor", "--verify", "--repair"];
    let yes = ["doctor", "--verify", "--repair", "--yes"];
    let looked = users.run("observer", &repair).expect_code(1);
    assert!(looked.stdout.contains("lost: to do"), "{looked}");
    let refused = users.run("observer", &yes).expect_code(3);
    assert!(refused.stderr.contains("ACL rules"), "{refused}");
    // All that is wrong is wrong still, and can be put right.
    for url in
        [url(&users.fleet, "producer"), users.fleet.redis.url().replace("//", "//admin:change-me-admin@")]
    {
        users.fleet.windlass(&["doctor", "--verify", "--redis-url", &url]).expect_code(1);
        let done = users.fleet.windlass(&[&yes[..], &["--redis-url", &url]].concat()).ok();
        assert!(done.stdout.contains("lost: done"), "{done}");
        users.fleet.verify();
        lose();
    }
    users.fleet.windlass(&yes).ok();
    users.fleet.verify();
}
