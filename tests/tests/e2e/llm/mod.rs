//! `llm` tasks through real workers, against the scripted stand-in.

mod cache;
mod classes;
mod embedded;
mod limits;
mod money;
mod pipeline;
mod route;
mod setup;

use std::time::Duration;

use serde_json::{Value, json};
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    process::eventually,
    stand_in::StandIn,
};

use crate::look::secs;

/// A stand-in and a fleet whose workers call it as the provider `local`.
pub(crate) struct Scene {
    pub(crate) fleet: Fleet,
    pub(crate) stand_in: StandIn,
    _dir: tempfile::TempDir,
}

/// Starts both. `URL` in the configuration is the stand-in's address.
pub(crate) fn scene(scenario: &str, config: &str, workers: usize) -> Scene {
    scene_with(scenario, config, workers, 8, &[])
}

pub(crate) fn scene_with(
    scenario: &str,
    config: &str,
    workers: usize,
    concurrency: usize,
    env: &[(&str, &str)],
) -> Scene {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let stand_in = StandIn::start(dir.path(), "stand-in", scenario);
    let general = format!("[providers.local]\nbase_url = \"{}\"\n", stand_in.base_url);
    let config = format!("{}\n{general}", config.replace("URL", &stand_in.base_url));
    let options =
        FleetOptions { workers, concurrency, lease: "", config: &config, env, ..FleetOptions::default() };
    Scene { fleet: Fleet::start(&options), stand_in, _dir: dir }
}

impl Scene {
    /// Calls that the stand-in counted.
    pub(crate) fn calls(&self) -> u64 {
        self.stand_in.calls()["all"]["calls"].as_u64().expect("a number")
    }

    /// Calls of a model.
    pub(crate) fn calls_of(&self, model: &str) -> u64 {
        self.stand_in.calls()["by_model"][model]["calls"].as_u64().unwrap_or(0)
    }

    /// A hash of the gateway, straight from Redis.
    pub(crate) fn gate(&self, hash: &str) -> std::collections::BTreeMap<String, String> {
        let mut connection = self.fleet.connection();
        redis::cmd("HGETALL").arg(format!("wl:{{llm}}:{hash}")).query(&mut connection).expect("a hash")
    }

    /// Waits for a task's end and gives it.
    pub(crate) fn finished(&self, id: &str, deadline: Duration) -> Value {
        eventually(&format!("{id} is finished"), deadline, || {
            let state = self.fleet.field("default", id, "state").unwrap_or_default();
            ["completed", "failed", "cancelled", "expired"].contains(&state.as_str())
        });
        self.fleet.status(id)
    }

    /// Submits an `llm` task for a model and waits for its end.
    pub(crate) fn ask(&self, id: &str, model: &str) -> Value {
        self.fleet.submit("llm", &json!({ "prompt": format!("Task {id}."), "model": model }), &["--id", id]);
        self.finished(id, secs(30))
    }
}
