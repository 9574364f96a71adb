//! How large the programs may be: packages and the code of the test build, held against `tests/budget.json`.

use serde_json::Value;
use windlass_tests::fleet::binary;

const BUDGET: &str = include_str!("../../budget.json");
const LOCK: &str = include_str!("../../../Cargo.lock");

fn hold(what: &str, is: f64) {
    let budget: Value = serde_json::from_str(BUDGET).expect("JSON");
    let may = budget["programs"][what].as_f64().unwrap_or_else(|| panic!("tests/budget.json has no {what}"));
    assert!(
        is <= may,
        "{what} is {is:.1}, and {may} is allowed: do without, or raise it in tests/budget.json and say why"
    );
    assert!(is >= may * 0.8, "{what} is only {is:.1}, and {may} is allowed: lower it in tests/budget.json");
}

#[test]
fn no_more_packages_than_allowed() {
    hold("packages", LOCK.matches("[[package]]").count() as f64);
}

#[cfg(target_os = "linux")]
const ALLOCATED: u64 = 2;
#[cfg(target_os = "linux")]
const NOTHING_IN_THE_FILE: u64 = 8;

/// Sections that are loaded, of a 64-bit little-endian ELF file: what is left when debug information is stripped.
#[cfg(target_os = "linux")]
fn loaded_bytes(program: &str) -> u64 {
    let file = std::fs::read(binary(program)).expect("the program was built");
    let number = |at: usize, bytes: usize| -> u64 {
        file[at..at + bytes].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    };
    assert_eq!(&file[..6], b"\x7fELF\x02\x01", "a 64-bit little-endian program");
    let (table, size, count) = (number(0x28, 8) as usize, number(0x3a, 2) as usize, number(0x3c, 2) as usize);
    let section = |index: usize| {
        let at = table + index * size;
        (number(at + 4, 4), number(at + 8, 8), number(at + 0x20, 8))
    };
    let loaded = |(kind, flags, _): &(u64, u64, u64)| flags & ALLOCATED != 0 && *kind != NOTHING_IN_THE_FILE;
    (0..count).map(section).filter(loaded).map(|(_, _, bytes)| bytes).sum()
}

#[cfg(target_os = "linux")]
#[test]
fn the_programs_are_no_larger_than_allowed() {
    for (program, what) in [("windlass", "windlass_mb"), ("windlass-worker", "windlass_worker_mb")] {
        hold(what, loaded_bytes(program) as f64 / 1e6);
    }
}

/// The engine is given only what is listed; a package that is missing there ends the build of the images.
#[test]
fn every_package_goes_into_the_images_build() {
    let listed = include_str!("../../../.dockerignore");
    let workspace = include_str!("../../../Cargo.toml");
    let members = workspace.lines().find(|line| line.starts_with("members = ")).expect("a workspace");
    for member in members.split('"').skip(1).step_by(2) {
        let folder = member.split('/').next().unwrap_or_default();
        assert!(listed.lines().any(|line| line == format!("!{folder}")), ".dockerignore leaves {folder} out");
    }
}
