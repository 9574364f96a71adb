//! Files: Landlock lets this process and its children use what is listed, and nothing else.

use std::{
    fs,
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

use super::{paths::DEVICES, policy::Policy};

/// What we know to restrict. An older kernel restricts less; the probe says if that is too little.
const KNOWN: ABI = ABI::V6;

/// The first kernel that also keeps files from being cut short.
pub(super) const LEAST: ABI = ABI::V3;

/// Whether this kernel restricted anything, and how much it knows.
pub(super) fn shut_off(policy: &Policy) -> Result<Option<ABI>, String> {
    restrict(policy).map_err(|error| error.to_string())
}

fn restrict(policy: &Policy) -> Result<Option<ABI>, RulesetError> {
    let all = AccessFs::from_all(KNOWN);
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .scope(Scope::from_all(KNOWN))?;
    if !policy.network {
        ruleset = ruleset.handle_access(AccessNet::from_all(KNOWN))?;
    }
    let read = |paths: &[PathBuf]| {
        let real = paths.iter().filter_map(|path| path.canonicalize().ok());
        real.flat_map(|path| without(&path, &policy.hide)).collect::<Vec<_>>()
    };
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    let status = ruleset
        .create()?
        .add_rules(path_beneath_rules(read(&policy.read), AccessFs::from_read(KNOWN)))?
        .add_rules(path_beneath_rules(holders(policy), BitFlags::from(AccessFs::ReadDir)))?
        .add_rules(path_beneath_rules(read(&policy.write), all & !AccessFs::IoctlDev))?
        .add_rules(path_beneath_rules(DEVICES, device))?
        .restrict_self()?;
    Ok(match status.landlock {
        LandlockStatus::Available { effective_abi, .. } if status.ruleset != RulesetStatus::NotEnforced => {
            Some(effective_abi)
        }
        _ => None,
    })
}

/// Rules only allow, so where something below a folder is hidden, its neighbours are listed instead.
fn without(path: &Path, hide: &[PathBuf]) -> Vec<PathBuf> {
    if hide.iter().any(|hidden| path == hidden) {
        return Vec::new();
    }
    if !hide.iter().any(|hidden| hidden.starts_with(path)) {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.flat_map(|entry| without(&entry.path(), hide)).collect()
}

/// The folders of which only the neighbours of what is hidden were listed: their names may be read.
fn holders(policy: &Policy) -> Vec<&Path> {
    let holds = |path: &&PathBuf| policy.hide.iter().any(|hidden| hidden.starts_with(path));
    policy.read.iter().chain(&policy.write).filter(holds).map(PathBuf::as_path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_left_out_and_its_neighbours_stay() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        for name in ["x", "a/y", "a/secret", "a/b/z"] {
            fs::write(at(name), "").unwrap();
        }
        let mut listed = without(root.path(), &[at("a/secret")]);
        listed.sort();
        assert_eq!(listed, [at("a/b"), at("a/y"), at("x")]);
        assert_eq!(without(&at("a/b"), &[at("a/secret")]), [at("a/b")]);
        assert!(without(&at("a/secret"), &[at("a/secret")]).is_empty());
    }
}
