//! The schedules find what is wrong: each of these mistakes is made in the real scripts, one at a time, and each must be
//! noticed within so many schedules.

use std::{fs, path::PathBuf};

use windlass_tests::redis::RedisServer;

use super::{
    runner::{first_failure, runtime},
    swap::{self, Swaps},
};
use crate::scene::Scene;

/// A mistake: what it is, the file, what stands there, what is to stand there.
type Mutant = (&'static str, &'static str, &'static str, &'static str);

const MUTANTS: &[Mutant] = &[
    (
        "the fence is gone where an attempt completes",
        "settle_and_claim",
        "    if t[1] == 'running' and held and string.find(held, fence, 1, true) == 1 then",
        "    if t[1] == 'running' and held then",
    ),
    (
        "the fence is gone where an attempt ends otherwise",
        "settle_and_claim",
        "    if t[1] == 'running' and tasks.holds(t[2], ARGV[a + 1], node) then",
        "    if t[1] == 'running' then",
    ),
    (
        "a result is written before the check",
        "settle_and_claim",
        "    if attempt ~= fenced then fence",
        "    redis.call('HSET', key, 'result', result) if attempt ~= fenced then fence",
    ),
    (
        "what completed keeps its lease",
        "settle_and_claim",
        "  if #done > 0 then redis.call('ZREM', RUNNING, unpack(done)) end",
        "",
    ),
    (
        "what ended otherwise keeps its lease",
        "settle_and_claim",
        "  if #leaving > 0 then redis.call('ZREM', RUNNING, unpack(leaving)) end",
        "",
    ),
    (
        "a second attempt has the number of the first",
        "settle_and_claim",
        "  attempt = text(attempt + 1)",
        "  attempt = text(math.max(attempt, 1))",
    ),
    (
        "a repeated call is taken for a new one",
        "settle_and_claim",
        "if last and string.sub(last, 1, #nonce + 1) == nonce .. '\\n' then",
        "if false then",
    ),
    (
        "a repeated call is told what it holds no more",
        "settle_and_claim",
        "    if t[1] == 'running' and tasks.holds(t[2], attempt, node) then",
        "    if t[1] then",
    ),
    ("a paused queue gives tasks", "settle_and_claim", "  if paused then return '' end", ""),
    (
        "a task that started once expires",
        "settle_and_claim",
        "attempt == 0 and tonumber(t[2]) or nil",
        "tonumber(t[2])",
    ),
    (
        "a cancel is forgotten when the attempt is handed back",
        "settle_and_claim",
        "    if r[1] then return tasks.finish",
        "    if false then return tasks.finish",
    ),
    (
        "a lost lease charges no crash",
        "lua/upkeep",
        "local crashes = (tonumber(t[5]) or 0) + 1",
        "local crashes = tonumber(t[5]) or 0",
    ),
    (
        "a recovered task loses its place",
        "lua/upkeep",
        "make_pending(id, tasks.kept_score(id, score, t[6]))",
        "make_pending(id, tasks.fresh_score(id, t[6]))",
    ),
    (
        "a recovered task cannot be claimed by the call that recovers it",
        "lua/upkeep",
        "    flush_pending() -- this very call may claim them\n",
        "",
    ),
    (
        "leases are recovered at once after an outage",
        "lua/queue",
        "if now - seen_at > longest_lease / 2 then recover_after = now + longest_lease end",
        "",
    ),
    (
        "a tenant's turn costs nothing",
        "lua/queue",
        "turn.start = start + TURN / weight",
        "turn.start = start",
    ),
    (
        "a finished task is not counted in its batch",
        "lua/queue",
        "  count_in_batch(batch, to, 1)",
        "  count_in_batch(batch, to, 0)",
    ),
    (
        "the place of a concurrency key is not given back",
        "lua/tasks",
        "redis.call('HINCRBY', KEY_COUNTS, concurrency_key, -1)",
        "redis.call('HINCRBY', KEY_COUNTS, concurrency_key, 0)",
    ),
    (
        "a parked task keeps a place of the time before its band started again",
        "lua/tasks",
        "make_pending(id, tasks.kept_score(id, first[i + 1]))",
        "make_pending(id, tonumber(first[i + 1]))",
    ),
    (
        "what is known is taken again",
        "submit",
        "redis.call('MSETNX', unpack(specs)) == 1",
        "(redis.call('MSET', unpack(specs)) and true)",
    ),
    ("other content under a known id is a duplicate", "submit", "(digest == '' or before == digest)", "true"),
    (
        "a beat extends the lease of another attempt",
        "extend",
        "  if t[1] == 'running' and tasks.holds(t[2], ARGV[a + 1], node) then",
        "  if t[1] == 'running' then",
    ),
    (
        "a task that is put off does not free its place",
        "settle_and_claim",
        "    if concurrency_key then tasks.release_key(concurrency_key) end",
        "    if concurrency_key and to ~= 'scheduled' then tasks.release_key(concurrency_key) end",
    ),
    (
        "a retried task still counts as failed in its batch",
        "retry",
        "      count_in_batch(batch, state, -1)",
        "      count_in_batch(batch, state, 0)",
    ),
    ("a rejected draft completes", "review", "    if verdict == 'rejected' then", "    if false then"),
];

/// So many schedules find any of them.
const MOST: u32 = 600;
const SEED: u64 = 20_261_120;
/// The mistakes are shared out to so many tests, which run side by side.
const PARTS: usize = 4;

const QUEUE: &str = "lua/queue";
const TASKS: &str = "lua/tasks";
const UPKEEP: &str = "lua/upkeep";

/// The scripts that the schedules run, and the files that each is made of.
const SCRIPTS: &[(&str, &[&str])] = &[
    ("submit", &[QUEUE]),
    ("settle_and_claim", &[QUEUE, TASKS, UPKEEP]),
    ("extend", &[QUEUE, TASKS, UPKEEP]),
    ("cancel", &[QUEUE, TASKS]),
    ("retry", &[QUEUE, TASKS]),
    ("prioritise", &[QUEUE, TASKS]),
    ("review", &[QUEUE, TASKS]),
    ("purge", &[QUEUE, TASKS]),
    ("configure", &[QUEUE, TASKS]),
];

fn file(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../shared/src/store/{name}.lua"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The text of a script, with the mistake if one of its files has it.
fn source((own, parts): (&str, &[&str]), mutant: Option<&Mutant>) -> String {
    let text = |name: &str| match mutant.filter(|mutant| mutant.1 == name) {
        Some((_, _, is, becomes)) => file(name).replace(is, becomes),
        None => file(name),
    };
    parts.iter().copied().chain([own]).map(text).collect::<Vec<_>>().join("\n")
}

fn hash(source: &str) -> String {
    redis::Script::new(source).get_hash().to_owned()
}

/// Puts the scripts with this mistake on the server: which hash goes in the place of which.
async fn load(t: &Scene, mutant: &Mutant) -> Swaps {
    let (what, name, is, _) = mutant;
    assert_eq!(file(name).matches(is).count(), 1, "{what}: `{is}` stands in {name}.lua exactly once");
    let mut swaps = Swaps::new();
    for script in SCRIPTS {
        let (right, wrong) = (hash(&source(*script, None)), source(*script, Some(mutant)));
        if right != hash(&wrong) {
            let loaded: String = t.redis(&["SCRIPT", "LOAD", &wrong]).await;
            swaps.push((right, loaded));
        }
    }
    assert!(!swaps.is_empty(), "{what}: no script changed");
    swaps
}

/// The number of the schedule that noticed the mistake, and what it said.
async fn caught(mutant: &Mutant) -> Option<(u32, String)> {
    let server = RedisServer::start();
    let port = server.port();
    let t = Scene::on(server).await;
    let url = swap::start(port, load(&t, mutant).await);
    let t = t.through(url).await;
    let failure = first_failure(&t, SEED, MOST).await;
    t.faults().await;
    failure
}

fn each_is_caught(part: usize) {
    let runtime = runtime();
    let mut missed = Vec::new();
    for mutant in MUTANTS.iter().skip(part).step_by(PARTS) {
        match runtime.block_on(caught(mutant)) {
            Some((number, why)) => {
                let (step, check) = why.split_once(": ").unwrap_or(("", &why));
                println!("{}\n  by schedule {number}, {step}\n  {check}", mutant.0);
            }
            None => missed.push(mutant.0),
        }
    }
    assert!(missed.is_empty(), "{MOST} schedules did not notice: {missed:#?}");
}

#[test]
fn a_mistake_in_a_script_is_noticed_1() {
    each_is_caught(0);
}

#[test]
fn a_mistake_in_a_script_is_noticed_2() {
    each_is_caught(1);
}

#[test]
fn a_mistake_in_a_script_is_noticed_3() {
    each_is_caught(2);
}

#[test]
fn a_mistake_in_a_script_is_noticed_4() {
    each_is_caught(3);
}

/// Without a mistake nothing is noticed; and the texts that are changed above are those that the program runs.
#[test]
fn the_scripts_as_they_are_pass() {
    runtime().block_on(async {
        let t = Scene::new().await;
        assert_eq!(first_failure(&t, SEED, 30).await, None);
        for script in SCRIPTS {
            let loaded: Vec<bool> = t.redis(&["SCRIPT", "EXISTS", &hash(&source(*script, None))]).await;
            assert_eq!(loaded, [true], "{} is not what the program runs", script.0);
        }
        t.done().await;
    });
}
