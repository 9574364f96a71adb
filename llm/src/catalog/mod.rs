//! The catalog: which models there are, what they can do, what they cost, and how good they are believed to be.
//!
//! Three sources, each correcting the one before:
//!
//! 1. the catalog in this program ([`Catalog::default`], `default.toml`);
//! 2. the listings of the providers ([`Catalog::add_listing`]): true prices, windows and abilities, new models, and
//!    which models are no longer there;
//! 3. files of the user ([`Entries::from_toml`], [`Catalog::merge`]), which always win. An entry may give only some
//!    fields of a known model; the other fields stay.
//!
//! The order of the calls does not matter: files are applied again after each listing.
//!
//! Qualities, success rates and latencies are beliefs to begin with. What the fleet sees corrects them (see
//! [`select`](crate::select)).

mod aliases;
mod day;
mod entry;
mod field;
mod find;
mod listing;
mod model;
pub(crate) mod span;

use std::collections::BTreeMap;

pub(crate) use self::model::TYPICAL_SPEED;
pub use self::{
    day::Day,
    entry::{Entries, Entry},
    find::{Resolved, Unknown},
    listing::{Added, Listing, Listings},
    model::{Capability, Limits, Modalities, Model, Source, TYPICAL_INPUT, TYPICAL_OUTPUT},
};

/// The models, by their id.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalog {
    models: BTreeMap<String, Model>,
    /// Entries of the user's files, applied again whenever a listing changes what is below them.
    files: Vec<Entries>,
}

impl Default for Catalog {
    /// The models that this program knows of itself.
    fn default() -> Self {
        let mut catalog = Self::empty();
        let entries = Entries::from_toml(include_str!("default.toml"), "default.toml");
        let applied = entries.and_then(|entries| catalog.apply(&entries, Source::Default));
        applied.map(|()| catalog).expect("the catalog in the program is tested")
    }
}

impl Catalog {
    /// A catalog without models, for those who list all of theirs in a file.
    pub fn empty() -> Self {
        Self { models: BTreeMap::new(), files: Vec::new() }
    }

    /// The models, in the order of their ids.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        self.models.values()
    }

    /// The model with this very id.
    pub fn get(&self, id: &str) -> Option<&Model> {
        self.models.get(id)
    }

    /// How many models there are.
    pub fn len(&self) -> usize {
        self.models.len()
    }

    /// Whether there is no model.
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// Adds and corrects models as a file says. On faults, all of them are given and nothing is changed.
    pub fn merge(&mut self, entries: Entries) -> Result<(), Vec<String>> {
        self.apply(&entries, Source::File)?;
        self.files.push(entries);
        Ok(())
    }

    fn apply(&mut self, entries: &Entries, source: Source) -> Result<(), Vec<String>> {
        let mut changed = self.models.clone();
        let mut faults = Vec::new();
        for (id, entry) in entries.iter() {
            match changed.get_mut(id) {
                Some(model) => entry.apply(model),
                None => match entry.model(id, source) {
                    Ok(model) => drop(changed.insert(id.to_owned(), model)),
                    Err(fault) => faults.push(format!("{}: {fault}", entries.origin())),
                },
            }
        }
        let ambiguous = aliases::ambiguous(changed.values());
        faults.extend(ambiguous.into_iter().map(|fault| format!("{}: {fault}", entries.origin())));
        if faults.is_empty() {
            self.models = changed;
            Ok(())
        } else {
            Err(faults)
        }
    }
}

#[cfg(test)]
mod tests;
