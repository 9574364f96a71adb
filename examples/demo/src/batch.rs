//! The batch: real source files, each analysed, checked, tested and described.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{
    fleet::{DIR, Fleet},
    report::step,
};

const SOURCES: &str = "examples/demo/sources";
/// Types of the tasks for each file; `examples/demo/windlass.toml` declares them.
const TYPES: [&str; 4] = ["measure", "check", "unit_tests", "describe"];

/// A batch that was submitted.
pub(crate) struct Batch {
    pub(crate) name: String,
    pub(crate) tasks: usize,
}

impl Batch {
    /// Writes the tasks to a file and submits that.
    pub(crate) fn submit(fleet: &Fleet) -> Result<Self> {
        let lines = tasks(Path::new(SOURCES))?;
        let file = format!("{DIR}/demo.jsonl");
        fs::write(&file, lines.join("\n"))?;
        step(&format!(
            "Submitting {} tasks of {} types about the files in {SOURCES}",
            lines.len(),
            TYPES.len()
        ));
        let name = format!("demo-{}", std::process::id());
        fleet.show(&["submit", "--file", &file, "--batch", &name])?;
        Ok(Self { name, tasks: lines.len() })
    }

    /// Every finished task, in order of finishing.
    pub(crate) fn results(&self, fleet: &Fleet) -> Result<Vec<Value>> {
        let output = fleet.run(&["results", "--batch", &self.name])?;
        String::from_utf8(output)?.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }
}

fn tasks(dir: &Path) -> Result<Vec<String>> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .with_context(|| format!("{}: run the demo from the top of the repository", dir.display()))?
        .collect::<Result<Vec<_>, _>>()?;
    files.sort_by_key(fs::DirEntry::file_name);
    let mut lines = Vec::new();
    for file in files {
        let name = file.file_name().to_string_lossy().into_owned();
        let payload = json!({ "name": name, "source": fs::read_to_string(file.path())? });
        lines.extend(TYPES.map(|task_type| json!({ "type": task_type, "payload": payload }).to_string()));
    }
    Ok(lines)
}
