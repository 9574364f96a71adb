//! What a validator found.

/// What a validator found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    pub(super) passed: bool,
    /// From 0 to 1.
    pub(super) score: f64,
    pub(super) message: String,
}

impl Finding {
    /// All is well.
    pub(super) fn passed() -> Self {
        Self { passed: true, score: 1.0, message: String::new() }
    }

    /// Nothing is.
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self { passed: false, score: 0.0, message: message.into() }
    }

    /// It is as good as this, and that is enough or not.
    pub(super) fn scored(passed: bool, score: f64, message: impl Into<String>) -> Self {
        Self { passed, score, message: message.into() }
    }

    /// Well if there are no faults.
    pub(super) fn of_faults(faults: &[String]) -> Self {
        if faults.is_empty() { Self::passed() } else { Self::failed(faults.join("\n")) }
    }
}

/// A fault in a file, or in the answer if that has no files.
pub(super) fn in_file(name: &str, fault: impl std::fmt::Display) -> String {
    if name.is_empty() { fault.to_string() } else { format!("{name}: {fault}") }
}

/// The line, from 1, that a byte is in.
pub(super) fn line(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}
