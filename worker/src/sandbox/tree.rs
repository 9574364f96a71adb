//! The processes that descend from one, as `/proc` tells them.

use std::{collections::BTreeSet, fs};

/// All that descends from `root`, up to `most`; parents before children. Of a process that ends meanwhile, some may be
/// missing.
pub(crate) fn descendants(root: i32, most: usize) -> BTreeSet<i32> {
    let mut found = BTreeSet::new();
    let mut open = vec![root];
    while let Some(parent) = open.pop() {
        for child in children(parent) {
            if found.len() >= most {
                return found;
            }
            if found.insert(child) {
                open.push(child);
            }
        }
    }
    found
}

/// Each thread has children of its own.
fn children(parent: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
        .collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn grandchildren_are_found_and_no_more_than_asked_for() {
        let mut shell = Command::new("sh").args(["-c", "sleep 600 & sleep 600 & wait"]).spawn().unwrap();
        let root = i32::try_from(shell.id()).unwrap();
        while descendants(root, 10).len() < 2 {
            std::thread::yield_now();
        }
        assert_eq!(descendants(root, 1).len(), 1);
        for pid in descendants(root, 10) {
            let pid = rustix::process::Pid::from_raw(pid).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        shell.wait().unwrap();
    }
}
