//! A fleet in quick motion: callers that ask again and again, do as they are told, and whose waits pass by moving what
//! Redis remembers into the past. Two minutes take some seconds. Each grant is dated by the server's clock.

use std::time::Duration;

use windlass_shared::store::{Admission, Ask, AskModel, Gate};

use super::{ask, done, is_go, new_call};
use crate::scene::Scene;

const MINUTE: i64 = 60_000_000;

/// One who asks again as soon as it was let through.
#[derive(Debug)]
pub(super) struct Caller {
    models: Vec<AskModel>,
    rank: u8,
    /// When it asks next, microseconds of the simulation's clock.
    next: i64,
    call: String,
    /// As it heard, in milliseconds of the simulation's clock; 0 before.
    asked: i64,
    waiting: String,
    returning: bool,
    /// Pause after each grant.
    pause: i64,
}

/// A call that was let through.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) at: i64,
    pub(super) caller: usize,
    pub(super) need: [u64; 3],
}

/// The gateway's clock, which goes only when told to: however long a test takes, it is that moment.
pub(super) struct Clock<'a> {
    t: &'a Scene,
    /// How much further it is than the server's, microseconds.
    ahead: i64,
    /// The moment it shows, microseconds.
    pub(super) now: i64,
}

impl<'a> Clock<'a> {
    pub(super) async fn new(t: &'a Scene) -> Self {
        Self { t, ahead: 0, now: t.server_time().await }
    }

    /// Makes it this moment, or the next millisecond after it: the scores of a line are in milliseconds.
    pub(super) async fn set(&mut self, moment: i64) {
        let by = (moment - self.t.server_time().await - self.ahead).div_euclid(1000) * 1000 + 1000;
        self.t.pass_gate(by).await;
        self.ahead += by;
        self.now = moment;
    }

    pub(super) async fn pass(&mut self, time: Duration) {
        self.set(self.now + time.as_micros() as i64).await;
    }

    /// A moment in milliseconds that a script told, by this clock.
    pub(super) fn heard(&self, asked: u64) -> i64 {
        asked as i64 + self.ahead / 1000
    }

    /// The same, as the scripts know it by now.
    pub(super) fn said(&self, heard: i64) -> u64 {
        (heard - self.ahead / 1000) as u64
    }
}

/// Callers and what they were granted.
pub(super) struct Sim<'a> {
    clock: Clock<'a>,
    gate: Gate,
    slot_wait: Duration,
    callers: Vec<Caller>,
    pub(super) grants: Vec<Grant>,
    /// Questions that were asked.
    pub(super) asks: usize,
    /// Of which answered with `park`.
    pub(super) parks: usize,
}

impl<'a> Sim<'a> {
    pub(super) async fn new(t: &'a Scene, slot_wait: Duration) -> Self {
        Self {
            clock: Clock::new(t).await,
            gate: t.store.gate(),
            slot_wait,
            callers: Vec::new(),
            grants: Vec::new(),
            asks: 0,
            parks: 0,
        }
    }

    /// Adds one who begins now. Answers its number.
    pub(super) fn caller(&mut self, model: AskModel, rank: u8) -> usize {
        self.callers.push(Caller {
            models: vec![model],
            rank,
            next: 0,
            call: new_call(),
            asked: 0,
            waiting: String::new(),
            returning: false,
            pause: 0,
        });
        self.callers.len() - 1
    }

    pub(super) fn callers(&mut self, n: usize, model: &AskModel, rank: u8) {
        for _ in 0..n {
            self.caller(model.clone(), rank);
        }
    }

    /// One that rests after each grant.
    pub(super) fn now_and_then(&mut self, model: AskModel, rank: u8, pause: Duration) -> usize {
        let caller = self.caller(model, rank);
        self.callers[caller].pause = pause.as_micros() as i64;
        caller
    }

    /// Lets the callers call for so long.
    pub(super) async fn run(&mut self, time: Duration) {
        let end = self.clock.now + time.as_micros() as i64;
        while let Some(next) = (0..self.callers.len()).min_by_key(|i| self.callers[*i].next) {
            let moment = self.callers[next].next.max(self.clock.now);
            if moment >= end {
                break;
            }
            self.clock.set(moment).await;
            self.step(next).await;
        }
    }

    async fn step(&mut self, number: usize) {
        self.asks += 1;
        let caller = &self.callers[number];
        let question = Ask {
            slot_wait: self.slot_wait,
            rank: caller.rank,
            asked: if caller.asked == 0 { 0 } else { self.clock.said(caller.asked) },
            returning: caller.returning,
            waiting: &caller.waiting,
            ..ask(&caller.call, &caller.models)
        };
        let answer = self.gate.admit(&question).await.expect("admit");
        // A script looks at the clock a little later than it was set.
        let now = self.clock.t.server_time().await + self.clock.ahead;
        if is_go(&answer) {
            self.gate.settle(&done(&self.callers[number].call), "").await.expect("settle");
        }
        let caller = &mut self.callers[number];
        match answer {
            Admission::Go { .. } => {
                self.grants.push(Grant { at: now, caller: number, need: caller.models[0].need });
                (caller.call, caller.asked, caller.next) = (new_call(), 0, now + caller.pause);
                (caller.waiting, caller.returning) = (String::new(), false);
            }
            Admission::Wait { wait, park: false, scope, asked, .. } => {
                caller.next = now + wait.as_micros() as i64;
                (caller.asked, caller.waiting) = (self.clock.heard(asked), scope);
            }
            Admission::Wait { wait, .. } => {
                self.parks += 1;
                caller.next = now + wait.as_micros() as i64;
                (caller.call, caller.asked) = (new_call(), 0);
                (caller.waiting, caller.returning) = (String::new(), true);
            }
            other => panic!("{other:?}"),
        }
    }

    /// The most that any minute holds of requests (0), input tokens (1) or output tokens (2).
    pub(super) fn fullest_minute(&self, dimension: usize) -> u64 {
        let mut grants = self.grants.clone();
        grants.sort_by_key(|grant| grant.at);
        let (mut first, mut held, mut most) = (0, 0, 0);
        for grant in &grants {
            held += grant.need[dimension];
            while grants[first].at <= grant.at - MINUTE {
                held -= grants[first].need[dimension];
                first += 1;
            }
            most = most.max(held);
        }
        most
    }

    /// All that was granted.
    pub(super) fn total(&self, dimension: usize) -> u64 {
        self.grants.iter().map(|grant| grant.need[dimension]).sum()
    }

    /// How many calls of one caller were granted.
    pub(super) fn granted(&self, caller: usize) -> usize {
        self.grants.iter().filter(|grant| grant.caller == caller).count()
    }
}
