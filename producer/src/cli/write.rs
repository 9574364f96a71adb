//! Laying down files, as it is typed with several commands.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct LayDown {
    /// Lay the files of completed tasks down below this folder
    #[arg(id = "write", long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// Each task's files below DIR/QUEUE/ID/
    #[arg(long = "write-by-task", requires = "write")]
    pub(crate) by_task: bool,
    /// Replace files that are there with other content
    #[arg(long, requires = "write")]
    pub(crate) force: bool,
}
