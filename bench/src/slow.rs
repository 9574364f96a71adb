//! What kept Redis busy longest: its own `SLOWLOG`, which tells how long each call took, waits for its turn not counted.

use anyhow::Result;

use crate::{phases::quantile, server::Server};

/// Microseconds: shorter calls are not kept, since keeping them costs Redis, too.
const LEAST: &str = "100";
/// Calls that are kept.
const MOST: &str = "100000";

/// Where a command within a script came from, by the log: each is kept for itself, beside the script.
const WITHIN: &str = "?:0";

/// Calls of a server from a moment on.
pub(crate) struct Slow(Vec<Call>);

struct Call {
    micros: u64,
    words: Vec<Vec<u8>>,
}

/// Number, moment, microseconds, words, client, its name.
type Entry = (u64, u64, u64, Vec<Vec<u8>>, String, String);

/// How long some calls took, milliseconds; none if none took long enough to be kept.
pub(crate) struct Took {
    pub(crate) longest: Option<f64>,
    /// The median.
    pub(crate) usual: Option<f64>,
}

impl Slow {
    /// Keeps calls from now on, and forgets what was kept.
    pub(crate) fn watch(server: &mut Server) -> Result<()> {
        server.ask::<()>(&["CONFIG", "SET", "slowlog-log-slower-than", LEAST, "slowlog-max-len", MOST])?;
        server.ask(&["SLOWLOG", "RESET"])
    }

    /// What was kept.
    pub(crate) fn read(server: &mut Server) -> Result<Self> {
        let entries: Vec<Entry> = server.ask(&["SLOWLOG", "GET", "-1"])?;
        let sent = entries.into_iter().filter(|entry| entry.4 != WITHIN);
        Ok(Self(sent.map(|(_, _, micros, words, ..)| Call { micros, words }).collect()))
    }

    /// Scripts that the server knew: the first run of one also compiles it.
    pub(crate) fn scripts(&self) -> Took {
        self.took(Call::is_script)
    }

    /// The same of scripts that were given so many keys.
    pub(crate) fn scripts_with_keys(&self, keys: usize) -> Took {
        let keys = keys.to_string().into_bytes();
        self.took(|call| call.is_script() && call.words.get(2) == Some(&keys))
    }

    /// All other commands.
    pub(crate) fn commands(&self) -> Took {
        self.took(|call| !call.is_script() && !call.is("EVAL"))
    }

    fn took(&self, which: impl Fn(&Call) -> bool) -> Took {
        let calls = self.0.iter().filter(|call| which(call));
        let mut millis: Vec<f64> = calls.map(|call| call.micros as f64 / 1000.0).collect();
        millis.sort_by(f64::total_cmp);
        Took { longest: millis.last().copied(), usual: quantile(&millis, 0.5) }
    }
}

impl Call {
    fn is(&self, verb: &str) -> bool {
        self.words.first().is_some_and(|word| word.eq_ignore_ascii_case(verb.as_bytes()))
    }

    fn is_script(&self) -> bool {
        self.is("EVALSHA")
    }
}
