//! A session: rounds of phases over peers, each measurement written down at once.

use std::{
    fs::{self, File},
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};
use windlass_bench::record::wall;

use crate::{
    bed::Bed,
    peer::Peer,
    phases::{Phase, Rounds, Scene, Whom},
    server::Server,
};

/// The name under which Redis itself is measured.
pub(crate) const REDIS: &str = "redis";

/// What is measured, and how often.
pub(crate) struct Session {
    pub(crate) peers: Vec<Peer>,
    pub(crate) runs: u64,
    /// Tasks that Windlass drains.
    pub(crate) scale: Option<u64>,
    pub(crate) huge: bool,
    pub(crate) limit: Duration,
    pub(crate) out: PathBuf,
}

impl Session {
    /// Runs the phases. One that fails is written down as such, and the others go on.
    #[allow(clippy::print_stderr, reason = "for the person who waits")]
    pub(crate) fn run(&self, phases: &[&Phase]) -> Result<()> {
        if let Some(folder) = self.out.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut out = File::options().append(true).create(true).open(&self.out)?;
        let session = wall() / 1_000_000_000;
        writeln!(out, "{}", machine(session)?)?;
        let versions = self.peers.iter().map(version).collect::<Result<Vec<_>>>()?;
        for phase in phases {
            for run in 1..=self.runs {
                // One after the other within a round, so that what disturbs the machine meets all of them.
                for (peer, version) in
                    self.peers.iter().zip(&versions).filter(|(peer, _)| is_due(phase, peer, run))
                {
                    let name = if phase.whom == Whom::Redis { REDIS } else { &peer.name };
                    eprintln!("bench: {} {name}, round {run} of {}", phase.name, self.runs);
                    for mut line in self.measure(phase, peer) {
                        line["session"] = session.into();
                        line["phase"] = phase.name.into();
                        line["peer"] = name.into();
                        line["version"] = version.as_str().into();
                        line["run"] = run.into();
                        writeln!(out, "{line}")?;
                    }
                }
            }
        }
        Ok(())
    }

    fn measure(&self, phase: &Phase, peer: &Peer) -> Vec<Value> {
        let scale = self.scale.map_or(1.0, |n| n as f64 / Peer::windlass().tasks.drain as f64);
        let scene = Scene { peer, scale, huge: self.huge, limit: self.limit };
        // The harness is made for tests: where a program cannot be started, it panics.
        let measured = catch_unwind(AssertUnwindSafe(|| (phase.measure)(&scene)))
            .unwrap_or_else(|_| Err(anyhow!("a program could not be run; see above")));
        measured.unwrap_or_else(|error| vec![json!({ "error": format!("{error:#}") })])
    }
}

/// Redis is measured once a round, and what asks only about Windlass not for its peers.
fn is_due(phase: &Phase, peer: &Peer, run: u64) -> bool {
    let whom = phase.whom == Whom::All || peer.is_windlass();
    let round = match phase.rounds {
        Rounds::All => true,
        Rounds::One => run == 1,
        Rounds::OneForPeers => run == 1 || peer.is_windlass(),
    };
    whom && round
}

fn version(peer: &Peer) -> Result<String> {
    let bed = Bed::new(peer)?;
    let mut command = peer.command(&bed.server, &bed.log(), 0, crate::peer::Purpose::Usual);
    let output = command.arg("version").output().with_context(|| format!("{} does not start", peer.name))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn machine(session: u64) -> Result<Value> {
    let mut server = Server::start(false)?;
    let info = server.info("server")?;
    let redis = info.get("valkey_version").or(info.get("redis_version"));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().and_then(|word| word.parse::<f64>().ok());
    let cores = std::thread::available_parallelism()?.get();
    Ok(json!({ "session": session, "phase": "machine", "cores": cores, "load": load, "redis": redis }))
}
