//! Vectors of texts, from their words and nothing else: the same text gets the same vector, and texts with many words
//! in common get near ones. They know nothing of meaning.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::ask::{Vectors, hash};

/// Length of a vector unless the request asks for another.
pub(crate) const DIMENSIONS: usize = 64;

/// What a word's beginnings and triples of letters weigh beside the word itself, so that `test` is near `tests`.
const PART: f32 = 0.25;

/// The answer to a request for embeddings.
pub(crate) fn answer(model: &str, vectors: &Vectors, tokens: u64) -> Value {
    let one = |(index, input): (usize, &String)| {
        let vector = vector(input, vectors.dimensions);
        let embedding = if vectors.base64 { encode(&vector).into() } else { json!(vector) };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    };
    let data: Vec<Value> = vectors.inputs.iter().enumerate().map(one).collect();
    json!({
        "object": "list",
        "data": data,
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })
}

/// A vector of length 1.
pub(crate) fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f32; dimensions];
    let mut add = |feature: &str, weight: f32| {
        let hash = mix(hash([feature]));
        let sign = if hash >> 63 == 0 { weight } else { -weight };
        let place = usize::try_from(hash % dimensions as u64).unwrap_or(0);
        if let Some(sum) = sums.get_mut(place) {
            *sum += sign;
        }
    };
    for word in text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let word = word.to_lowercase();
        add(&word, 1.0);
        let letters: Vec<char> = word.chars().collect();
        for part in letters.windows(3).filter(|_| letters.len() > 3) {
            add(&part.iter().collect::<String>(), PART);
        }
    }
    let length = sums.iter().map(|sum| sum * sum).sum::<f32>().sqrt();
    if length == 0.0 {
        // No word at all: still a vector of length 1.
        return (0..dimensions).map(|place| if place == 0 { 1.0 } else { 0.0 }).collect();
    }
    sums.into_iter().map(|sum| sum / length).collect()
}

/// Spreads the bits: the low ones of FNV are poor.
fn mix(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53)
}

/// Little-endian floats, as `OpenAI` packs them.
fn encode(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    BASE64_STANDARD.encode(bytes)
}
