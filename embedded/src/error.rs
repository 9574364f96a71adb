//! Why a model could not be loaded or could not answer.

use std::path::PathBuf;

/// Why a model could not be loaded, or a chat not answered. Never holds text of the chat.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The chat does not fit: the model holds `limit` tokens, prompt and answer together.
    #[error(
        "the prompt has {needed} tokens, and the model holds {limit}, prompt and answer together: shorten the prompt"
    )]
    ContextLength {
        /// Tokens of the prompt.
        needed: usize,
        /// Tokens that the model holds.
        limit: usize,
    },
    /// The file is missing, cut short, damaged, or no GGUF file.
    #[error("{}: {reason}; give the path of a whole GGUF file", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        reason: String,
    },
    /// A sound GGUF file whose model this crate cannot run.
    #[error("{}: {reason}; this build runs chat models of the SmolLM2 family", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What is not supported.
        reason: String,
    },
    /// The JSON schema cannot be followed.
    #[error("JSON schema: {0}")]
    Schema(String),
    /// Nobody asked anything.
    #[error("the chat has no turn: give at least one")]
    NoTurns,
    /// Arithmetic failed: a fault of this program, or memory ran out.
    #[error("the model failed: {0}")]
    Inference(String),
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        // Only the first line: below it candle prints a backtrace.
        Self::Inference(error.to_string().lines().next().unwrap_or_default().to_owned())
    }
}
