//! A ledger of side effects: `command` tasks write down when they start and end, so that what ran twice can be counted.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

/// Appended in one write each, so lines stand in the order in which things happened.
const SCRIPT: &str = r#"
echo "$WINDLASS_TASK_ID $WINDLASS_ATTEMPT start" >> "$LEDGER"
if [ "$WINDLASS_ATTEMPT" = 1 ]; then sleep "$NAP"; else sleep "$NAP_AGAIN"; fi
echo "$WINDLASS_TASK_ID $WINDLASS_ATTEMPT end" >> "$LEDGER"
"#;

/// A file to which tasks append.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
}

/// What a task did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The task.
    pub id: String,
    /// The attempt.
    pub attempt: u32,
    /// Whether the attempt came to its end.
    pub ended: bool,
}

impl Ledger {
    /// An empty ledger in `dir`.
    pub fn new(dir: &Path) -> Self {
        Self { path: dir.join("ledger") }
    }

    /// Payload of a `command` task that takes `nap` seconds.
    pub fn payload(&self, nap: &str) -> Value {
        self.payload_of(nap, nap)
    }

    /// The same, taking `again` seconds from the second attempt on.
    pub fn payload_of(&self, nap: &str, again: &str) -> Value {
        json!({
            "argv": ["sh", "-c", SCRIPT],
            "env": { "LEDGER": self.path.to_str(), "NAP": nap, "NAP_AGAIN": again },
        })
    }

    /// A line of a file of tasks.
    pub fn line(&self, id: &str, nap: &str) -> Value {
        json!({ "type": "command", "id": id, "payload": self.payload(nap) })
    }

    /// What was written so far.
    pub fn entries(&self) -> Vec<Entry> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let entry = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            let [id, attempt, what] = words[..] else { panic!("the ledger has a bad line: {line:?}") };
            Entry {
                id: id.to_owned(),
                attempt: attempt.parse().expect("an attempt is a number"),
                ended: what == "end",
            }
        };
        text.lines().map(entry).collect()
    }

    /// How often a task was started.
    pub fn starts(&self, id: &str) -> usize {
        self.entries().iter().filter(|entry| entry.id == id && !entry.ended).count()
    }

    /// The most tasks that were between their start and their end at the same time.
    pub fn most_at_once(&self) -> usize {
        let (mut open, mut most) = (0_usize, 0);
        for entry in self.entries() {
            open = if entry.ended { open.saturating_sub(1) } else { open + 1 };
            most = most.max(open);
        }
        most
    }
}
