//! The file of `export` and `import`: JSON Lines. The first line says what was exported from where, the second where the
//! event logs stood, then comes a line for each key, and one that closes the file. A later line of a key goes before an
//! earlier one.

mod read;
mod write;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use windlass_shared::model::QueueName;

pub(crate) use self::{
    read::{Checked, check, header_of, keys},
    write::Writer,
};

/// The format that this program writes and reads.
pub(crate) const FORMAT: u32 = 1;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    #[serde(rename = "windlass_export")]
    pub(crate) format: u32,
    pub(crate) namespace: String,
    /// Name and version of the server.
    pub(crate) server: String,
    /// Redis's clock, RFC 3339.
    pub(crate) exported_at: String,
    pub(crate) queues: Vec<Exported>,
}

/// A queue in the first line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Exported {
    pub(crate) queue: QueueName,
    pub(crate) partitions: u16,
    /// Whether it was paused before the export.
    pub(crate) paused: bool,
}

/// The second line: the newest event of each partition of each queue when the copying began.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Since {
    pub(crate) since: Vec<Vec<String>>,
}

/// A key.
#[derive(Debug, Serialize, Deserialize)]
#[allow(clippy::struct_field_names, reason = "it is the field's name in the file")]
pub(crate) struct Key {
    /// The queue, by its place in the first line.
    pub(crate) queue: usize,
    pub(crate) partition: u16,
    /// Its name without what the keys of the partition begin with.
    pub(crate) key: String,
    /// Base64 of what `DUMP` gave; null if the key is gone since an earlier line.
    pub(crate) dump: Option<String>,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Closing {
    pub(crate) end: End,
}

/// What the last line says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct End {
    /// Lines of keys.
    pub(crate) keys: u64,
    /// BLAKE3 of all lines before this one.
    pub(crate) digest: String,
    /// The settings of each partition of each queue.
    pub(crate) settings: Vec<Vec<BTreeMap<String, String>>>,
}

/// What the last line begins with.
const CLOSING: &str = r#"{"end":"#;
