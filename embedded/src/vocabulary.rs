//! Text to tokens and back, by the tables in the model's file.

use std::collections::HashMap;

use tokenizers::{
    PreTokenizerWrapper, Tokenizer,
    models::bpe::BPE,
    pre_tokenizers::{byte_level::ByteLevel, digits::Digits, sequence::Sequence},
};

use crate::{Error, Role, Turn, gguf};

/// What the model is told when a chat has no system turn: it was trained with this sentence.
const SYSTEM: &str = "You are a helpful AI assistant named SmolLM, trained by Hugging Face";
/// Kinds of tokens in a GGUF file that stand for no text.
const CONTROL: [i64; 2] = [3, 4];

/// The tokens of a model.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    /// Knows no control tokens, so that none comes out of what people write.
    tokenizer: Tokenizer,
    /// The bytes of each token; none for a control token.
    bytes: Vec<Vec<u8>>,
    start: u32,
    end: u32,
    /// Tokens that end an answer.
    stops: Vec<u32>,
}

impl Vocabulary {
    pub(crate) fn read(file: &gguf::File) -> Result<Self, Error> {
        let (model, pre) = (file.text("tokenizer.ggml.model")?, file.text("tokenizer.ggml.pre")?);
        if (model, pre) != (Some("gpt2"), Some("smollm")) {
            let (model, pre) = (model.unwrap_or("none"), pre.unwrap_or("none"));
            return Err(
                file.unsupported(format!("its tokenizer is {model} with {pre}, not gpt2 with smollm"))
            );
        }
        let tokens = file.texts("tokenizer.ggml.tokens")?;
        let kinds = file.numbers("tokenizer.ggml.token_type")?.unwrap_or_default();
        let id = |name: &str| tokens.iter().position(|token| token == name).map(|id| id as u32);
        let (Some(start), Some(end)) = (id("<|im_start|>"), id("<|im_end|>")) else {
            return Err(file.unsupported("it has no tokens for turns of a chat"));
        };
        let mut stops = vec![end];
        stops.extend(id("<|endoftext|>"));
        stops.extend(file.number("tokenizer.ggml.eos_token_id")?.map(|id| id as u32));
        let bytes = tokens.iter().enumerate().map(|(id, token)| match kinds.get(id) {
            Some(kind) if CONTROL.contains(kind) => Vec::new(),
            _ => bytes_of(token),
        });
        Ok(Self { bytes: bytes.collect(), start, end, stops, tokenizer: tokenizer(file, &tokens)? })
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The tokens of `text`. What looks like a control token in it is text as any other.
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        let encoding =
            self.tokenizer.encode_fast(text, false).map_err(|e| Error::Inference(e.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The tokens of a chat, up to where the answer begins.
    pub(crate) fn prompt(&self, turns: &[Turn]) -> Result<Vec<u32>, Error> {
        let mut prompt = Vec::new();
        if turns.first().is_none_or(|turn| turn.role != Role::System) {
            self.turn(&mut prompt, "system", SYSTEM)?;
        }
        for turn in turns {
            self.turn(&mut prompt, turn.role.word(), &turn.text)?;
        }
        prompt.push(self.start);
        prompt.extend(self.encode("assistant\n")?);
        Ok(prompt)
    }

    fn turn(&self, prompt: &mut Vec<u32>, role: &str, text: &str) -> Result<(), Error> {
        prompt.push(self.start);
        prompt.extend(self.encode(&format!("{role}\n{text}"))?);
        prompt.push(self.end);
        prompt.extend(self.encode("\n")?);
        Ok(())
    }

    /// The bytes that `token` stands for: none for a control token, and maybe part of a character.
    pub(crate) fn bytes(&self, token: u32) -> &[u8] {
        self.bytes.get(token as usize).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn ends_answer(&self, token: u32) -> bool {
        self.stops.contains(&token)
    }
}

fn tokenizer(file: &gguf::File, tokens: &[String]) -> Result<Tokenizer, Error> {
    let damaged = |reason: String| file.unreadable(format!("its tokenizer: {reason}"));
    let merges = file.texts("tokenizer.ggml.merges")?;
    let pair =
        |merge: &String| merge.split_once(' ').map(|(left, right)| (left.to_owned(), right.to_owned()));
    let merges = merges.iter().map(pair).collect::<Option<Vec<_>>>();
    let merges = merges.ok_or_else(|| damaged("a merge is no pair".to_owned()))?;
    let ids: tokenizers::models::bpe::Vocab =
        tokens.iter().enumerate().map(|(id, token)| (token.clone(), id as u32)).collect();
    let model = BPE::builder().vocab_and_merges(ids, merges).build().map_err(|e| damaged(e.to_string()))?;
    let mut tokenizer = Tokenizer::new(model);
    // Each digit alone, then words as GPT-2 divides them, in an alphabet of 256 letters for bytes.
    let steps = vec![
        PreTokenizerWrapper::Digits(Digits::new(true)),
        PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, false, true)),
    ];
    tokenizer.with_pre_tokenizer(Some(Sequence::new(steps)));
    Ok(tokenizer)
}

/// The bytes behind a token's name in the alphabet of GPT-2.
fn bytes_of(token: &str) -> Vec<u8> {
    use std::sync::LazyLock;
    static ALPHABET: LazyLock<HashMap<char, u8>> = LazyLock::new(|| {
        let plain = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
        let others = (0..=255).filter(|byte| !plain(*byte));
        let others = others.zip(256_u32..).filter_map(|(byte, code)| Some((char::from_u32(code)?, byte)));
        (0..=255).filter(|byte| plain(*byte)).map(|byte| (char::from(byte), byte)).chain(others).collect()
    });
    token.chars().filter_map(|letter| ALPHABET.get(&letter).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tokens_stand_for_bytes() {
        assert_eq!(bytes_of("ĠMama"), b" Mama");
        assert_eq!(bytes_of("Ċ"), b"\n");
        assert_eq!(bytes_of("Ã©"), "é".as_bytes());
        assert_eq!(bytes_of("ðŁ"), [0xf0, 0x9f], "part of a character");
    }
}
