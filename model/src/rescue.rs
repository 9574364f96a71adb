//! Faults have ended and somebody lives: does everything come to an end? Asked of every state, this says that nothing is
//! ever lost or stuck.

use crate::fleet::{Broken, Life, World};

/// More than any order of events needs: each task may lose a few leases, and each takes a few ticks to run out.
const TICKS: usize = 60;

/// Lets the nodes that live do their duties, one after the other, tick by tick.
pub(crate) fn ends(world: &World, broken: Option<Broken>) -> bool {
    let mut world = world.clone();
    for _ in 0..TICKS {
        if world.is_over() {
            return true;
        }
        for number in 0..world.nodes.len() {
            work(&mut world, number, broken);
        }
        world.pass(1);
    }
    world.is_over()
}

/// One node's tick: calls on the way arrive, it hears, beats, and settles or claims.
fn work(world: &mut World, number: usize, broken: Option<Broken>) {
    for call in std::mem::take(&mut world.wire) {
        world.execute(&call, broken);
    }
    if world.nodes[number].life == Life::Gone {
        return;
    }
    world.nodes[number].life = Life::Awake;
    // What was not answered is repeated.
    if let Some(call) = world.nodes[number].call.clone() {
        world.execute(&call, broken);
        world.hear(number);
    }
    world.beat(number, broken);
    let settle = !world.nodes[number].held.is_empty();
    if settle || !world.redis.pending.is_empty() {
        world.call(number, settle);
    }
}
