//! What the fleet's calls taught, as the selector asks for it. Read from Redis at most every few seconds.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use windlass_llm::select::{Live, LiveFigures};
use windlass_shared::store::{Gate, LiveRecord};

/// Older figures are read again.
const FRESH: Duration = Duration::from_secs(5);

/// Figures by model and category.
#[derive(Debug, Default)]
pub(crate) struct LiveTable(BTreeMap<String, BTreeMap<String, LiveRecord>>);

impl LiveTable {
    pub(crate) fn new(records: BTreeMap<(String, String), LiveRecord>) -> Self {
        let mut table = BTreeMap::<String, BTreeMap<String, LiveRecord>>::new();
        for ((model, category), record) in records {
            table.entry(model).or_default().insert(category, record);
        }
        Self(table)
    }

    fn record(&self, model: &str, category: Option<&str>) -> Option<&LiveRecord> {
        let of_model = self.0.get(model)?;
        category.and_then(|category| of_model.get(category)).or_else(|| of_model.get(""))
    }
}

impl Live for LiveTable {
    fn of(&self, model: &str, category: Option<&str>) -> Option<LiveFigures> {
        let record = self.record(model, category)?;
        let share = |part: f64, whole: f64| if whole > 0.0 { (part / whole).clamp(0.0, 1.0) } else { 0.0 };
        Some(LiveFigures {
            calls: record.calls,
            success: share(record.successes, record.calls),
            latency: record.latency,
            score: (record.scored > 0.0).then_some(record.score),
            scored: record.scored,
            output_tokens: (record.output_tokens > 0.0).then_some(record.output_tokens),
        })
    }
}

/// The table as it was read last.
#[derive(Debug, Default)]
pub(crate) struct LiveCache(Mutex<Option<(Instant, Arc<LiveTable>)>>);

impl LiveCache {
    /// The figures, a few seconds old at most. Redis's silence is no reason not to choose: then they are older.
    pub(crate) async fn get(&self, gate: &Gate) -> Arc<LiveTable> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, table)) = &known
            && at.elapsed() < FRESH
        {
            return Arc::clone(table);
        }
        // Whoever comes meanwhile takes the old table.
        if let Some((at, _)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            *at = Instant::now();
        }
        match gate.live().await {
            Ok(records) => {
                let table = Arc::new(LiveTable::new(records));
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some((Instant::now(), Arc::clone(&table)));
                table
            }
            Err(error) => {
                tracing::warn!(%error, "cannot read the models' statistics");
                known.map(|(_, table)| table).unwrap_or_default()
            }
        }
    }
}
