//! The disk under Redis is full: it refuses every write until there is room. Nothing is lost, charged or run twice.

use std::thread;

use serde_json::{Value, json};
use windlass_tests::{
    disk::SmallDisk,
    fleet::{Fleet, FleetOptions},
    ledger::Ledger,
    process::eventually,
    redis::info_of,
};

use crate::look::{assert_all_counters, assert_completed_once, lines, secs, text};

/// Two workers of four slots, and a Redis with an append-only file on the disk.
fn start(disk: &SmallDisk) -> Fleet {
    let dir = disk.dir().to_str().expect("a plain path");
    Fleet::start(&FleetOptions {
        workers: 2,
        redis: &["--appendonly", "yes", "--dir", dir],
        redis_through: &disk.through(),
        ..FleetOptions::default()
    })
}

/// Fills the disk, and then the file's last page, until Redis notices.
fn fill(fleet: &Fleet, disk: &SmallDisk) {
    disk.fill(fleet.redis.pid());
    eventually("Redis cannot write", secs(20), || {
        let mut write = redis::cmd("SET");
        write.arg("no-key-of-ours").arg("x".repeat(1000));
        write.exec(&mut fleet.connection()).is_err_and(|error| error.code() == Some("MISCONF"))
    });
    assert!(info_of(&fleet.redis).contains("aof_last_write_status:err"));
}

fn persistence(fleet: &Fleet, code: i32) -> Value {
    let checks = fleet.windlass(&["doctor", "-o", "json"]).expect_code(code).json();
    let checks = checks.as_array().expect("a list");
    checks.iter().find(|check| check["check"] == "persistence").expect("it is checked").clone()
}

/// Who cannot go on is told what is wrong; who only looks can look.
fn everybody_is_told(fleet: &mut Fleet) {
    let refused: [&[&str]; 5] = [
        &["submit", "--type", "noop", "--payload", "1"],
        &["submit", "--type", "noop", "--payload", "1", "--batch", "other"],
        &["cancel", "t-0"],
        &["pause", "default"],
        &["queues", "set", "default", "--max-length", "5"],
    ];
    for args in refused {
        let output = fleet.windlass(args).expect_code(3);
        assert!(output.stderr.contains("cannot write to its disk"), "{output}");
        assert!(output.stderr.contains("full"), "{output}");
    }
    for args in [&["status", "t-0"][..], &["queues"], &["nodes"], &["tasks"], &["events"]] {
        fleet.windlass(args).ok();
    }
    let check = persistence(fleet, 1);
    assert_eq!(check["status"], "fail", "{check}");
    assert!(text(&check["detail"]).contains("disk full"), "{check}");
    // One that is started now waits, too.
    let late = fleet.launch(&[]);
    eventually("it says why", secs(10), || fleet.log(late).contains("cannot write to its disk"));
    assert!(!fleet.worker(late).has_ended(), "{}", fleet.log(late));
}

#[test]
fn a_full_disk_holds_everything_up_and_then_everything_goes_on() {
    let Some(disk) = SmallDisk::new("8m") else { return };
    let mut fleet = start(&disk);
    let ledger = Ledger::new(fleet.dir());
    // Some end while the disk is full, some after; the rest has not begun.
    let naps = ["2", "2", "2", "2", "16", "16", "16", "16", "0", "0", "0", "0", "0", "0", "0", "0"];
    let tasks: Vec<_> = naps.iter().enumerate().map(|(n, nap)| ledger.line(&format!("t-{n}"), nap)).collect();
    fleet.submit_lines(&tasks, &["--batch", "b"]);
    eventually("eight run", secs(10), || ledger.entries().len() == 8);
    assert_eq!(persistence(&fleet, 0)["status"], "ok");

    fill(&fleet, &disk);
    let late: String = lines("late", 40, "noop", &json!(1)).iter().map(|line| format!("{line}\n")).collect();
    let path = fleet.file("late.jsonl", &late);
    let file = path.to_str().expect("a plain path");
    let mut waits = fleet.start_windlass(&["submit", "--file", file, "--batch", "late", "-o", "json"]);
    everybody_is_told(&mut fleet);
    thread::sleep(secs(9)); // three leases: this is the fault itself
    assert_eq!(ledger.entries().iter().filter(|entry| entry.ended).count(), 4);
    assert_eq!(fleet.total("default", "completed"), 0, "nothing could be told");
    assert!(!fleet.worker(0).has_ended() && !fleet.worker(1).has_ended());
    assert!(!waits.has_ended(), "{}", waits.stderr());
    disk.free(fleet.redis.pid());

    let finished = fleet.finish_batch("b", secs(40));
    assert_completed_once(&fleet, &finished, tasks.len());
    assert_all_counters(&finished, [1, 0, 0, 0]);
    assert_eq!(ledger.entries().len(), 2 * tasks.len(), "each began once and ended once");
    let late = waits.wait(secs(30)).ok();
    assert_eq!(late.json()["accepted"], 40, "{late}");
    assert_completed_once(&fleet, &fleet.finish_batch("late", secs(10)), 40);
    assert_eq!(fleet.nodes().iter().filter(|node| node["state"] == "active").count(), 3);
    assert_eq!(persistence(&fleet, 0)["status"], "ok");
    fleet.verify();
}
