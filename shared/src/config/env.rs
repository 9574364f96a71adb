//! Environment variables and flags.

use std::collections::BTreeMap;

use super::{
    kind::Kind,
    layers::{Entry, Values},
    setting::{Setting, find},
    settings::SETTINGS,
    sources::{CONFIG_VARIABLE, Flag},
    value::Value,
};

/// What our own variables begin with.
const PREFIX: &str = "WINDLASS_";

/// What the environment gives. A variable that is empty counts as not set, as `docker compose` passes those.
pub(super) fn entries(env: &BTreeMap<String, String>, faults: &mut Vec<String>) -> Vec<Entry> {
    let mut entries = Vec::new();
    for setting in SETTINGS.iter() {
        let set = |(name, is_file): (String, bool)| {
            let text = env.get(&name).filter(|text| !text.trim().is_empty())?;
            Some(entry(setting, name, is_file, text))
        };
        let mut set = setting.variables().into_iter().filter_map(set);
        let (first, second) = (set.next(), set.next());
        if let (Some(value), Some(Entry { is_file: true, origin, .. })) = (&first, &second) {
            faults.push(format!("{} and {origin} are both set: set one of them", value.origin));
        }
        entries.extend(first);
    }
    entries
}

fn entry(setting: &'static Setting, name: String, is_file: bool, text: &str) -> Entry {
    let mut text = text.to_owned();
    // Other tools give times as plain seconds.
    let is_theirs = matches!(setting.kind, Kind::Duration(..)) && !name.starts_with(PREFIX);
    if is_theirs && text.bytes().all(|b| b.is_ascii_digit()) {
        text.push('s');
    }
    Entry { setting, text, is_file, place: name.clone(), origin: name }
}

/// What the command line gives.
pub(super) fn flag_entries(flags: Vec<Flag>, faults: &mut Vec<String>) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (key, flag, text) in flags {
        match find(&SETTINGS, key) {
            Some((setting, is_file)) => {
                entries.push(Entry {
                    setting,
                    text,
                    is_file,
                    origin: flag.to_owned(),
                    place: flag.to_owned(),
                });
            }
            None => {
                faults.push(format!("{flag}: there is no setting {key}; this is a mistake in the program"));
            }
        }
    }
    entries
}

/// Variables of ours that look like a known one written wrongly. Others may use the prefix, so this is no fault.
pub(super) fn near_misses(env: &BTreeMap<String, String>) -> Vec<String> {
    let known: Vec<String> = SETTINGS
        .iter()
        .flat_map(Setting::variables)
        .map(|(name, _)| name)
        .chain([CONFIG_VARIABLE.to_owned()])
        .filter(|name| name.starts_with(PREFIX))
        .collect();
    let nearest = |name: &String| {
        let near = known.iter().map(|known| (strsim::damerau_levenshtein(name, known), known));
        near.filter(|(distance, _)| (1..=2).contains(distance)).min()
    };
    env.keys()
        .filter(|name| name.starts_with(PREFIX) && !known.contains(name))
        .filter_map(|name| Some((name, nearest(name)?.1)))
        .map(|(name, meant)| format!("{name} is not a setting; did you mean {meant}?"))
        .collect()
}

/// Secrets of the file that a variable of another tool replaces, which the environment may hold by chance.
pub(super) fn replaced_secrets(values: &Values, entries: &[Entry]) -> Vec<String> {
    let replaced = |entry: &&Entry| {
        entry.setting.kind.is_secret()
            && !entry.origin.starts_with(PREFIX)
            && !matches!(values.given(entry.setting.key).value, Value::Unset)
    };
    let warn = |entry: &Entry| {
        let given = values.given(entry.setting.key);
        format!("{} replaces {} of {}", entry.origin, entry.setting.key, given.origin)
    };
    entries.iter().filter(replaced).map(warn).collect()
}
