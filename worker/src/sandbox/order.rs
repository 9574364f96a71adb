//! What the helper is to do, as it comes through its standard input: ten digits that say how long it is, then JSON.
//! What follows is the program's own input.

use std::ffi::OsString;

use serde::{Deserialize, Serialize};

use super::policy::Policy;
use crate::executor::Failure;

/// Digits of the length.
const DIGITS: usize = 10;

/// What to run, and how.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Process id of the worker.
    pub(crate) worker: u32,
    pub(crate) argv: Vec<String>,
    /// The program's whole environment. (Pairs, since the keys of a JSON object are text, and these need not be.)
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) policy: Policy,
}

impl Order {
    /// As the helper reads it; once for each of its stages.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Failure> {
        let json = serde_json::to_string(self).map_err(|error| {
            Failure::internal(format!("a command cannot be told to its sandbox: {error}"))
        })?;
        let stages = if self.policy.bubblewrap.is_some() { 2 } else { 1 };
        let digits = DIGITS;
        Ok(format!("{:0digits$}{json}", json.len()).repeat(stages).into_bytes())
    }

    /// Reads one from standard input, and not a byte more.
    #[cfg(target_os = "linux")]
    pub(super) fn read() -> std::io::Result<Self> {
        let length = std::str::from_utf8(&exactly(DIGITS)?).ok().and_then(|text| text.parse().ok());
        let length = length.ok_or(std::io::ErrorKind::InvalidData)?;
        Ok(serde_json::from_slice(&exactly(length)?)?)
    }
}

/// Unbuffered, since the rest belongs to the program.
#[cfg(target_os = "linux")]
fn exactly(length: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match rustix::io::read(rustix::stdio::stdin(), &mut bytes[filled..]) {
            Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => filled += read,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(bytes)
}
