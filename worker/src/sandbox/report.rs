//! How the helper tells the worker what the program cannot: a last line on standard error. (A program that writes
//! such a line itself chooses the class of its own failure, which it can do by its exit code as well.)

use serde::{Deserialize, Serialize};
use windlass_shared::model::ErrorClass;

use crate::executor::Failure;

const MARK: &str = "windlass-sandbox: ";

#[derive(Serialize, Deserialize)]
struct Report {
    class: ErrorClass,
    message: String,
}

/// The line, with a line's end before it in case the program left its own line open.
#[cfg(target_os = "linux")]
pub(super) fn line(failure: &Failure) -> String {
    let report = Report { class: failure.class, message: failure.message.clone() };
    format!("\n{MARK}{}\n", serde_json::to_string(&report).unwrap_or_default())
}

/// Takes the report off what a command wrote, if there is one.
pub(crate) fn taken(stderr: &str) -> Option<Failure> {
    let last = stderr.trim_end().lines().last()?;
    let Report { class, message } = serde_json::from_str(last.strip_prefix(MARK)?).ok()?;
    Some(Failure::new(class, message))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_off_the_last_line_only() {
        let failure = Failure::new(ErrorClass::Spawn, "\"x\" cannot be started: no\nsuch");
        let text = format!("said before{}", line(&failure));
        let read = taken(&text).unwrap();
        assert_eq!((read.class, read.message), (failure.class, failure.message));
        assert!(taken(&format!("{text}said after")).is_none());
        assert!(taken("").is_none());
    }
}
