//! The network between workers and Redis is hurt in each way that networks are: nothing is lost, nothing is charged for it,
//! and nothing runs twice but what a node could not hold.

use std::{thread, time::Duration};

use serde_json::{Value, json};
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    ledger::Ledger,
    process::eventually,
    proxy::{Proxy, Weather},
};

use crate::look::{assert_all_counters, assert_completed_once, lines, secs};

/// A fleet whose two workers reach Redis each over a link of its own.
struct Linked {
    fleet: Fleet,
    links: Vec<Proxy>,
}

impl Linked {
    fn start(options: &FleetOptions) -> Self {
        let mut fleet = Fleet::start(&FleetOptions { workers: 0, ..options.clone() });
        let links: Vec<Proxy> = (0..2).map(|_| Proxy::to(fleet.redis.port())).collect();
        for link in &links {
            fleet.spawn_worker_with(&["--redis-url", &link.url]);
        }
        Self { fleet, links }
    }

    fn set(&self, weather: Weather) {
        self.links.iter().for_each(|link| link.set(weather));
    }

    fn finish(&self, count: usize) -> Vec<Value> {
        let finished = self.fleet.finish_batch("b", secs(60));
        assert_completed_once(&self.fleet, &finished, count);
        finished
    }

    /// What idle nodes do when all is over: the next tasks are served at once.
    fn is_well(&self) {
        self.fleet.submit_lines(&lines("after", 20, "noop", &json!(1)), &["--batch", "after"]);
        assert_completed_once(&self.fleet, &self.fleet.finish_batch("after", secs(20)), 20);
        self.fleet.verify();
    }
}

/// Some end while a link is hurt for less than a lease, others later: no attempt is charged, and each begins once.
fn hurt_briefly(hurt: impl Fn(&Linked)) {
    let linked = Linked::start(&FleetOptions { lease: "6s", ..FleetOptions::default() });
    let ledger = Ledger::new(linked.fleet.dir());
    let tasks: Vec<_> = (0..24).map(|n| ledger.line(&format!("t-{n}"), ["0.2", "1"][n % 2])).collect();
    linked.fleet.submit_lines(&tasks, &["--batch", "b"]);
    eventually("eight run", secs(10), || ledger.entries().len() >= 8);
    hurt(&linked);
    let finished = linked.finish(24);
    assert_all_counters(&finished, [1, 0, 0, 0]);
    assert_eq!(ledger.entries().len(), 48, "each began once and ended once");
    linked.is_well();
}

#[test]
fn links_that_are_cut_again_and_again_charge_nothing() {
    hurt_briefly(|linked| {
        for _ in 0..10 {
            linked.links.iter().for_each(Proxy::cut);
            thread::sleep(Duration::from_millis(150)); // this is the fault itself
        }
    });
}

#[test]
fn a_link_that_holds_everything_back_for_a_while_charges_nothing() {
    hurt_briefly(|linked| {
        linked.set(Weather::Frozen);
        thread::sleep(secs(2)); // this is the fault itself
        linked.set(Weather::Fair);
    });
}

#[test]
fn a_slow_link_makes_slow_and_charges_nothing() {
    hurt_briefly(|linked| linked.set(Weather::Late(Duration::from_millis(150))));
}

#[test]
fn a_thin_link_makes_slow_and_charges_nothing() {
    hurt_briefly(|linked| linked.set(Weather::Thin(4000)));
}

/// The reply to a claim is lost in the middle: the same call is repeated and answers the same tasks, so that none waits
/// for a lease and none is charged with a crash.
#[test]
fn replies_that_break_off_in_the_middle_cost_no_attempt() {
    let linked = Linked::start(&FleetOptions { concurrency: 8, ..FleetOptions::default() });
    let payload = json!({"ms": 5, "text": "x".repeat(500)});
    linked.fleet.windlass(&["pause", "default"]).ok();
    linked.fleet.submit_lines(&lines("t", 3000, "noop", &payload), &["--batch", "b"]);
    linked.fleet.windlass(&["resume", "default"]).ok();
    let (mut cuts, mut seen) = (0, 0);
    eventually("it is done", secs(60), || {
        let done = linked.fleet.total("default", "completed");
        let goes_on = std::mem::replace(&mut seen, done) < done;
        for (index, link) in linked.links.iter().enumerate() {
            if goes_on && link.weather() == Weather::Fair {
                cuts += 1;
                link.set(Weather::CutAfter(700 * (cuts % 9 + index)));
            }
        }
        done == 3000
    });
    linked.set(Weather::Fair);
    assert!(cuts > 10, "only {cuts} replies were cut");
    assert_all_counters(&linked.finish(3000), [1, 0, 0, 0]);
    linked.is_well();
}

/// The peer is gone and nobody says so. A node that cannot reach Redis for longer than its lease loses its tasks; the other
/// one takes them over, and what the first one says later is refused.
#[test]
fn a_link_that_swallows_everything_costs_a_node_its_leases_and_nothing_else() {
    let linked = Linked::start(&FleetOptions { concurrency: 4, ..FleetOptions::default() });
    let ledger = Ledger::new(linked.fleet.dir());
    let tasks: Vec<_> = (0..8).map(|n| ledger.line(&format!("t-{n}"), "4")).collect();
    linked.fleet.submit_lines(&tasks, &["--batch", "b"]);
    eventually("eight run", secs(10), || ledger.entries().len() == 8);
    linked.links[0].set(Weather::Swallowed);
    let finished = linked.finish(8);
    let lost = finished.iter().filter(|task| task["crashes"] == 1).count();
    assert_eq!(lost, 4, "those of the node that was cut off, and no others");
    linked.links[0].set(Weather::Fair);
    linked.links[0].cut();
    eventually("the node is back", secs(20), || linked.fleet.state_of(0).as_deref() == Some("active"));
    linked.is_well();
}

/// Every connection is dead and nothing says so, but new ones work: a router was replaced, a server's machine is another one.
/// The first answer that does not come in time makes way for another connection.
#[test]
fn connections_that_are_dead_and_do_not_say_so_are_given_up() {
    let env = [("WINDLASS_REDIS_RESPONSE_TIMEOUT", "2s")];
    let linked = Linked::start(&FleetOptions { lease: "6s", env: &env, ..FleetOptions::default() });
    let ledger = Ledger::new(linked.fleet.dir());
    let tasks: Vec<_> = (0..48).map(|n| ledger.line(&format!("t-{n}"), "0.5")).collect();
    linked.fleet.submit_lines(&tasks, &["--batch", "b"]);
    for round in 1..=3 {
        eventually("some more run", secs(20), || ledger.entries().len() >= 16 * round);
        linked.links.iter().for_each(Proxy::orphan);
    }
    let finished = linked.finish(48);
    assert_all_counters(&finished, [1, 0, 0, 0]);
    assert_eq!(ledger.entries().len(), 96, "each began once and ended once");
    linked.is_well();
}

/// Three leases without Redis at all, under load, with new connections refused: then all at once back.
#[test]
fn three_leases_without_any_link_charge_nothing_and_pay_nothing_twice() {
    let linked = Linked::start(&FleetOptions { concurrency: 4, ..FleetOptions::default() });
    let ledger = Ledger::new(linked.fleet.dir());
    let tasks: Vec<_> = (0..12).map(|n| ledger.line(&format!("t-{n}"), ["2", "11"][n % 2])).collect();
    linked.fleet.submit_lines(&tasks, &["--batch", "b"]);
    eventually("eight run", secs(10), || ledger.entries().len() == 8);
    linked.set(Weather::Closed);
    linked.links.iter().for_each(Proxy::cut);
    thread::sleep(secs(9)); // this is the fault itself
    let before = linked.commands();
    linked.set(Weather::Fair);
    let finished = linked.finish(12);
    assert_all_counters(&finished, [1, 0, 0, 0]);
    assert_eq!(ledger.entries().len(), 24, "each began once and ended once");
    let storm = linked.commands() - before;
    assert!(storm < 3000, "{storm} commands came when the links were back");
    linked.is_well();
}

impl Linked {
    /// Commands that Redis ran.
    fn commands(&self) -> u64 {
        let info: String = redis::cmd("INFO").arg("stats").query(&mut self.fleet.connection()).expect("INFO");
        let line = info.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
        line.and_then(|count| count.trim().parse().ok()).expect("a count")
    }
}
