//! Names that would mean two models of one provider.

use std::collections::BTreeMap;

use super::Model;

/// One line for each name that several models of a provider share.
pub(super) fn ambiguous<'a>(models: impl Iterator<Item = &'a Model>) -> Vec<String> {
    let mut owners: BTreeMap<(&str, String), &Model> = BTreeMap::new();
    let mut faults = Vec::new();
    for model in models {
        for name in model.aliases.iter().chain([&model.name]) {
            let owner = owners.entry((&model.provider, name.to_lowercase())).or_insert(model);
            if owner.id != model.id {
                faults.push(format!(
                    "{name:?} means both {} and {}; give it to one of them as its alias",
                    owner.id, model.id
                ));
            }
        }
    }
    faults
}
