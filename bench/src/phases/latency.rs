//! Latency at fifty tasks a second, an open loop: from the call that submits to the handler's start, and to the result
//! in the caller's hands.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use windlass_bench::record;

use super::{Scene, quantile};
use crate::bed::{Bed, leave};

const RATE: &str = "50";
const SECONDS: &str = "8";

pub(super) fn measure(scene: &Scene) -> Result<Vec<Value>> {
    let mut bed = Bed::new(scene.peer)?;
    let mut worker = bed.warm_worker(scene.peer.concurrency)?;
    let lines = bed.verb(&["latency", "--rate", RATE, "--secs", SECONDS])?;
    leave(&mut worker);
    let started: BTreeMap<u64, u64> =
        record::read(&bed.log())?.into_iter().map(|mark| (mark.idx, mark.at)).collect();
    let how = lines.iter().find_map(|line| line["wait"].as_str()).unwrap_or_default();
    let (mut starts, mut results) = (Vec::new(), Vec::new());
    let mut lost = 0;
    for line in lines.iter().filter(|line| line["idx"].is_u64()) {
        let idx = line["idx"].as_u64().context("no number")?;
        let submitted = line["enq"].as_u64().context("no moment")?;
        let millis = |at: u64| at.saturating_sub(submitted) as f64 / 1e6;
        starts.extend(started.get(&idx).copied().map(millis));
        match line["res"].as_u64().unwrap_or(0) {
            0 => lost += 1,
            at => results.push(millis(at)),
        }
    }
    starts.sort_by(f64::total_cmp);
    results.sort_by(f64::total_cmp);
    Ok(vec![json!({
        "n": starts.len(), "without_result": lost, "how": how,
        "start_p50_ms": quantile(&starts, 0.5), "start_p99_ms": quantile(&starts, 0.99),
        "result_p50_ms": quantile(&results, 0.5), "result_p99_ms": quantile(&results, 0.99),
    })])
}
