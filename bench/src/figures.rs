//! What was measured: lines of JSON, of which medians are told.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{peer::WINDLASS, session::REDIS};

/// The measurements of some phases, of each those of its last session.
pub(crate) struct Figures(Vec<Value>);

impl Figures {
    pub(crate) fn read(file: &Path, phases: &[&str]) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let lines = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
        Ok(Self::of(lines, phases))
    }

    fn of(mut lines: Vec<Value>, phases: &[&str]) -> Self {
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        for line in &lines {
            let (phase, session) = (name(line, "phase").to_owned(), line["session"].as_u64().unwrap_or(0));
            let newest = last.entry(phase).or_default();
            *newest = session.max(*newest);
        }
        lines.retain(|line| {
            let phase = name(line, "phase");
            phases.contains(&phase) && line["session"].as_u64() == last.get(phase).copied()
        });
        Self(lines)
    }

    /// The peers that were measured: Windlass first, Redis itself not among them.
    pub(crate) fn peers(&self) -> Vec<&str> {
        let mut peers: Vec<&str> = Vec::new();
        for peer in self.0.iter().map(|line| name(line, "peer")) {
            if peer != REDIS && !peers.contains(&peer) {
                peers.push(peer);
            }
        }
        peers.sort_by_key(|peer| *peer != WINDLASS);
        peers
    }

    /// The variants of a phase, in the order in which they were measured.
    pub(crate) fn variants(&self, phase: &str) -> Vec<&str> {
        let mut variants: Vec<&str> = Vec::new();
        for variant in
            self.0.iter().filter(|line| name(line, "phase") == phase).filter_map(|l| l["variant"].as_str())
        {
            if !variants.contains(&variant) {
                variants.push(variant);
            }
        }
        variants
    }

    /// The median of a figure.
    pub(crate) fn median(&self, peer: &str, phase: &str, figure: &str) -> Option<f64> {
        self.median_of(peer, phase, None, figure)
    }

    /// The median of a figure of one of a phase's variants.
    pub(crate) fn median_of(
        &self,
        peer: &str,
        phase: &str,
        variant: Option<&str>,
        figure: &str,
    ) -> Option<f64> {
        let wanted = |line: &&Value| {
            name(line, "peer") == peer && name(line, "phase") == phase && line["variant"].as_str() == variant
        };
        let mut values: Vec<f64> =
            self.0.iter().filter(wanted).filter_map(|line| line[figure].as_f64()).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }

    /// The best median among Windlass' peers.
    pub(crate) fn best(&self, phase: &str, figure: &str, better: Better) -> Option<f64> {
        let peers = self.peers().into_iter().filter(|peer| *peer != WINDLASS);
        let medians = peers.filter_map(|peer| self.median(peer, phase, figure));
        match better {
            Better::More => medians.max_by(f64::total_cmp),
            Better::Less => medians.min_by(f64::total_cmp),
        }
    }

    /// What could not be measured, and why.
    pub(crate) fn failures(&self) -> Vec<String> {
        let failure = |line: &Value| {
            let error = line["error"].as_str()?;
            Some(format!("{} of {} failed: {error}", name(line, "phase"), name(line, "peer")))
        };
        self.0.iter().filter_map(failure).collect()
    }
}

/// Which of two figures is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

fn name<'a>(line: &'a Value, field: &str) -> &'a str {
    line[field].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(session: u64, peer: &str, rate: f64) -> Value {
        json!({ "session": session, "phase": "drain", "peer": peer, "rate": rate })
    }

    #[test]
    fn medians_and_the_best_peer_are_those_of_the_last_session() {
        let lines = vec![
            line(1, WINDLASS, 9.0),
            line(2, "b", 2.0),
            line(2, "a", 4.0),
            line(2, WINDLASS, 5.0),
            line(2, WINDLASS, 7.0),
            line(2, WINDLASS, 6.0),
            json!({ "session": 2, "phase": "idle", "peer": "a", "error": "no" }),
        ];
        let figures = Figures::of(lines, &["drain", "idle"]);
        assert_eq!(figures.peers(), [WINDLASS, "b", "a"]);
        assert_eq!(figures.median(WINDLASS, "drain", "rate"), Some(6.0));
        assert_eq!(figures.best("drain", "rate", Better::More), Some(4.0));
        assert_eq!(figures.best("drain", "rate", Better::Less), Some(2.0));
        assert_eq!(figures.failures(), ["idle of a failed: no"]);
    }
}
