//! How both programs log: to standard error, for people or as one JSON object per line.

use std::{
    env,
    io::{self, IsTerminal},
    str::FromStr,
};

use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::LevelFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

/// Libraries that talk about every packet. They speak up from `warn` on, unless the filter names them.
const CHATTY: [&str; 5] = ["h2", "hyper", "hyper_util", "reqwest", "rustls"];

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people; in colour on a terminal.
    #[default]
    Human,
    /// For programs: one JSON object per line, with the event's fields at the top.
    Json,
}

impl FromStr for Format {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err(format!("log format {text:?} is not valid: use human or json")),
        }
    }
}

/// Something else that takes what is logged.
pub type Extra = Box<dyn Layer<Registry> + Send + Sync>;

/// Begins to log what `level` lets through (`info`, or `info,windlass_worker=debug`). Only once per process.
pub fn init(level: &str, format: Format) -> Result<(), String> {
    init_with(level, format, None)
}

/// The same, and something else takes what is logged, too.
pub fn init_with(level: &str, format: Format, extra: Option<Extra>) -> Result<(), String> {
    check_filter(level)?;
    let filter = EnvFilter::try_new(with_quiet_libraries(level)).map_err(|e| e.to_string())?;
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match format {
        Format::Human => lines.with_ansi(is_colourful()).boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    let begun = tracing_subscriber::registry().with(extra).with(lines).with(filter).try_init();
    begun.map_err(|e| format!("logging cannot begin: {e}"))
}

fn is_colourful() -> bool {
    io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Checks the text of a filter.
pub fn check_filter(text: &str) -> Result<(), String> {
    // `EnvFilter` takes an unknown word such as `inof` as the name of a target, and then logs almost nothing.
    let unknown = words(text).find(|word| is_plain(word) && word.parse::<LevelFilter>().is_err());
    match (unknown, EnvFilter::try_new(text)) {
        (Some(word), _) => Err(format!(
            "log level {word:?} is not valid: use off, error, warn, info, debug, trace or TARGET=LEVEL"
        )),
        (None, Err(error)) => Err(format!("log filter {text:?} is not valid: {error}")),
        (None, Ok(_)) => Ok(()),
    }
}

fn words(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

fn is_plain(word: &str) -> bool {
    word.chars().all(|c| c.is_alphanumeric() || "_-".contains(c))
}

/// Puts the chatty libraries first, where what the filter says about them replaces it.
fn with_quiet_libraries(level: &str) -> String {
    let general = words(level).filter_map(|word| word.parse::<LevelFilter>().ok()).next_back();
    match general {
        Some(general) if general > LevelFilter::WARN => {
            format!("{}=warn,{level}", CHATTY.join("=warn,"))
        }
        // They are quiet already.
        _ => level.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_level_or_directives() {
        for good in
            ["info", "WARN", "off", "info,windlass_worker=debug", "h2::codec=trace", "debug,[task{id}]=trace"]
        {
            assert_eq!(check_filter(good), Ok(()), "{good}");
        }
        for bad in ["inof", "info,verbose", "windlass=loud", "a=b=c"] {
            assert!(check_filter(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn libraries_are_quiet_unless_named() {
        let filter = |level| EnvFilter::try_new(with_quiet_libraries(level)).unwrap().to_string();
        assert!(filter("debug").contains("h2=warn"));
        assert!(
            filter("debug,h2=trace").contains("h2=trace") && !filter("debug,h2=trace").contains("h2=warn")
        );
        assert_eq!(filter("error"), "error");
        assert_eq!(filter("windlass_worker=debug"), "windlass_worker=debug");
    }
}
