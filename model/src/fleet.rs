//! Nodes, the network between them and Redis, and what may go wrong.

use std::collections::{BTreeMap, BTreeSet};

use stateright::{Model, Property};

use crate::{
    redis::{LEASE, Redis, Reply, Request, State},
    rescue,
};

/// A mistake, for showing that the checks can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Whoever says so commits.
    NoFence,
    /// What completed stays among the leases.
    LeaseStays,
    /// A repeated call is a new one.
    NonceIgnored,
    /// Leases are recovered at once after an outage.
    NoDeferral,
}

/// How often each may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Faults {
    /// A node is gone for good.
    pub crashes: u8,
    /// A node stops for any time.
    pub sleeps: u8,
    /// Redis is away for more than a lease.
    pub outages: u8,
    /// A reply does not arrive.
    pub losses: u8,
    /// A call arrives once more.
    pub repeats: u8,
}

/// What is checked.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// How many nodes there are.
    pub nodes: usize,
    /// How many tasks were accepted.
    pub tasks: usize,
    /// What may go wrong.
    pub faults: Faults,
    /// A mistake in the scripts.
    pub broken: Option<Broken>,
}

/// Whether a node acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Life {
    Awake,
    Asleep,
    Gone,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    pub(crate) life: Life,
    /// Attempts that it runs: task and number. It has one slot.
    pub(crate) held: BTreeMap<usize, u8>,
    /// The call that is not answered yet.
    pub(crate) call: Option<Request>,
    pub(crate) calls: u8,
    /// It beat in this tick.
    pub(crate) beaten: bool,
}

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub(crate) redis: Redis,
    pub(crate) nodes: Vec<Node>,
    /// Calls on the way to Redis.
    pub(crate) wire: BTreeSet<Request>,
    /// A reply on the way to each node.
    pub(crate) replies: Vec<Option<Reply>>,
    pub(crate) left: Faults,
}

/// What may happen; `README.md` says what each stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the table in README.md says more")]
pub enum Action {
    Call { node: usize, settle: bool },
    Execute(Request),
    Twice(Request),
    Hear(usize),
    LoseReply(usize),
    Beat(usize),
    Tick,
    Outage,
    Sleep(usize),
    Wake(usize),
    Crash(usize),
}

impl World {
    fn of_node(&self, number: usize, actions: &mut Vec<Action>) {
        let node = &self.nodes[number];
        if node.life == Life::Asleep {
            actions.push(Action::Wake(number));
        }
        if node.life != Life::Awake {
            return;
        }
        if node.call.is_none() {
            if !node.held.is_empty() {
                actions.push(Action::Call { node: number, settle: true });
            } else if !self.redis.pending.is_empty() {
                actions.push(Action::Call { node: number, settle: false }); // the bell rang
            }
        }
        if self.replies[number].is_some() {
            actions.push(Action::Hear(number));
            if self.left.losses > 0 {
                actions.push(Action::LoseReply(number));
            }
        }
        if !node.beaten {
            actions.push(Action::Beat(number));
        }
        if self.left.sleeps > 0 {
            actions.push(Action::Sleep(number));
        }
        let others = self.nodes.iter().enumerate().any(|(i, other)| i != number && other.life != Life::Gone);
        if self.left.crashes > 0 && others {
            actions.push(Action::Crash(number));
        }
    }

    /// Every node that is awake beat, and has no call that is not answered.
    fn duties_are_done(&self) -> bool {
        let done = |node: &Node| node.life != Life::Awake || node.beaten && node.call.is_none();
        self.nodes.iter().all(done)
    }

    pub(crate) fn execute(&mut self, call: &Request, broken: Option<Broken>) {
        let node = &self.nodes[call.node];
        let awaited = node.life == Life::Awake && node.call.as_ref() == Some(call);
        if !awaited {
            // It takes the place of the node's last call in Redis's memory, so that may be lost, too.
            self.redis.excuse(call.node);
        }
        let reply = self.redis.settle_and_claim(call, !awaited, broken);
        if node.call.as_ref() == Some(call) {
            self.replies[call.node] = Some(reply);
        }
    }

    pub(crate) fn hear(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        let (Some(reply), Some(call)) = (self.replies[number].take(), node.call.take()) else { return };
        for (task, _) in call.settles {
            node.held.remove(&task);
        }
        if let Some((task, attempt)) = reply.claimed {
            node.held.insert(task, attempt);
            node.beaten = false;
        }
    }

    pub(crate) fn call(&mut self, number: usize, settle: bool) {
        let node = &mut self.nodes[number];
        node.calls += 1;
        let settles = if settle { node.held.clone().into_iter().collect() } else { Vec::new() };
        let call = Request { node: number, nonce: node.calls, settles, want: true };
        node.call = Some(call.clone());
        self.wire.insert(call);
    }

    pub(crate) fn beat(&mut self, number: usize, broken: Option<Broken>) {
        let node = &mut self.nodes[number];
        for task in self.redis.extend(number, &node.held, broken) {
            node.held.remove(&task);
        }
        node.beaten = true;
    }

    pub(crate) fn pass(&mut self, ticks: u8) {
        self.redis.pass(ticks);
        self.nodes.iter_mut().for_each(|node| node.beaten = false);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.redis.records.iter().all(|record| matches!(record.state, State::Completed | State::Dead))
    }
}

impl Model for Fleet {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let node = Node { life: Life::Awake, held: BTreeMap::new(), call: None, calls: 0, beaten: false };
        vec![World {
            redis: Redis::new(self.tasks, self.nodes),
            nodes: vec![node; self.nodes],
            wire: BTreeSet::new(),
            replies: vec![None; self.nodes],
            left: self.faults,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.is_over() && world.redis.running.is_empty() && world.wire.is_empty() {
            return;
        }
        for number in 0..world.nodes.len() {
            world.of_node(number, actions);
        }
        for call in &world.wire {
            actions.push(Action::Execute(call.clone()));
            if world.left.repeats > 0 {
                actions.push(Action::Twice(call.clone()));
            }
        }
        if world.duties_are_done() {
            actions.push(Action::Tick);
        }
        if world.left.outages > 0 {
            actions.push(Action::Outage);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        match action {
            Action::Call { node, settle } => next.call(node, settle),
            Action::Execute(call) => {
                next.wire.remove(&call);
                next.execute(&call, self.broken);
            }
            Action::Twice(call) => {
                next.left.repeats -= 1;
                next.execute(&call, self.broken);
            }
            Action::Hear(node) => next.hear(node),
            Action::LoseReply(node) => {
                next.left.losses -= 1;
                next.replies[node] = None;
                next.wire.extend(next.nodes[node].call.clone());
            }
            Action::Beat(node) => next.beat(node, self.broken),
            Action::Tick => next.pass(1),
            Action::Outage => {
                next.left.outages -= 1;
                next.pass(LEASE + 1);
            }
            Action::Sleep(node) => {
                next.left.sleeps -= 1;
                next.nodes[node].life = Life::Asleep;
                next.redis.excuse(node);
            }
            Action::Wake(node) => next.nodes[node].life = Life::Awake,
            Action::Crash(node) => {
                next.left.crashes -= 1;
                next.nodes[node].life = Life::Gone;
                next.replies[node] = None;
                next.redis.excuse(node);
            }
        }
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no task is committed twice", |_, world: &World| {
                world.redis.records.iter().all(|record| record.commits <= 1)
            }),
            Property::always("no stale owner commits", |_, world: &World| !world.redis.stale_commit),
            Property::always("every task ends once faults end", |fleet: &Self, world: &World| {
                rescue::ends(world, fleet.broken)
            }),
            Property::always("no crash is charged to an owner that does its duties", |_, world: &World| {
                !world.redis.wrong_charge
            }),
        ]
    }
}
