//! What is known about each provider beforehand: its address, the variable of its key, the format it speaks.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A provider, or a kind of server, that is known beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// `OpenAI`.
    OpenAi,
    /// OpenRouter, with its prices and its `models` array (in [`crate::ChatRequest::extra`]).
    OpenRouter,
    /// Anthropic, or any server that speaks its format.
    Anthropic,
    /// Cohere, by its compatible address.
    Cohere,
    /// The router of Hugging Face.
    HuggingFace,
    /// A server on this machine, such as Ollama, llama.cpp or vLLM.
    Local,
    /// Any other server that speaks `OpenAI`'s format. Its address must be given.
    #[default]
    Compatible,
}

/// The format of requests and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wire {
    /// Chat completions.
    OpenAi,
    /// Messages.
    Anthropic,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 7] = [
        Self::OpenAi,
        Self::OpenRouter,
        Self::Anthropic,
        Self::Cohere,
        Self::HuggingFace,
        Self::Local,
        Self::Compatible,
    ];

    /// The word for configuration and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::OpenRouter => "openrouter",
            Self::Anthropic => "anthropic",
            Self::Cohere => "cohere",
            Self::HuggingFace => "huggingface",
            Self::Local => "local",
            Self::Compatible => "compatible",
        }
    }

    /// Where it is, if that is known. For a local server, where Ollama listens.
    pub fn base_url(self) -> Option<&'static str> {
        Some(match self {
            Self::OpenAi => "https://api.openai.com/v1",
            Self::OpenRouter => "https://openrouter.ai/api/v1",
            Self::Anthropic => "https://api.anthropic.com/v1",
            Self::Cohere => "https://api.cohere.ai/compatibility/v1",
            Self::HuggingFace => "https://router.huggingface.co/v1",
            Self::Local => "http://127.0.0.1:11434/v1",
            Self::Compatible => return None,
        })
    }

    /// The environment variable that people keep its key in. A provider that has one demands a key.
    pub fn key_variable(self) -> Option<&'static str> {
        match self {
            Self::OpenAi => Some("OPENAI_API_KEY"),
            Self::OpenRouter => Some("OPENROUTER_API_KEY"),
            Self::Anthropic => Some("ANTHROPIC_API_KEY"),
            Self::Cohere => Some("COHERE_API_KEY"),
            Self::HuggingFace => Some("HF_TOKEN"),
            Self::Local | Self::Compatible => None,
        }
    }

    /// The format that it speaks.
    pub fn wire(self) -> Wire {
        if self == Self::Anthropic { Wire::Anthropic } else { Wire::OpenAi }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no preset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no kind of provider is called like that: use openai, openrouter, anthropic, cohere, huggingface, local, or \
     compatible for any other server that speaks OpenAI's format"
)]
pub struct UnknownPreset;

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(word: &str) -> Result<Self, UnknownPreset> {
        Self::ALL.into_iter().find(|preset| preset.as_str() == word).ok_or(UnknownPreset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_has_one_word_that_finds_it_again() {
        for preset in Preset::ALL {
            assert_eq!(preset.as_str().parse(), Ok(preset));
            assert_eq!(serde_json::to_value(preset).unwrap(), preset.as_str());
        }
        assert_eq!("OpenAI".parse::<Preset>(), Err(UnknownPreset));
    }
}
