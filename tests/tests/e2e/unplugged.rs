//! Workers on machines of their own, and the cable of one is pulled: packets vanish, and no connection breaks.

use std::thread;

use serde_json::json;
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    ledger::Ledger,
    netns::Machine,
    process::eventually,
};

use crate::look::{assert_all_counters, assert_completed_once, lines, secs, time};

/// Starts a worker there.
fn spawn_on(fleet: &mut Fleet, machine: &Machine) -> usize {
    let url = format!("redis://{}:{}", machine.sees_us_at(), fleet.redis.port());
    fleet.spawn_through(&machine.through(), "windlass-worker", &["--redis-url", &url])
}

#[test]
fn a_worker_whose_cable_was_pulled_comes_back_by_itself_and_its_late_results_are_refused() {
    let Some(machines) = Machine::several(2) else { return };
    let addresses: Vec<String> = machines.iter().map(|machine| machine.sees_us_at().to_string()).collect();
    let redis = ["--protected-mode", "no", "--bind", "127.0.0.1", &addresses[0], &addresses[1]];
    let mut fleet = Fleet::start(&FleetOptions { workers: 0, redis: &redis, ..FleetOptions::default() });
    let ledger = Ledger::new(fleet.dir());
    let cut_off = spawn_on(&mut fleet, &machines[0]);
    let victim = fleet.node_id(cut_off);
    // Their first attempts end while the cable is out.
    fleet.submit_lines(&lines("t", 4, "command", &ledger.payload_of("6", "0.1")), &["--batch", "b"]);
    eventually("all four run", secs(20), || ledger.entries().len() == 4);
    let other = spawn_on(&mut fleet, &machines[1]);
    let heir = fleet.node_id(other);

    machines[0].unplug();
    let unplugged = fleet.now();
    fleet.submit_lines(&lines("u", 40, "command", &ledger.payload("0.1")), &["--batch", "c"]);
    let finished = fleet.finish_batch("b", secs(30));
    assert_completed_once(&fleet, &finished, 4);
    assert_all_counters(&finished, [2, 0, 1, 0]);
    for task in &finished {
        assert_eq!(task["node"], heir.as_str(), "{task}");
        let took = time(&task["finished_at"]).since(unplugged);
        assert!(took < secs(8), "finished {took:?} after the cable was pulled, with a lease of 3 s: {task}");
    }
    let meanwhile = fleet.finish_batch("c", secs(20));
    assert_completed_once(&fleet, &meanwhile, 40);
    assert_all_counters(&meanwhile, [1, 0, 0, 0]);
    eventually("what was cut off ends all the same", secs(20), || {
        ledger.entries().iter().filter(|entry| entry.id.starts_with("t-") && entry.ended).count() == 8
    });
    eventually("it looks lost", secs(20), || fleet.state_of(cut_off).is_none());
    thread::sleep(secs(1)); // a little more of the fault itself

    machines[0].plug_in();
    eventually("it is back", secs(30), || fleet.state_of(cut_off).as_deref() == Some("active"));
    eventually("what it says late is refused", secs(20), || fleet.total("default", "stale") == 4);
    assert_eq!(fleet.node_id(cut_off), victim, "it is the same node");
    for n in 1..=4 {
        assert_eq!(ledger.starts(&format!("t-{n}")), 2);
    }

    // It works again, alone.
    fleet.windlass(&["node", "quiet", &heir]).ok();
    eventually("the other one is quiet", secs(10), || fleet.state_of(other).as_deref() == Some("quiet"));
    fleet.submit_lines(&lines("v", 10, "noop", &json!(1)), &["--batch", "d"]);
    let after = fleet.finish_batch("d", secs(20));
    assert_completed_once(&fleet, &after, 10);
    assert!(after.iter().all(|task| task["node"] == victim.as_str()), "{after:?}");
    fleet.verify();
}
