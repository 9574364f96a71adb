//! Do those who need the keys have them.

use std::collections::BTreeSet;

use windlass_shared::{
    model::NodeRecord,
    sealing::KeyRing,
    store::{
        Store,
        inspect::{SealedWith, SeenNode},
    },
};

use super::{Check, Status, check};
use crate::{context::Context, exit::Done};

pub(super) async fn checks(context: &Context, store: &Store, nodes: &[SeenNode]) -> Done<Vec<Check>> {
    let mut found = SealedWith::new();
    for name in store.queues().await? {
        for (key, count) in store.queue(&name).await?.sealed_with().await? {
            *found.entry(key).or_default() += count;
        }
    }
    let live: Vec<&NodeRecord> =
        nodes.iter().filter(|node| node.alive).filter_map(|node| node.record.as_ref()).collect();
    let ring = context.config.sealing.keys.as_ref();
    let here: BTreeSet<&str> = ring.iter().flat_map(|ring| ring.ids()).collect();
    let seals = ring.map(KeyRing::seals_with);
    if ring.is_none() && found.keys().all(Option::is_none) && live.iter().all(|node| node.keys.is_empty()) {
        return Ok(Vec::new());
    }
    let mut checks = vec![summary(seals, &found)];
    let used: BTreeSet<&str> = found.keys().flatten().map(String::as_str).collect();
    checks.extend(used.difference(&here).map(|key| {
        let detail = format!(
            "tasks are sealed with key {key}, which is not here, so their payloads and results cannot be shown (setting sealing.keys)"
        );
        check("sealing", Status::Warn, detail)
    }));
    checks.extend(used.iter().copied().chain(seals).collect::<BTreeSet<_>>().into_iter().filter_map(|key| {
        let without: Vec<&str> = live
            .iter()
            .filter(|node| !node.keys.iter().any(|known| known == key))
            .map(|node| node.id.as_str())
            .collect();
        (!without.is_empty()).then(|| {
            let detail = format!(
                "{} of {} live nodes do not hold key {key}, and hand back what is sealed with it: {}",
                without.len(),
                live.len(),
                some(&without)
            );
            check("sealing", Status::Warn, detail)
        })
    }));
    Ok(checks)
}

fn summary(seals: Option<&str>, found: &SealedWith) -> Check {
    let sealed = found.iter().map(|(key, count)| match key {
        Some(key) => format!("{count} sealed with {key}"),
        None => format!("{count} not sealed"),
    });
    let looked: u64 = found.values().sum();
    let said = seals.map_or_else(
        || "there is no key here, so nothing is sealed".into(),
        |key| format!("key {key} seals"),
    );
    let detail = format!("{said}; of {looked} tasks looked at: {}", sealed.collect::<Vec<_>>().join(", "));
    let clear = seals.is_some() && found.contains_key(&None);
    check("sealing", if clear { Status::Note } else { Status::Ok }, detail.trim_end_matches(": ").to_owned())
}

/// The first few of them.
fn some(ids: &[&str]) -> String {
    const SHOWN: usize = 5;
    let mut text = ids.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if ids.len() > SHOWN {
        text.push_str(", …");
    }
    text
}
