//! What kept Redis busy longest: its own `SLOWLOG`, which tells how long each call took, waits for its turn not counted.

use anyhow::Result;

use crate::server::Server;

/// Microseconds: shorter calls are not kept, since keeping them costs Redis, too.
const LEAST: &str = "100";
/// Calls that are kept.
const MOST: &str = "100000";

/// Calls of a server from a moment on.
pub(crate) struct Slow(Vec<Call>);

struct Call {
    micros: u64,
    words: Vec<Vec<u8>>,
}

/// Number, moment, microseconds, words, client, its name.
type Entry = (u64, u64, u64, Vec<Vec<u8>>, String, String);

impl Slow {
    /// Keeps calls from now on, and forgets what was kept.
    pub(crate) fn watch(server: &mut Server) -> Result<()> {
        server.ask::<()>(&["CONFIG", "SET", "slowlog-log-slower-than", LEAST, "slowlog-max-len", MOST])?;
        server.ask(&["SLOWLOG", "RESET"])
    }

    /// What was kept.
    pub(crate) fn read(server: &mut Server) -> Result<Self> {
        let entries: Vec<Entry> = server.ask(&["SLOWLOG", "GET", "-1"])?;
        Ok(Self(entries.into_iter().map(|(_, _, micros, words, ..)| Call { micros, words }).collect()))
    }

    /// The longest run of a script that was known before, milliseconds; none if none took long enough to be kept.
    pub(crate) fn script(&self) -> Option<f64> {
        longest(self.0.iter().filter(|call| call.is_script()))
    }

    /// The same of scripts that were given so many keys.
    pub(crate) fn script_with_keys(&self, keys: usize) -> Option<f64> {
        let keys = keys.to_string();
        longest(
            self.0.iter().filter(|call| call.is_script() && call.words.get(2) == Some(&keys.clone().into())),
        )
    }

    /// The longest call of any other command.
    pub(crate) fn command(&self) -> Option<f64> {
        longest(self.0.iter().filter(|call| !call.is_script()))
    }
}

impl Call {
    fn is_script(&self) -> bool {
        self.words.first().is_some_and(|verb| verb.eq_ignore_ascii_case(b"EVALSHA"))
    }
}

fn longest<'a>(calls: impl Iterator<Item = &'a Call>) -> Option<f64> {
    calls.map(|call| call.micros).max().map(|micros| micros as f64 / 1000.0)
}
