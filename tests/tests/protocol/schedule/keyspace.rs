//! No script leaves its queue, and none runs for ever: each touches keys of its queue's tag only, and each loop and
//! each reading of a range has a bound.

use std::{fs, path::PathBuf};

use windlass_shared::store::all_scripts;
use windlass_tests::redis::RedisServer;

use super::runner::{first_failure, runtime};
use crate::{draft::task, scene::Scene};

/// A scene whose store may touch keys of this pattern only.
pub(crate) async fn confined_to(pattern: &str) -> Scene {
    let server = RedisServer::start();
    let url = format!("redis://confined:secret@127.0.0.1:{}", server.port());
    let plain = Scene::on(server).await;
    let keys = format!("~{pattern}");
    plain.redis::<()>(&["ACL", "SETUSER", "confined", "on", ">secret", &keys, "+@all"]).await;
    plain.through(url).await
}

#[test]
fn no_script_of_a_queue_touches_a_key_of_another_tag() {
    runtime().block_on(async {
        let t = confined_to("wl:{q}:*").await;
        assert_eq!(first_failure(&t, 7, 100).await, None);
        // That it would show: the same user cannot use another queue.
        let other = t.store.first_partition(&windlass_shared::model::QueueName::new("r").unwrap());
        let refused = other.submit(&[task("a").queue("r").new_task()]).await.unwrap_err();
        assert!(refused.to_string().contains("NoPerm"), "{refused}");
        let held: Vec<&str> = all_scripts().iter().map(|script| script.name).collect();
        let of_others = ["beat", "note_action", "tell"];
        let of_queues =
            held.iter().filter(|name| !name.starts_with("llm/") && !of_others.contains(*name)).count();
        t.faults().await;
        t.queue.repair(true).await.expect("there is nothing to repair");
        assert_eq!(t.store.scripts_loaded().await.unwrap().0, of_queues, "a script was not run");
        t.done().await;
    });
}

/// What a loop over numbers ends with, and why that is bounded.
const ENDS: &[(&str, &str)] = &[
    ("#ARGV", "arguments: a call names at most 500 tasks"),
    ("n", "arguments"),
    ("k", "arguments"),
    ("n_completed", "arguments"),
    ("#entry[2]", "the lists of one log entry: a field for each final state"),
    ("#popped", "tasks that were just taken, as many as were asked for"),
    ("#popped - 2", "the same"),
    ("#first", "parked tasks that were just taken: STEP at the most"),
    ("#words", "words of one packed field"),
    (
        "#flat",
        "concurrency keys that run tasks, of which there are no more than slots; only an operator's repair does this",
    ),
    ("#some", "fields and values of one argument"),
    ("2", "a number"),
    ("3", "a number"),
    ("4", "a number"),
    ("rank", "a priority: 3 at the most"),
    ("3 * index", "three fields of one model"),
];

/// Loops over words of a text that is kept in Redis, and why it is bounded.
const TEXTS: &[(&str, &str)] = &[
    ("string.gmatch(entry[2][i + 1], '%S+')", "ids of one log entry: what one call settled"),
    ("string.gmatch(ids, '%S+')", "the same"),
    ("string.gmatch(list, '(%S+)#(%d+)')", "what one call claimed"),
    ("string.gmatch(string.match(text, '^[^\\n]*'), '([%w_]+)=(%S+)')", "the first line of a spec"),
    ("string.gmatch(text or '', '%S+')", "numbers of one packed field"),
    ("string.gmatch(packed or '', '(%S+) (%S+)')", "figures of one packed field"),
];

/// Reads of more than one element that name no LIMIT and no COUNT, and why they are bounded.
const READS: &[(&str, &str)] = &[
    ("'ZRANGE', RUNNING, 0, -1", "as many as run, which slots bound; only an operator's repair does this"),
    ("'HGETALL', KEY_COUNTS", "the same"),
    ("'HGETALL', TASK .. id", "one record"),
    ("'HGETALL', key", "one record"),
    ("'HVALS', key", "one record"),
    ("'ZPOPMIN', PENDING, text(asked)", "as many as the node can start: 250 at the most"),
    ("'ZPOPMIN', tasks.parked_key(concurrency_key), math.min(n, STEP)", "STEP"),
    ("'ZRANGE', PARKED, 0, STEP - 1", "STEP"),
    ("'ZRANGE', WAITING[state], 0, STEP - 1", "STEP"),
    ("'ZRANGE', DEAD, 0, math.min(over, STEP) - 1", "STEP"),
    ("'ZRANGE', zset, '0', '0', 'WITHSCORES'", "one"),
    ("'LPOP', KEYS[3], 100", "a hundred"),
];

/// Each line of each script and part, without its comment.
fn lines() -> Vec<(String, String)> {
    let store = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/src/store");
    let mut lines = Vec::new();
    for folder in ["", "lua", "llm"] {
        for entry in fs::read_dir(store.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|kind| kind == "lua") {
                let text = fs::read_to_string(&path).unwrap();
                let code = |line: &str| line.split("--").next().unwrap_or_default().trim().to_owned();
                lines.extend(text.lines().map(|line| (path.display().to_string(), code(line))));
            }
        }
    }
    assert!(lines.len() > 1000, "the scripts were not found");
    lines
}

/// Whether a keyword stands in a line of code as a word of its own.
fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|is| is == word)
}

/// What a loop goes over is held by the script already (a list), counted by a number, or words of a bounded text.
fn is_bounded(header: &str) -> bool {
    let known = |table: &[(&str, &str)], text: &str| table.iter().any(|(is, _)| *is == text);
    if let Some((_, over)) = header.split_once(" in ") {
        return over.starts_with("ipairs(") || over.starts_with("pairs(") || known(TEXTS, over);
    }
    let Some((_, range)) = header.split_once(" = ") else { return false };
    range.split(", ").nth(1).is_some_and(|end| known(ENDS, end))
}

#[test]
fn every_loop_has_a_bound() {
    for (file, line) in lines() {
        assert!(!has_word(&line, "while") && !has_word(&line, "repeat"), "{file}: `{line}` may run for ever");
        if has_word(&line, "for") {
            let from = line.find("for ").expect("a loop");
            let header = line[from..].split(" do").next().unwrap_or_default();
            assert!(is_bounded(header), "{file}: say in ENDS or TEXTS what bounds `{header}`");
        }
    }
}

#[test]
fn every_reading_of_a_range_has_a_bound() {
    const RANGES: [&str; 17] = [
        "ZRANGE",
        "ZRANGEBYSCORE",
        "ZREVRANGE",
        "XRANGE",
        "XREVRANGE",
        "LRANGE",
        "SMEMBERS",
        "HGETALL",
        "HKEYS",
        "HVALS",
        "KEYS",
        "SCAN",
        "ZSCAN",
        "HSCAN",
        "SORT",
        "ZPOPMIN",
        "LPOP",
    ];
    for (file, line) in lines() {
        for call in line.split("redis.").skip(1) {
            let Some(args) = call.split_once("call(").map(|(_, args)| args) else { continue };
            if RANGES.iter().any(|range| args.starts_with(&format!("'{range}'"))) {
                let bounded = args.contains("'LIMIT'") || args.contains("'COUNT'");
                let listed = READS.iter().any(|(is, _)| args.starts_with(is));
                assert!(bounded || listed, "{file}: say in READS what bounds `{args}`");
            }
        }
    }
}
