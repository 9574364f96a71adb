//! How each fault is done, and undone.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use windlass_tests::{
    proxy::{Proxy, Weather},
    redis::{RedisServer, info_of},
};

use crate::{
    load::Load,
    look::{open, servers},
    plan::{Fault, Kind, Target},
    stage::{BLOCK, POISON, PRIMARIES, Stage},
};

/// A drain, or a fail-over, that takes longer is stuck.
const STUCK: Duration = Duration::from_mins(2);

/// A fault that lasts.
pub(crate) struct Lasting {
    pub(crate) fault: Fault,
    pub(crate) until: Instant,
    /// The server that was killed, of several.
    server: Option<usize>,
}

/// Does it. Gives none if there was nothing that it could hurt.
pub(crate) fn begin(stage: &mut Stage, load: &mut Load, fault: &Fault) -> Option<Lasting> {
    let mut server = None;
    if fault.kind.is_outage() {
        stage.outage_begins();
    }
    match (fault.kind, fault.target) {
        (Kind::Kill, Target::Worker(seat)) => stage.signal(seat, Signal::KILL),
        (Kind::Suspend, Target::Worker(seat)) => stage.signal(seat, Signal::STOP),
        (Kind::Drain, Target::Worker(seat)) => stage.signal(seat, Signal::TERM),
        (_, Target::Worker(seat)) => hurt(stage.seats[seat].link.as_ref()?, fault),
        (Kind::AllLinksCut, _) => {
            stage.seats.iter().filter_map(|seat| seat.link.as_ref()).for_each(Proxy::cut);
        }
        (Kind::ScriptsFlushed, _) => stage.tell_primaries(&["SCRIPT", "FLUSH"]),
        (Kind::ClientsKilled, _) => stage.tell_primaries(&["CLIENT", "KILL", "TYPE", "normal"]),
        (Kind::MemoryFull, _) => fill_memory(&stage.fleet.redis),
        (Kind::RedisKilled, _) => stage.fleet.redis.stop(),
        (Kind::RedisSuspended, _) => signal(&stage.fleet.redis, Signal::STOP),
        (Kind::PrimaryLost, _) => {
            server = lose_a_primary(stage, fault.degree);
            if server.is_none() {
                stage.outages.pop();
                return None;
            }
        }
        (Kind::Poison, _) => load.hostile(&stage.fleet, POISON, "die", &json!(null), "failed"),
        (Kind::Block, _) => {
            let ms = stage.lease.mul_f64(1.5).as_millis() as u64;
            load.hostile(&stage.fleet, BLOCK, "block", &json!({"ms": ms}), "completed");
        }
        (kind, target) => unreachable!("{kind:?} has no target {target:?}"),
    }
    Some(Lasting { fault: fault.clone(), until: Instant::now() + fault.lasts, server })
}

/// Undoes it. False if it is not over yet; then ask again.
pub(crate) fn end(stage: &mut Stage, lasting: &Lasting) -> bool {
    let late = lasting.until.elapsed() > STUCK;
    match (lasting.fault.kind, lasting.fault.target) {
        (Kind::Suspend, Target::Worker(seat)) => stage.signal(seat, Signal::CONT),
        (Kind::Kill, Target::Worker(seat)) => match stage.ended(seat) {
            Some(_) => stage.fill(seat),
            None => return false,
        },
        (Kind::Drain, Target::Worker(seat)) => return drained(stage, seat, late),
        (kind, Target::Worker(seat)) => clear(stage.seats[seat].link.as_ref(), kind),
        (Kind::MemoryFull, _) => stage.tell_primaries(&["CONFIG", "SET", "maxmemory", "0"]),
        (Kind::RedisKilled, _) => stage.fleet.redis.start_again(),
        (Kind::RedisSuspended, _) => signal(&stage.fleet.redis, Signal::CONT),
        (Kind::PrimaryLost, _) => return failed_over(stage, lasting.server, late),
        _ => {}
    }
    if lasting.fault.kind.is_outage() {
        stage.outage_ends();
    }
    true
}

fn hurt(link: &Proxy, fault: &Fault) {
    let degree = fault.degree;
    match fault.kind {
        Kind::LinkCut => link.cut(),
        Kind::LinkClosed => {
            link.set(Weather::Closed);
            link.cut();
        }
        Kind::LinkFrozen => link.set(Weather::Frozen),
        Kind::LinkDeaf => link.set(Weather::Swallowed),
        Kind::LinkLate => link.set(Weather::Late(Duration::from_millis(50 + degree % 250))),
        Kind::LinkThin => link.set(Weather::Thin(8_000 + (degree % 32_000) as usize)),
        Kind::LinkBroken => link.set(Weather::CutAfter((degree % 3_000) as usize)),
        kind => unreachable!("{kind:?} is no fault of a link"),
    }
}

fn clear(link: Option<&Proxy>, kind: Kind) {
    if let Some(link) = link {
        if kind == Kind::LinkDeaf {
            // What was swallowed is missing in these streams; no network goes on so. The peer of each is gone.
            link.orphan();
        }
        link.set(Weather::Fair);
    }
}

fn signal(server: &RedisServer, signal: Signal) {
    let pid = i32::try_from(server.pid()).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, signal).expect("our own server can be signalled");
}

/// Redis may use no more than it uses now.
fn fill_memory(server: &RedisServer) {
    let Some(mut connection) = open(server, Duration::from_secs(2)) else { return };
    let used = info_of(server).lines().find_map(|line| line.strip_prefix("used_memory:").map(str::to_owned));
    let used = used.expect("a server tells what it uses");
    let set = ["SET", "maxmemory", used.trim()];
    _ = redis::cmd("CONFIG").arg(&set).query::<redis::Value>(&mut connection);
}

/// A drained worker ends well, and another one takes its seat.
fn drained(stage: &mut Stage, seat: usize, late: bool) -> bool {
    let worker = stage.seats[seat].worker;
    let Some(code) = stage.ended(seat) else {
        if late {
            let words = stage.last_words(worker);
            stage.violations.push(format!("worker-{worker} does not end though it was asked to{words}"));
            stage.signal(seat, Signal::KILL);
        }
        return false;
    };
    if code != 0 {
        let words = stage.last_words(worker);
        stage.violations.push(format!("worker-{worker} was drained and ended with {code}{words}"));
    }
    stage.fill(seat);
    true
}

/// Kills a primary whose replica is in step, and gives its number among the servers.
fn lose_a_primary(stage: &mut Stage, degree: u64) -> Option<usize> {
    let all: Vec<&RedisServer> = servers(&stage.fleet).collect();
    let has_replica = |server: &RedisServer| {
        let info = info_of(server);
        info.contains("role:master")
            && info.lines().any(|line| line.starts_with("slave0:") && line.contains("state=online"))
    };
    let ready: Vec<usize> = (0..all.len()).filter(|&n| all[n].is_running() && has_replica(all[n])).collect();
    let lost = *ready.get(degree as usize % ready.len().max(1))?;
    server_mut(stage, lost).stop();
    Some(lost)
}

/// Once another has taken over, the lost one comes back, as a replica.
fn failed_over(stage: &mut Stage, lost: Option<usize>, late: bool) -> bool {
    let lost = lost.expect("a primary was lost");
    let taken_over = match &stage.fleet.sentinels {
        // Before most of them name another, clients would be led to the one that comes back.
        Some(sentinels) => sentinels.primary().is_some_and(|port| {
            servers(&stage.fleet).any(|server| server.is_running() && server.port() == port)
        }),
        None => {
            let is_primary =
                |server: &&RedisServer| server.is_running() && info_of(server).contains("role:master");
            servers(&stage.fleet).filter(is_primary).count() == PRIMARIES
        }
    };
    if !taken_over {
        if late {
            stage.violations.push("nobody took over from a primary that was lost".to_owned());
        }
        return late;
    }
    server_mut(stage, lost).start_again();
    stage.outage_ends();
    true
}

fn server_mut(stage: &mut Stage, number: usize) -> &mut RedisServer {
    match number {
        0 => &mut stage.fleet.redis,
        other => &mut stage.fleet.others[other - 1],
    }
}
