//! A primary that Sentinels watch dies under load: work goes on at the next one.

use std::time::Duration;

use serde_json::json;
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    process::{eventually, until},
    sentinel::Sentinels,
};

use crate::look::{assert_completed_once, lines, secs};

fn options() -> FleetOptions<'static> {
    FleetOptions {
        workers: 2,
        concurrency: 8,
        replicas: 1,
        sentinels: Some(Duration::from_millis(1500)),
        ..FleetOptions::default()
    }
}

#[test]
fn a_primary_that_dies_under_load_is_replaced_and_confirmed_submissions_are_all_there() {
    let mut fleet = Fleet::start(&options());
    let tasks = lines("t", 600, "sleep", &json!({"ms": 40}));
    fleet.submit_lines(&tasks, &["--batch", "b", "--durability", "replicas=1"]);
    eventually("some are done", secs(20), || fleet.total("default", "completed") > 100);
    let old = fleet.primary().port();
    fleet.redis.stop();
    until("there is a new primary", secs(30), || {
        fleet.sentinels.as_ref().and_then(Sentinels::primary).filter(|port| *port != old)
    });
    let promoted = std::time::Instant::now();
    let before = fleet.total("default", "completed");
    eventually("work goes on", secs(30), || fleet.total("default", "completed") > before);
    assert!(promoted.elapsed() < secs(10), "back to work {:?} after the new primary", promoted.elapsed());

    let finished = fleet.finish_batch("b", secs(60));
    assert_completed_once(&fleet, &finished, 600);
    assert!(finished.iter().all(|task| task["retries"] == 0), "an outage charges no retry");
    // What is submitted now needs no replica that is gone; idle workers hear the bell at the new primary.
    fleet.submit_lines(&lines("after", 10, "noop", &json!(1)), &["--batch", "after"]);
    assert_completed_once(&fleet, &fleet.finish_batch("after", secs(10)), 10);
    fleet.verify();

    // The old one comes back as a replica: nobody is led astray.
    fleet.redis.start_again();
    eventually("it follows the new primary", secs(30), || {
        windlass_tests::redis::info_of(&fleet.redis).contains("master_link_status:up")
    });
    fleet.submit_lines(
        &lines("last", 10, "noop", &json!(1)),
        &["--batch", "last", "--durability", "replicas=1"],
    );
    assert_completed_once(&fleet, &fleet.finish_batch("last", secs(10)), 10);
    fleet.verify();
}

#[test]
fn an_idle_fleet_finds_a_primary_that_moved() {
    let mut fleet = Fleet::start(&options());
    fleet.redis.stop();
    until("there is a new primary", secs(30), || {
        let port = fleet.sentinels.as_ref().and_then(Sentinels::primary);
        port.filter(|port| *port != fleet.redis.port())
    });
    fleet.submit_lines(&lines("t", 20, "noop", &json!(1)), &["--batch", "b"]);
    assert_completed_once(&fleet, &fleet.finish_batch("b", secs(15)), 20);
    eventually("both beat", secs(15), || {
        fleet.nodes().iter().filter(|node| node["state"] == "active").count() == 2
    });
    fleet.verify();
}

#[test]
fn what_no_replica_confirms_is_told_again_until_one_does() {
    let options = FleetOptions {
        workers: 1,
        concurrency: 1,
        sentinels: Some(secs(60)),
        args: &["--durability", "replicas=1"],
        config: "[redis]\ndurability_timeout = \"200ms\"\n",
        ..options()
    };
    let mut fleet = Fleet::start(&options);
    fleet.others[0].stop();
    let submit = ["submit", "--type", "noop", "--payload", "1", "--durability", "replicas=1", "--id"];
    let refused = fleet.windlass(&[&submit[..], &["t"]].concat()).expect_code(3);
    assert!(
        refused.stderr.contains("not confirmed as durable (replicas=1 asked for, 0 confirmed"),
        "{refused}"
    );
    // It was written, so it runs; its result is there, but the node does not rely on it.
    fleet.wait_for_state("default", "t", "completed", secs(20));
    eventually("the node tells why it waits", secs(10), || fleet.log(0).contains("not confirmed as durable"));
    fleet.others[0].start_again();
    fleet.windlass(&[&submit[..], &["t"]].concat()).ok();
    fleet.windlass(&[&submit[..], &["u"]].concat()).ok();
    fleet.wait_for_state("default", "u", "completed", secs(20));
    assert_eq!(fleet.total("default", "completed"), 2);
    fleet.verify();
}
