//! Is each server fit for tasks, and what would be lost with it.

use windlass_shared::{
    config::RedisSettings,
    model::Durability,
    store::{IN_STEP, ServerFacts, Store},
};

use super::{Check, Status, check};
use crate::context::Context;

pub(super) async fn checks(context: &Context, store: &Store, servers: &[ServerFacts]) -> Vec<Check> {
    let settings = &context.config.redis;
    let appendfsync = store.appendfsync().await;
    let mut checks = Vec::new();
    for facts in servers {
        let appendfsync = appendfsync.get(&facts.address).map(String::as_str);
        let mut of_server =
            vec![fit(settings, facts), persistence(facts, appendfsync), memory(facts), role(facts)];
        if facts.role == "master" {
            of_server.extend(replicas(settings.durability, fails_over(settings, facts), facts));
        }
        if !facts.address.is_empty() {
            for check in &mut of_server {
                check.detail.insert_str(0, &format!("{}: ", facts.address));
            }
        }
        checks.extend(of_server);
    }
    if settings.durability == Durability::Fsync {
        checks.push(match store.check_durability().await {
            Ok(()) => check("durability", Status::Ok, "submissions and results wait for the disk"),
            Err(error) => check("durability", Status::Fail, error.to_string()),
        });
    }
    checks
}

fn fit(settings: &RedisSettings, facts: &ServerFacts) -> Check {
    let ServerFacts { server, version, eviction, .. } = facts;
    match facts.check(settings.allow_eviction) {
        Ok(()) => check("fit for tasks", Status::Ok, format!("{server} {version}, {eviction}")),
        Err(error) => check("fit for tasks", Status::Fail, error.to_string()),
    }
}

/// `appendfsync` is not told to everybody.
fn persistence(facts: &ServerFacts, appendfsync: Option<&str>) -> Check {
    let (status, detail) = match (facts.aof, appendfsync) {
        (true, _) if facts.aof_failed => (
            Status::Fail,
            "Redis cannot write its append-only file, and takes no tasks and no results until it can: is its disk full, or \
             broken? Workers keep results and tell them later",
        ),
        _ if facts.snapshot_failed => (
            Status::Warn,
            "the last snapshot of Redis failed; unless `stop-writes-on-bgsave-error` is off, it takes no tasks and no \
             results until one succeeds: is its disk full, or the machine out of memory?",
        ),
        (false, _) => (
            Status::Warn,
            "append-only file is off: a crash of Redis loses tasks since its last snapshot; set `appendonly yes`",
        ),
        (true, Some("always")) => (
            Status::Ok,
            "append-only file is on, and on disk before Redis answers (appendfsync always): nothing is lost",
        ),
        (true, Some("everysec")) => (
            Status::Ok,
            "append-only file is on, and on disk each second (appendfsync everysec): a crash of Redis loses nothing, a \
             power cut the last second or two",
        ),
        (true, Some("no")) => (
            Status::Warn,
            "append-only file is on, but the system decides when it is on disk (appendfsync no): a power cut may lose \
             half a minute; set `appendfsync everysec` or `always`",
        ),
        (true, _) => (
            Status::Ok,
            "append-only file is on; how often it is brought to disk (appendfsync) this user may not ask",
        ),
    };
    check("persistence", status, detail)
}

fn memory(facts: &ServerFacts) -> Check {
    match (facts.maxmemory, facts.used_memory) {
        (0, used) => check("memory", Status::Ok, format!("{} MiB used, no limit", used >> 20)),
        (limit, used) if used > limit / 10 * 9 => check(
            "memory",
            Status::Warn,
            format!("{} of {} MiB used: raise maxmemory or shorten retention", used >> 20, limit >> 20),
        ),
        (limit, used) => check("memory", Status::Ok, format!("{} of {} MiB used", used >> 20, limit >> 20)),
    }
}

fn role(facts: &ServerFacts) -> Check {
    match facts.role.as_str() {
        "master" => check(
            "role",
            Status::Ok,
            format!("primary with {} replicas, {} clients", facts.replicas, facts.clients),
        ),
        other => check("role", Status::Fail, format!("this is a {other}: point Windlass at the primary")),
    }
}

/// Whether somebody is there who makes a replica the primary: Sentinels, or the rest of a cluster.
fn fails_over(settings: &RedisSettings, facts: &ServerFacts) -> bool {
    let scheme = settings.url.expose().split_once("://").map_or("", |(scheme, _)| scheme);
    scheme.ends_with("+sentinel") || !facts.address.is_empty()
}

/// Whether there are as many as somebody counts on. Nothing for a server that is meant to be alone.
fn replicas(durability: Durability, fails_over: bool, facts: &ServerFacts) -> Vec<Check> {
    let ServerFacts { replicas, in_step, needs_replicas, .. } = *facts;
    let mut checks = Vec::new();
    let mut found = |status, detail: String| checks.push(check("replicas", status, detail));
    let wanted = if let Durability::Replicas(wanted) = durability { wanted } else { 0 };
    if in_step < wanted {
        let detail = format!(
            "{wanted} must confirm each submission and result (redis.durability), and {in_step} are in step: \
             submissions fail and results wait until there are more"
        );
        found(Status::Fail, detail);
    } else if in_step == 0 && fails_over {
        let detail = "none is in step, so nobody can take over when this primary dies: start one (REPLICAOF)";
        found(Status::Warn, detail.to_owned());
    }
    if in_step < replicas {
        let behind = replicas - in_step;
        found(Status::Warn, format!("{behind} of {replicas} lag by more than {IN_STEP} s or copy still"));
    }
    if replicas > 0 && !needs_replicas {
        let detail = "this primary goes on without them (min-replicas-to-write 0), and what it takes then a failover \
            loses: set `min-replicas-to-write 1` and `min-replicas-max-lag 10` (docs/durability.md)";
        found(Status::Warn, detail.to_owned());
    }
    if replicas > 0 && checks.is_empty() {
        let detail = format!("{in_step} in step; without them it takes no writes (min-replicas-to-write)");
        checks.push(check("replicas", Status::Ok, detail));
    }
    checks
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn facts(replicas: u32, in_step: u32, needs_replicas: bool) -> ServerFacts {
        let mut info = format!("role:master\r\nconnected_slaves:{replicas}\r\n");
        for index in 0..in_step {
            _ = write!(info, "slave{index}:state=online,lag=0\r\n");
        }
        if needs_replicas {
            info.push_str("min_slaves_good_slaves:1\r\n");
        }
        ServerFacts::read(String::new(), &info)
    }

    fn found(durability: Durability, fails_over: bool, facts: &ServerFacts) -> Vec<Status> {
        replicas(durability, fails_over, facts).iter().map(|check| check.status).collect()
    }

    #[test]
    fn as_many_replicas_as_are_counted_on_must_be_in_step() {
        use Durability::{None, Replicas};
        assert!(found(None, false, &facts(0, 0, false)).is_empty(), "it is meant to be alone");
        assert_eq!(found(None, true, &facts(0, 0, false)), [Status::Warn]);
        assert_eq!(found(Replicas(1), true, &facts(0, 0, false)), [Status::Fail]);
        assert_eq!(found(Replicas(2), false, &facts(2, 1, true)), [Status::Fail, Status::Warn]);
        assert_eq!(found(Replicas(1), false, &facts(1, 1, false)), [Status::Warn]);
        assert_eq!(found(Replicas(1), true, &facts(1, 1, true)), [Status::Ok]);
    }

    #[test]
    fn what_an_append_only_file_may_lose_is_told() {
        let with = |aof: &str| ServerFacts::read(String::new(), aof);
        let on = with("aof_enabled:1\r\naof_last_write_status:ok\r\n");
        for (setting, status) in
            [(Some("always"), Status::Ok), (Some("everysec"), Status::Ok), (Some("no"), Status::Warn)]
        {
            let told = persistence(&on, setting);
            assert_eq!(told.status, status);
            assert!(told.detail.contains(setting.unwrap_or_default()), "{}", told.detail);
        }
        assert_eq!(persistence(&on, None).status, Status::Ok);
        assert_eq!(persistence(&with("aof_enabled:0\r\n"), Some("everysec")).status, Status::Warn);
        let full = with("aof_enabled:1\r\naof_last_write_status:err\r\n");
        assert_eq!(persistence(&full, Some("everysec")).status, Status::Fail);
    }
}
