//! Every order of events within bounds keeps the promises; and a model with a mistake breaks one.

use stateright::{Checker, Model};
use windlass_model::{Broken, Faults, Fleet};

const COMMITTED_TWICE: &str = "no task is committed twice";
const STALE: &str = "no stale owner commits";
const CHARGED: &str = "no crash is charged to an owner that does its duties";

fn fleet(nodes: usize, tasks: usize, faults: Faults) -> Fleet {
    Fleet { nodes, tasks, faults, broken: None }
}

/// Walks every state.
fn holds(fleet: &Fleet) {
    let checker = fleet.clone().checker().threads(2).spawn_bfs().join();
    println!("{fleet:?}: {} states", checker.unique_state_count());
    assert!(checker.is_done() && checker.unique_state_count() > 100, "the walk ended early");
    checker.assert_properties();
}

/// Finds an order of events that breaks this promise.
fn breaks(broken: Broken, faults: Faults, promise: &'static str) {
    let fleet = Fleet { broken: Some(broken), ..fleet(2, 1, faults) };
    let checker = fleet.checker().threads(2).spawn_bfs().join();
    let path = checker.discovery(promise).unwrap_or_else(|| panic!("{broken:?} breaks `{promise}`"));
    println!("{broken:?} breaks `{promise}`: {:?}", path.into_actions());
}

#[test]
fn nodes_that_crash_and_sleep() {
    holds(&fleet(2, 2, Faults { crashes: 1, sleeps: 1, ..Faults::default() }));
}

#[test]
fn replies_that_are_lost_and_calls_that_come_twice() {
    holds(&fleet(2, 2, Faults { losses: 1, repeats: 1, sleeps: 1, ..Faults::default() }));
}

#[test]
fn redis_is_away() {
    holds(&fleet(2, 2, Faults { outages: 2, losses: 1, ..Faults::default() }));
}

#[test]
fn everything_at_once_to_one_task() {
    holds(&fleet(2, 1, Faults { crashes: 1, sleeps: 1, outages: 1, losses: 1, repeats: 1 }));
}

#[test]
fn three_nodes() {
    holds(&fleet(3, 1, Faults { crashes: 1, sleeps: 1, ..Faults::default() }));
}

#[test]
fn without_the_fence_a_stale_owner_commits() {
    breaks(Broken::NoFence, Faults { sleeps: 1, ..Faults::default() }, STALE);
}

#[test]
fn a_lease_that_stays_runs_a_completed_task_again() {
    breaks(Broken::LeaseStays, Faults::default(), COMMITTED_TWICE);
}

#[test]
fn without_the_nonce_a_lost_reply_charges_a_crash() {
    breaks(Broken::NonceIgnored, Faults { losses: 1, ..Faults::default() }, CHARGED);
}

#[test]
fn without_the_deferral_an_outage_charges_a_crash() {
    breaks(Broken::NoDeferral, Faults { outages: 1, ..Faults::default() }, CHARGED);
}
